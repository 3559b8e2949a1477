"""What oci.py publishes in a registry is pulled from there with wkg and fused with wac. The registry is a real one, on a free
port of this machine; tools/oci.sh fetches it, and both programs."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

from scratch import DEMO, DIST, ROOT, Scratch, one

TOOLS = Path(os.environ.get("KVFUSE_TOOLS", ROOT / ".tools"))
INDEX = "application/vnd.oci.image.manifest.v1+json"


def tool(pattern):
    found = sorted(TOOLS.glob(pattern))
    assert found, f"{pattern} is not in {TOOLS}; tools/oci.sh fetches it"
    return found[-1]


class Published(Scratch):
    def setUp(self):
        super().setUp()
        self.wkg = tool("wkg-*/bin/wkg")
        self.environment["no_proxy"] = "127.0.0.1"
        self.address = self.registry()

    def registry(self):
        program = shutil.which("docker-registry") or tool("docker-registry/usr/bin/docker-registry")
        (self.folder / "registry.yml").write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {self.folder}/registry}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n")
        server = subprocess.Popen([program, "serve", "registry.yml"], cwd=self.folder, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        for line in server.stderr:
            listens = re.search(r"listening on (127\.0\.0\.1:\d+)", line)
            if listens:
                # What it says later is read as well, so that it never waits for that.
                reader = threading.Thread(target=server.stderr.read)
                reader.start()
                self.addCleanup(server.stderr.close)
                self.addCleanup(reader.join)
                self.addCleanup(server.kill)
                return listens[1]
        self.fail(f"{program} ended before it listened")

    def publish(self, *options, **expected):
        done = subprocess.run([sys.executable, "-B", ROOT / "packaging/oci.py", f"{self.address}/some/one", "--plain-http",
                               "--dist", DIST, "--wkg", self.wkg, *options], env=self.environment, text=True, capture_output=True)
        self.assertEqual(done.returncode, expected.get("code", 0), done.stdout + done.stderr)
        return done

    def answer(self, path):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"http://{self.address}/v2/{path}", headers={"Accept": INDEX})
        with opener.open(request) as answer:
            return json.load(answer)

    def about(self):
        """What the npm package says of each component, by its name."""
        self.ran("tar", "-xzf", one("npm/kvfuse-components-*.tgz"), "package/components.json")
        about = json.loads((self.folder / "package/components.json").read_text())
        return {file.removesuffix(".wasm"): text for file, text in about.items()}

    def test_every_component_is_in_the_registry_with_what_it_is_its_licence_and_its_version(self):
        published, about = self.publish().stdout.split(), self.about()
        version = published[0].split(":")[-1]
        self.assertEqual(sorted(published), sorted(f"{self.address}/some/one/kvfuse/{name}:{version}" for name in about))
        self.assertEqual(set(self.answer("_catalog?n=1000")["repositories"]), {f"some/one/kvfuse/{name}" for name in about})
        for name, text in about.items():
            manifest = self.answer(f"some/one/kvfuse/{name}/manifests/{version}")
            told = {key.removeprefix("org.opencontainers.image."): value for key, value in manifest["annotations"].items()}
            self.assertEqual(told, {"description": text, "licenses": "Apache-2.0 WITH LLVM-exception", "version": version})
            self.assertEqual([layer["mediaType"] for layer in manifest["layers"]], ["application/wasm"])
            config = self.answer(f"some/one/kvfuse/{name}/blobs/{manifest['config']['digest']}")
            self.assertTrue(config["component"]["imports"], name)

    def test_what_is_pulled_is_what_was_published_and_wac_plugs_it_into_a_component_that_runs(self):
        for reference in self.publish().stdout.split():
            name = re.search(r"/([a-z0-9-]+):", reference)[1]
            self.ran(self.wkg, "oci", "pull", reference, "--insecure", self.address, "--output", f"{name}.wasm")
            self.assertEqual((self.folder / f"{name}.wasm").read_bytes(), (ROOT / f"components/{name}.wasm").read_bytes())
        self.ran(tool("wac-cli-*/bin/wac"), "plug", "--plug", "keyvalue.wasm", DEMO, "-o", "app.fused.wasm")
        wasmtime = subprocess.run([ROOT / "tools/wasmtime.sh"], capture_output=True, text=True, check=True).stdout.strip()
        (self.folder / "data").mkdir()
        for runs in ("1 time", "2 times"):
            said = self.ran(wasmtime, "run", "--dir", "data::/", "app.fused.wasm")
            self.assertIn(f"This tour has run {runs} on this store.", said)

    def test_a_component_that_is_there_stays_and_one_that_differs_is_an_error(self):
        reference = self.publish().stdout.split()[0]
        path = re.sub(":([^:]*)$", r"/manifests/\1", reference.removeprefix(f"{self.address}/"))
        before = self.answer(path)
        self.assertTrue(all(line.endswith(" was there") for line in self.publish().stdout.splitlines()))
        self.assertEqual(self.answer(path), before)
        self.ran(self.wkg, "oci", "push", reference, DEMO, "--insecure", self.address)
        self.assertIn(f"error: {reference} is there already and is not what is in the archive", self.publish(code=1).stderr)

    def test_a_dry_run_publishes_nothing_and_a_registry_that_refuses_is_an_error_that_names_the_component(self):
        self.publish("--dry-run")
        self.assertEqual(self.answer("_catalog")["repositories"], [])
        self.address = "127.0.0.1:9"
        said = self.publish(code=1).stderr
        self.assertRegex(said, r"^error: wkg did not publish 127\.0\.0\.1:9/some/one/kvfuse/[a-z0-9-]+:\S+: .*\n$")
