"""Makes a release of what is checked in: the version in every Cargo.toml and in Cargo.lock, a commit and a tag.

`make release VERSION=1.2.3` calls it. It pushes and publishes nothing; docs/release.md says what comes after.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

SEMVER = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?")


def git(root, *words):
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: git {' '.join(words)} failed: {done.stderr.strip()}")
    return done.stdout


def order(version):
    numbers = SEMVER.fullmatch(version)
    # What has a suffix comes before what has none.
    return (*map(int, numbers.groups()[:3]), numbers[4] is None, numbers[4] or "")


def refusal(root, version, current):
    """Why this version cannot be released, or nothing."""
    if not SEMVER.fullmatch(version):
        return f"{version!r} is not a version such as 1.2.3"
    changed = git(root, "status", "--porcelain")
    if changed:
        return f"the working tree has changes that are not committed:\n{changed.rstrip()}"
    if order(version) < order(current):
        return f"{version} is older than {current}, which Cargo.toml has"
    if git(root, "tag", "--list", f"v{version}"):
        return f"the tag v{version} exists already"
    changelog = (root / "CHANGELOG.md").read_text()
    section = re.search(rf"^## {re.escape(version)}(?: .*)?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if not section or not section[1].strip():
        return (f"CHANGELOG.md says nothing about {version}: give it a section \"## {version}\", "
                "in place of \"## Unreleased\", and commit that")
    return None


def versioned(root, current, version):
    """The files that name the version, as they will be."""
    manifests = [root / name for name in git(root, "ls-files", "*Cargo.toml").splitlines()]
    own = {match[1] for manifest in manifests
           if (match := re.search(r'^name = "(.*)"', manifest.read_text(), re.MULTILINE))}

    def replaced(name, pattern, accepted=lambda match: True):
        def new(match):
            return match[1] + version + match[2] if accepted(match) else match[0]
        text, count = re.subn(pattern.replace("VERSION", re.escape(current)), new, (root / name).read_text(),
                              flags=re.MULTILINE)
        if count == 0:
            sys.exit(f"error: {name} does not name the version {current}")
        return root / name, text

    manifest, text = replaced("Cargo.toml", r'^(\[workspace\.package\]\nversion = ")VERSION(")')
    text = re.sub(rf'^(kvfuse-[a-z-]+ = \{{ path = .*version = "){re.escape(current)}(")', rf"\g<1>{version}\2", text,
                  flags=re.MULTILINE)
    yield manifest, text
    yield replaced("packaging/crate/Cargo.toml", r'^(version = ")VERSION(")')
    # A package of this workspace has no source there.
    yield replaced("Cargo.lock", r'^(name = ".*"\nversion = ")VERSION("\n(?!source))',
                   lambda match: re.match(r'name = "(.*)"', match[1])[1] in own)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version")
    parser.add_argument("--dry-run", action="store_true", help="check everything and change nothing")
    options = parser.parse_args()
    root, version = Path(__file__).resolve().parent.parent, options.version
    found = re.search(r'^\[workspace\.package\]\nversion = "(.*)"', (root / "Cargo.toml").read_text(), re.MULTILINE)
    current = found[1]
    why = refusal(root, version, current)
    if why:
        sys.exit(f"error: {version} is not released: {why}")
    files = dict(versioned(root, current, version))
    for path, text in files.items():
        print(f"{'would write' if options.dry_run else 'wrote'} {version} into {path.relative_to(root)}")
        if not options.dry_run:
            path.write_text(text)
    if options.dry_run:
        print(f"would commit, and tag v{version}; nothing was changed")
        return
    checked = subprocess.run(["cargo", "metadata", "--locked", "--offline", "--format-version", "1"], cwd=root,
                             capture_output=True, text=True)
    if checked.returncode != 0:
        git(root, "checkout", "--", ".")
        sys.exit(f"error: {version} is not released, and nothing was changed: {checked.stderr.strip()}")
    if version != current:
        git(root, "commit", "--quiet", "--all", "--message", f"Version {version}")
    git(root, "tag", "--annotate", f"v{version}", "--message", f"kvfuse {version}")
    print(f"committed and tagged v{version}. Next: make dist, make test-dist, and docs/release.md")


if __name__ == "__main__":
    main()
