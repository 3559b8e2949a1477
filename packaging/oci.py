"""Publishes the provider components of a folder that `make dist` filled in a registry of OCI artefacts, with wkg.

Each is a repository of its own, kvfuse/keyvalue-redis for example, below what is given as the registry, with the version as
its tag. The metadata inside a component become annotations: what it is, its licence and version. (`wkg publish`, which would
make them, takes only components that were built from a package of WIT with a version.) What is there already stays as it
is, so that a run that was interrupted can be repeated.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from inside import Problem

ROOT = Path(__file__).resolve().parent.parent
TOLD = ("description", "licenses", "version")


def custom_sections(wasm):
    """The names and contents of the outermost custom sections of a component."""
    def number(at):
        value, shift = 0, 0
        while True:
            value |= (wasm[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if wasm[at - 1] < 128:
                return value, at

    at = 8
    while at < len(wasm):
        kind = wasm[at]
        size, begin = number(at + 1)
        at = begin + size
        if kind == 0:
            length, name = number(begin)
            yield wasm[name:name + length].decode(), wasm[name + length:at]


def annotations(file):
    sections = dict(custom_sections(file.read_bytes()))
    missing = [name for name in TOLD if name not in sections]
    if missing:
        raise Problem(f"{file.name} does not say its {', '.join(missing)}; make providers writes that")
    return {f"org.opencontainers.image.{name}": sections[name].decode() for name in TOLD}


def archive(dist):
    found = list(dist.glob("archives/kvfuse-components-*.tar.gz"))
    if len(found) != 1:
        raise Problem(f"there are {len(found)} archives of components in {dist}, instead of one; make dist makes it")
    return found[0]


def publish(file, options):
    """Publishes one component, and says what became of it."""
    told = annotations(file)
    reference = f"{options.registry}/kvfuse/{file.stem}:{told['org.opencontainers.image.version']}"
    if options.dry_run:
        return f"{reference} would be published"

    def wkg(*arguments):
        insecure = ["--insecure", options.registry.partition("/")[0]] if options.plain_http else []
        return subprocess.run([options.wkg, "oci", *arguments, *insecure], cwd=file.parent, capture_output=True, text=True)

    there = file.with_suffix(".there")
    if wkg("pull", reference, "--output", there).returncode == 0:
        if there.read_bytes() != file.read_bytes():
            raise Problem(f"{reference} is there already and is not what is in the archive: publish it under another version")
        return f"{reference} was there"
    done = wkg("push", reference, file, *(word for pair in told.items() for word in ("--annotation", "=".join(pair))))
    if done.returncode != 0:
        raise Problem(f"wkg did not publish {reference}: {' '.join((done.stderr or done.stdout).split())}")
    return reference


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("registry", help="its host and, if the components are below it, a path: registry.example/someone")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--wkg", default="wkg", help="the program")
    parser.add_argument("--plain-http", action="store_true", help="for a registry without TLS")
    parser.add_argument("--dry-run", action="store_true", help="publish nothing")
    options = parser.parse_args()
    try:
        if not options.registry:
            raise Problem("no registry is given: REGISTRY=registry.example/someone")
        with tempfile.TemporaryDirectory(prefix="kvfuse-oci-") as scratch, tarfile.open(archive(options.dist)) as entries:
            entries.extractall(scratch, filter="data")
            for file in sorted(Path(scratch).glob("*/*.wasm")):
                print(publish(file, options), flush=True)
    except (Problem, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
