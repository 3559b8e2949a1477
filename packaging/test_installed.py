"""Each package of a folder that `make dist` filled is installed from there alone, into an empty environment without
network, and does what it is for within ten seconds of that.
"""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

from scratch import DIST, ROOT, SECONDS, Scratch, one

PROGRAM = "archives/kvfuse-[0-9]*-x86_64-unknown-linux-gnu.tar.gz"


class Installed(Scratch):
    def test_pip_installs_the_wheel_and_kvfuse_runs(self):
        self.ran(sys.executable, "-m", "venv", "environment")
        self.installed("environment/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                       "--no-index", "--find-links", DIST / "python", "kvfuse")
        self.does_its_work(self.folder / "environment/bin/kvfuse")

    def test_npm_installs_kvfuse_with_the_package_of_the_platform_and_npx_runs_it(self):
        self.npm_project()
        self.installed("npm", "install", "--offline", "--no-audit", "--no-fund", one("npm/kvfuse-[0-9]*.tgz"),
                       one("npm/kvfuse-linux-x64-[0-9]*.tgz"))
        self.does_its_work("npx", "--offline", "kvfuse")

    def test_without_the_package_of_the_platform_npx_says_what_is_missing(self):
        self.npm_project()
        self.ran("npm", "install", "--offline", "--omit=optional", "--no-audit", "--no-fund",
                 one("npm/kvfuse-[0-9]*.tgz"))
        done = subprocess.run(["npx", "--offline", "kvfuse", "stores"], cwd=self.folder, env=self.environment, text=True,
                              capture_output=True)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "kvfuse: the package kvfuse-linux-x64( or kvfuse-linux-x64-musl)? is not installed")

    def test_npx_passes_on_the_exit_code_of_kvfuse(self):
        self.npm_project()
        self.ran("npm", "install", "--offline", "--no-audit", "--no-fund", one("npm/kvfuse-[0-9]*.tgz"),
                 one("npm/kvfuse-linux-x64-[0-9]*.tgz"))
        command = ["kv", "exists", "missing"]
        program = self.folder / "node_modules/kvfuse-linux-x64/bin/kvfuse"
        expected = subprocess.run([program, *command], cwd=self.folder, env=self.environment, capture_output=True)
        self.assertNotEqual(expected.returncode, 0)
        through = subprocess.run(["node_modules/.bin/kvfuse", *command], cwd=self.folder, env=self.environment,
                                 capture_output=True)
        self.assertEqual((through.returncode, through.stderr), (expected.returncode, expected.stderr))

    def test_the_archive_is_unpacked_and_kvfuse_runs(self):
        folder = self.unpacked(PROGRAM)
        self.does_its_work(folder / "kvfuse")
        for document in ("LICENSE", "LICENSES-THIRD-PARTY.txt", "README.md"):
            self.assertTrue((folder / document).read_text().strip(), document)

    def test_npm_installs_the_components_and_node_keeps_data_that_kvfuse_reads(self):
        self.npm_project()
        self.installed("npm", "install", "--offline", "--no-audit", "--no-fund", one("npm/kvfuse-components-*.tgz"))
        (self.folder / "visit.mjs").write_text("""
            import { createRequire } from "node:module";
            import { files } from "kvfuse-components/files";
            const { store, atomics, batch } = await files("data");
            const bucket = store.open("visitors");
            console.log(String(atomics.increment(bucket, "count", 1n)));
            batch.setMany(bucket, [["name", new TextEncoder().encode("Ada")]]);
            try { await files("elsewhere"); } catch (error) { console.log(error.message); }
            console.log(createRequire(import.meta.url).resolve("kvfuse-components/keyvalue-redis.wasm"));
        """)
        for count in ("1", "2"):
            said = self.ran("node", "visit.mjs", timeout=SECONDS).splitlines()
            self.assertEqual(said[0], count)
            self.assertRegex(said[1], "keeps its data in .*/data; it cannot open .*/elsewhere as well")
            self.assertEqual(Path(said[2]).read_bytes(), (ROOT / "components/keyvalue-redis.wasm").read_bytes())
        self.assertFalse((self.folder / "elsewhere").exists())
        kvfuse = self.unpacked(PROGRAM) / "kvfuse"
        for key, value in (("count", "2"), ("name", "Ada")):
            read = self.ran(kvfuse, "kv", "get", key, "--store", "files:./data", "--bucket", "visitors", timeout=SECONDS)
            self.assertEqual(read, value)

    def test_the_types_of_the_components_hold_for_a_program_and_refuse_a_wrong_one(self):
        compiler = ROOT / ".tools/node-packages/node_modules/typescript/bin/tsc"
        self.npm_project()
        self.ran("npm", "install", "--offline", "--no-audit", "--no-fund", one("npm/kvfuse-components-*.tgz"))
        check = ["node", compiler, "--noEmit", "--strict", "--module", "nodenext", "--target", "es2022",
                 "--lib", "es2022,esnext.disposable", "visit.mts"]
        right = """import { files } from "kvfuse-components/files";
            const { store, atomics } = await files("data");
            const count: bigint = atomics.increment(store.open("visitors"), "count", 1n);
            const value: Uint8Array | undefined = store.open("visitors").get("count");"""
        (self.folder / "visit.mts").write_text(right)
        self.ran(*check)
        (self.folder / "visit.mts").write_text(right.replace("1n", '"1"'))
        wrong = subprocess.run([str(word) for word in check], cwd=self.folder, env=self.environment, text=True,
                               capture_output=True)
        self.assertIn("not assignable to parameter of type 'bigint'", wrong.stdout)

    def test_a_rust_program_without_network_embeds_the_crate_of_components_and_the_file_store_is_complete(self):
        crate = self.unpacked("crates/kvfuse-components-*.crate")
        sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
        self.environment |= {"RUSTC": f"{sysroot}/bin/rustc", "CARGO_NET_OFFLINE": "true"}
        (self.folder / "src").mkdir()
        (self.folder / "Cargo.toml").write_text(
            '[package]\nname = "host"\nversion = "0.0.0"\nedition = "2024"\n'
            f'[dependencies]\nkvfuse-components = {{ path = "{crate.name}" }}\n[workspace]\n')
        (self.folder / "src/main.rs").write_text("""fn main() {
            for component in kvfuse_components::ALL {
                std::fs::write(component.file, component.bytes).unwrap();
                println!("{}", component.file);
            }
            assert_eq!(kvfuse_components::KEYVALUE.bytes, kvfuse_components::component("keyvalue.wasm").unwrap().bytes);
        }""")
        files = self.ran(f"{sysroot}/bin/cargo", "run", "--quiet").split()
        self.assertIn("keyvalue.wasm", files)
        for file in files:
            self.assertEqual((self.folder / file).read_bytes(), (ROOT / "components" / file).read_bytes(), file)

    def test_the_archive_of_components_has_every_one_that_the_npm_package_has(self):
        folder = self.unpacked("archives/kvfuse-components-*.tar.gz")
        with tarfile.open(one("npm/kvfuse-components-*.tgz")) as package:
            about = json.load(package.extractfile("package/components.json"))
        self.assertEqual({path.name for path in folder.glob("*.wasm")}, set(about))
        for file in about:
            self.assertEqual((folder / file).read_bytes(), (ROOT / "components" / file).read_bytes(), file)


class Described(unittest.TestCase):
    """What is said about the packages is true."""

    def test_every_file_is_in_the_list_of_checksums(self):
        sums = dict(reversed(line.split("  ")) for line in (DIST / "SHA256SUMS").read_text().splitlines())
        files = {str(path.relative_to(DIST)): path for path in DIST.rglob("*") if path.is_file()}
        del files["SHA256SUMS"]
        self.assertEqual({name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}, sums)

    def test_the_wheel_records_each_of_its_files(self):
        import base64
        with zipfile.ZipFile(one("python/*manylinux*x86_64.whl")) as wheel:
            record = next(name for name in wheel.namelist() if name.endswith("/RECORD"))
            lines = [line.rsplit(",", 2) for line in wheel.read(record).decode().splitlines()]
            self.assertEqual({name for name, _, _ in lines}, set(wheel.namelist()))
            for name, checksum, _ in lines:
                if name != record:
                    digest = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(name)).digest()).rstrip(b"=").decode()
                    self.assertEqual(checksum, f"sha256={digest}", name)

    def test_the_tag_of_the_wheel_is_the_newest_glibc_that_the_program_needs(self):
        wheel = one("python/*manylinux*x86_64.whl")
        with zipfile.ZipFile(wheel) as archive, tempfile.NamedTemporaryFile() as program:
            program.write(archive.read(next(name for name in archive.namelist() if name.endswith("scripts/kvfuse"))))
            program.flush()
            # By another way than that of make.py: the undefined symbols, one by one.
            symbols = subprocess.run(["objdump", "--dynamic-syms", program.name], capture_output=True, text=True,
                                     check=True).stdout
        needed = {int(minor) for minor in re.findall(r"\*UND\*.*\(GLIBC_2\.(\d+)", symbols)}
        tag = re.search(r"manylinux_2_(\d+)_x86_64", wheel.name)
        self.assertEqual(int(tag[1]), max(needed))

    def test_every_crate_whose_source_a_panic_names_is_in_the_bill_of_materials_and_in_the_licences(self):
        bill = json.loads(one("*.cdx.json").read_text())
        listed = {(part["name"], part["version"]) for part in bill["components"]}
        licences = (DIST / "LICENSES-THIRD-PARTY.txt").read_text()
        with tarfile.open(one(PROGRAM)) as archive:
            program = next(entry for entry in archive if entry.name.endswith("/kvfuse"))
            content = archive.extractfile(program).read()
        named = {(name.decode(), version.decode()) for name, version in re.findall(
            rb"registry/src/[^/\0]+/([A-Za-z0-9_-]+?)-(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)/", content)}
        self.assertGreater(len(named), 20)
        self.assertEqual(named - listed, set())
        for name, version in named:
            self.assertIn(f"\n{name} {version} (", licences)
        for part in bill["components"]:
            self.assertTrue(part["licenses"][0]["expression"], part["name"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
