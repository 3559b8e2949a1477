"""The packages for the platforms in KVFUSE_PLATFORMS, which are names of Rust's targets: what pip and npm choose for such a
machine, and the program in it, which runs here: by itself, with qemu, or with Wine as tools/runtimes.sh prepares it."""

import json
import os
import re
import sys
import zipfile
from pathlib import Path

from platforms import HOST, PLATFORMS
from scratch import DEMO, ROOT, Scratch, one

TOOLS = Path(os.environ.get("KVFUSE_TOOLS", ROOT / ".tools"))
SLOWLY = 300


class OfAPlatform:
    """Has a subclass for each platform; `TestCase` comes with it, so that this one is not run."""

    def setUp(self):
        super().setUp()
        self.platform = PLATFORMS[self.target]

    def starts(self, program):
        """The command that runs a program of the platform here."""
        if self.target.startswith("aarch64"):
            return ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", program]
        if "windows" not in self.target:
            return [program]
        wine = sorted(TOOLS.glob("wasmtime-windows-*/prefix"))
        self.assertTrue(wine, f"Wine is not prepared in {TOOLS}: tools/runtimes.sh")
        self.environment |= {"WINEPREFIX": str(wine[-1]), "WINEDEBUG": "-all"}
        beside = program.parent / "bcryptprimitives.dll"
        beside.write_bytes((wine[-1].parent / beside.name).read_bytes())
        return ["/usr/lib/wine/wine64", program]

    def works(self, *kvfuse):
        self.assertRegex(self.ran(*kvfuse, "--version", timeout=SLOWLY), r"^kvfuse \d")
        self.ran(*kvfuse, "fuse", DEMO, "-o", "app.fused.wasm", timeout=SLOWLY)
        self.assertIn("inside: the store files", self.ran(*kvfuse, "inspect", "app.fused.wasm", timeout=SLOWLY))
        for runs in ("1 time", "2 times"):
            said = self.ran(*kvfuse, "run", DEMO, timeout=SLOWLY)
            self.assertIn(f"This tour has run {runs} on this store.", said)

    def archive(self):
        found = one(f"archives/kvfuse-[0-9]*-{self.target}.*")
        self.ran(*(["tar", "-xzf", found] if found.suffix == ".gz" else [sys.executable, "-m", "zipfile", "-e", found, "."]))
        return self.folder / found.name.removesuffix(".tar.gz").removesuffix(".zip")

    def test_the_program_in_the_archive_fuses_as_that_of_this_machine_and_runs_what_it_fuses(self):
        folder = self.archive()
        (folder / self.platform.program).chmod(0o755)
        self.works(*self.starts(folder / self.platform.program))
        # Byte for byte.
        self.ran("tar", "-xzf", one(f"archives/kvfuse-[0-9]*-{HOST}.tar.gz"))
        here = next(self.folder.glob(f"kvfuse-*-{HOST}")) / "kvfuse"
        self.ran(here, "fuse", DEMO, "-o", "here.fused.wasm")
        self.assertEqual((self.folder / "app.fused.wasm").read_bytes(), (self.folder / "here.fused.wasm").read_bytes())

    def test_the_archive_has_the_licences_of_what_is_linked_into_the_program(self):
        folder = self.archive()
        linked = [f"COPYRIGHT-{name}.txt" for name in self.platform.linked]
        for document in ("LICENSE", "LICENSES-THIRD-PARTY.txt", "README.md", *linked):
            self.assertTrue((folder / document).read_text(encoding="utf-8").strip(), document)

    def test_pip_takes_the_wheel_for_such_a_machine_and_no_other(self):
        wheel = one(f"python/*{self.platform.tag.format('*')}.whl")
        tag = re.search(r"-py3-none-(.*)\.whl$", wheel.name)[1]
        self.ran(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--find-links",
                 wheel.parent, "--only-binary=:all:", "--platform", tag, "--target", "there", "kvfuse")
        with zipfile.ZipFile(wheel) as entries:
            program = next(name for name in entries.namelist() if "/scripts/" in name)
            self.assertEqual(Path(program).name, self.platform.program)
            self.assertEqual((self.folder / "there/bin" / self.platform.program).read_bytes(), entries.read(program))

    def test_npm_installs_the_package_on_such_a_machine_and_not_on_another(self):
        package = one(f"npm/kvfuse-{self.platform.npm}-[0-9]*.tgz")
        system, processor = self.platform.npm_fields["os"][0], self.platform.npm_fields["cpu"][0]
        libc = self.platform.npm_fields.get("libc", ["glibc"])[0]
        (self.folder / "package.json").write_text(json.dumps({"private": True, "optionalDependencies": {
            f"kvfuse-{self.platform.npm}": f"file:{package}"}}))
        program = self.folder / f"node_modules/kvfuse-{self.platform.npm}/bin/{self.platform.program}"
        for os_name, there in (("aix", False), (system, True)):
            self.ran("npm", "install", "--offline", "--no-audit", "--no-fund", f"--os={os_name}", f"--cpu={processor}",
                     f"--libc={libc}")
            self.assertEqual(program.is_file(), there, os_name)


class Launcher(Scratch):
    def test_kvfuse_depends_on_the_package_of_each_platform(self):
        self.ran("tar", "-xzf", one("npm/kvfuse-[0-9]*.tgz"))
        manifest = json.loads((self.folder / "package/package.json").read_text())
        targets = [HOST, *os.environ.get("KVFUSE_PLATFORMS", "").split()]
        self.assertEqual(manifest["optionalDependencies"],
                         {f"kvfuse-{PLATFORMS[target].npm}": manifest["version"] for target in targets})

    def test_kvfuse_starts_the_program_of_musl_where_there_is_no_other(self):
        if "x86_64-unknown-linux-musl" not in os.environ.get("KVFUSE_PLATFORMS", ""):
            self.skipTest("x86_64-unknown-linux-musl is not among the platforms")
        # npm only believes what it is told of the machine for what is optional, as the packages of platforms are.
        self.npm_project()
        project = json.loads((self.folder / "package.json").read_text())
        project["dependencies"] = {"kvfuse": f"file:{one('npm/kvfuse-[0-9]*.tgz')}"}
        project["optionalDependencies"] = {"kvfuse-linux-x64-musl": f"file:{one('npm/kvfuse-linux-x64-musl-*.tgz')}"}
        (self.folder / "package.json").write_text(json.dumps(project))
        self.ran("npm", "install", "--offline", "--no-audit", "--no-fund", "--os=linux", "--cpu=x64", "--libc=musl")
        self.assertFalse((self.folder / "node_modules/kvfuse-linux-x64").exists())
        self.does_its_work("npx", "--offline", "kvfuse")


for platform in os.environ.get("KVFUSE_PLATFORMS", "").split():
    globals()[f"Of {platform}"] = type(f"Of_{platform}", (OfAPlatform, Scratch), {"target": platform})
