"""What stands against publishing is found: by what make.py refuses, and by `make release` in a scratch clone."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import inside
from inside import Problem

ROOT = Path(__file__).resolve().parent.parent


def crate(**fields):
    return {"name": "some", "version": "1.0.0", "licence": "MIT", "own": False, "in": ["kvfuse"], "texts": {}} | fields


class Licences(unittest.TestCase):
    def test_a_crate_without_a_licence_is_refused_by_name(self):
        with self.assertRaisesRegex(Problem, "some 1.0.0 states no licence"):
            inside.expression({"name": "some", "version": "1.0.0", "license": None})
        self.assertEqual(inside.expression({"license": "MIT/Apache-2.0"}), "MIT OR Apache-2.0")

    def test_a_crate_without_the_text_of_its_licence_is_refused_unless_it_is_the_projects_own_licence(self):
        with self.assertRaisesRegex(Problem, "some 1.0.0 .MIT. carries no text"):
            inside.third_party([crate()], [], "1.95.0", "0.1.0")
        page = inside.third_party([crate(licence="MIT OR Apache-2.0")], [], "1.95.0", "0.1.0").decode()
        self.assertIn("some 1.0.0 (MIT OR Apache-2.0) [kvfuse]\n    carries no text", page)

    def test_a_text_that_several_crates_carry_is_there_once_and_names_them(self):
        both = [crate(texts={"LICENSE": "Do as\nyou like.\n"}),
                crate(name="other", texts={"LICENSE-MIT": "Do as you like.\n"})]
        page = inside.third_party(both, [], "1.95.0", "0.1.0").decode()
        self.assertEqual(len(re.findall(r"Do as\syou like", page)), 1)
        self.assertIn("The text in other 1.0.0, some 1.0.0:", page)


class Packages(unittest.TestCase):
    def test_every_source_file_of_a_package_is_in_what_is_published(self):
        def lines(*command, cwd=ROOT):
            run = subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True)
            return set(run.stdout.splitlines())

        metadata = "".join(lines("cargo", "metadata", "--no-deps", "--format-version", "1"))
        published = [package for package in json.loads(metadata)["packages"] if package["publish"] is None]
        self.assertGreater(len(published), 5)
        for package in published:
            folder = Path(package["manifest_path"]).parent
            packed = lines("cargo", "package", "--quiet", "--list", "--allow-dirty", "--package", package["name"])
            self.assertEqual(lines("git", "ls-files", "src", cwd=folder) - packed, set(), package["name"])


class Release(unittest.TestCase):
    """In a clone of what is checked in, with what is changed here in packaging/."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="kvfuse-release-")
        self.addCleanup(scratch.cleanup)
        self.clone = Path(scratch.name) / "clone"
        subprocess.run(["git", "clone", "--quiet", "--no-tags", ROOT, self.clone], check=True)
        self.git("config", "user.name", "release")
        self.git("config", "user.email", "release@example.com")
        shutil.copy(ROOT / "packaging/release.py", self.clone / "packaging/release.py")
        self.commit()

    def git(self, *words):
        return subprocess.run(["git", *words], cwd=self.clone, capture_output=True, text=True, check=True).stdout

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "before")

    def release(self, *words):
        return subprocess.run([sys.executable, "packaging/release.py", *words], cwd=self.clone, capture_output=True,
                              text=True)

    def entry(self, version, text="- Something that users see.\n"):
        file = self.clone / "CHANGELOG.md"
        file.write_text(file.read_text().replace("## Unreleased\n", f"## {version}\n\n{text}\n## Earlier\n"))
        self.commit()

    def refused(self, version, why):
        before = self.git("rev-parse", "HEAD"), self.git("status", "--porcelain"), self.git("tag")
        done = self.release(version)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(why, done.stderr)
        self.assertEqual((self.git("rev-parse", "HEAD"), self.git("status", "--porcelain"), self.git("tag")), before)

    def test_a_version_without_an_entry_in_the_changelog_is_refused(self):
        self.refused("7.8.9", "CHANGELOG.md says nothing about 7.8.9")
        self.entry("7.8.9", text="")
        self.refused("7.8.9", "CHANGELOG.md says nothing about 7.8.9")

    def test_a_tree_with_changes_is_refused(self):
        self.entry("7.8.9")
        (self.clone / "new.txt").write_text("new")
        self.refused("7.8.9", "?? new.txt")

    def test_what_is_no_version_or_an_older_one_or_tagged_already_is_refused(self):
        self.entry("7.8.9")
        self.refused("seven", "is not a version")
        self.refused("0.0.1", "is older than")
        self.git("tag", "v7.8.9")
        self.refused("7.8.9", "the tag v7.8.9 exists already")

    def test_a_dry_run_says_what_would_change_and_changes_nothing(self):
        self.entry("7.8.9")
        before = self.git("rev-parse", "HEAD")
        done = self.release("7.8.9", "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("would write 7.8.9 into Cargo.lock", done.stdout)
        self.assertEqual((self.git("rev-parse", "HEAD"), self.git("status", "--porcelain"), self.git("tag")),
                         (before, "", ""))

    def test_a_release_sets_every_version_and_leaves_a_commit_and_a_tag_that_cargo_accepts(self):
        self.entry("7.8.9")
        done = self.release("7.8.9")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.git("describe", "--exact-match").strip(), "v7.8.9")
        self.assertEqual(self.git("status", "--porcelain"), "")
        self.assertEqual(self.git("show", "--stat", "--format=%s", "--name-only").split(),
                         ["Version", "7.8.9", "Cargo.lock", "Cargo.toml", "packaging/crate/Cargo.toml"])
        found = subprocess.run(["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"],
                               cwd=self.clone, capture_output=True, text=True, check=True).stdout
        self.assertEqual(set(re.findall(r'"name":"kvfuse[a-z-]*","version":"([^"]*)"', found)), {"7.8.9"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
