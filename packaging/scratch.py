"""What the tests of packages share: an empty folder for each test, without network, and what kvfuse has to do there.

KVFUSE_DIST names the folder with the packages, dist/ if it is not set. The demo, components/kv_demo.wasm, is the user's
component.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = Path(os.environ.get("KVFUSE_DIST", ROOT / "dist")).resolve()
DEMO = ROOT / "components/kv_demo.wasm"
SECONDS = 10


def one(pattern):
    """The one file of that name."""
    found = list(DIST.glob(pattern))
    assert len(found) == 1, f"{pattern} in {DIST}: {found or 'nothing'}; make dist makes it"
    return found[0]


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="kvfuse-dist-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        (self.folder / "home").mkdir()
        # Nothing answers there.
        nowhere = "http://127.0.0.1:9"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "NO_UPDATE_NOTIFIER": "1",
                            "http_proxy": nowhere, "https_proxy": nowhere, "npm_config_registry": nowhere}

    def ran(self, *command, **options):
        done = subprocess.run([str(word) for word in command], cwd=self.folder, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, **options)
        self.assertEqual(done.returncode, 0, f"{command}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def installed(self, *command):
        before = time.monotonic()
        self.ran(*command)
        sys.stderr.write(f"(installed in {time.monotonic() - before:.1f} s) ")

    def does_its_work(self, *kvfuse):
        """Runs the demo, sees that its data is kept, and fuses it."""
        before = time.monotonic()
        for runs in ("1 time", "2 times"):
            said = self.ran(*kvfuse, "run", DEMO, timeout=SECONDS)
            self.assertIn(f"This tour has run {runs} on this store.", said)
        self.ran(*kvfuse, "fuse", DEMO, "-o", "app.fused.wasm", timeout=SECONDS)
        self.assertIn("inside: the store files", self.ran(*kvfuse, "inspect", "app.fused.wasm", timeout=SECONDS))
        taken = time.monotonic() - before
        sys.stderr.write(f"(worked in {taken:.1f} s) ")
        self.assertLess(taken, SECONDS)

    def npm_project(self):
        (self.folder / "package.json").write_text('{"private": true}')

    def unpacked(self, pattern):
        archive = one(pattern)
        self.installed("tar", "-xzf", archive)
        with tarfile.open(archive) as entries:
            return self.folder / entries.getnames()[0].split("/")[0]
