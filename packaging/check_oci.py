"""The components go to a registry of OCI and come back. `make test-oci` calls this."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = Path(os.environ.get("KVFUSE_DIST", ROOT / "dist")).resolve()
WKG = ROOT / ".tools/wkg/bin/wkg"
REGISTRY = ROOT / ".tools/docker-registry/usr/bin/docker-registry"


class Registry(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="kvfuse-oci-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        (self.folder / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: '{self.address}'}}\n")
        self.log = open(self.folder / "log", "w+")
        self.addCleanup(self.log.close)
        server = subprocess.Popen([REGISTRY, "serve", self.folder / "config.yml"], stdout=self.log, stderr=self.log)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.environment = {**os.environ, "WKG_OCI_INSECURE": self.address, "DOCKER_CONFIG": str(self.folder)}
        deadline = time.monotonic() + 30
        while True:
            try:
                self.get("/v2/")
                return
            except OSError as error:
                if server.poll() is not None or time.monotonic() > deadline:
                    self.log.seek(0)
                    self.fail(f"docker-registry does not answer: {error}\n{self.log.read()}")
                time.sleep(0.05)

    def get(self, path):
        accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        request = urllib.request.Request(f"http://{self.address}{path}", headers=accept)
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()

    def test_every_component_is_pushed_with_its_description_and_pulled_as_it_was(self):
        pushed = subprocess.run([sys.executable, ROOT / "packaging/oci.py", f"{self.address}/kvfuse", "--dist", DIST],
                                env=self.environment, capture_output=True, text=True)
        self.assertEqual(pushed.returncode, 0, pushed.stderr)
        repositories = json.loads(self.get("/v2/_catalog"))["repositories"]
        self.assertIn("kvfuse/keyvalue", repositories)
        for repository in repositories:
            [tag] = json.loads(self.get(f"/v2/{repository}/tags/list"))["tags"]
            manifest = json.loads(self.get(f"/v2/{repository}/manifests/{tag}"))
            self.assertEqual(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json")
            self.assertEqual([layer["mediaType"] for layer in manifest["layers"]], ["application/wasm"])
            # What a registry shows of a component without fetching it.
            config = json.loads(self.get(f"/v2/{repository}/blobs/{manifest['config']['digest']}"))
            self.assertEqual((config["architecture"], config["os"]), ("wasm", "wasip2"))
            self.assertTrue(config["component"]["exports"], repository)
            file = f"{repository.removeprefix('kvfuse/')}.wasm"
            self.assertEqual(manifest["annotations"]["org.opencontainers.image.title"], file)
            self.assertEqual(manifest["annotations"]["org.opencontainers.image.version"], tag)
            subprocess.run([WKG, "oci", "pull", f"{self.address}/{repository}:{tag}", "-o", self.folder / file],
                           env=self.environment, capture_output=True, check=True)
            self.assertEqual((self.folder / file).read_bytes(), (ROOT / "components" / file).read_bytes(), file)


if __name__ == "__main__":
    unittest.main(verbosity=2)
