"""Pushes every component of a folder that `make dist` filled to an OCI registry, with wkg: one repository each, with
the version as its tag.

    python3 packaging/oci.py ghcr.io/someone/kvfuse

wkg takes the credentials from WKG_OCI_USERNAME and WKG_OCI_PASSWORD, or from Docker's configuration. WKG_OCI_INSECURE
names registries to speak plain HTTP with.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WKG = ROOT / ".tools/wkg/bin/wkg"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", help="the registry and the path in it")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    found = list(options.dist.glob("npm/kvfuse-components-*.tgz"))
    if len(found) != 1 or not WKG.is_file():
        sys.exit(f"error: {options.dist} has no components (make dist), or there is no {WKG} (tools/oci.sh --push)")
    version = found[0].name.removeprefix("kvfuse-components-").removesuffix(".tgz")
    with tarfile.open(found[0]) as package, tempfile.TemporaryDirectory() as folder:
        about = json.load(package.extractfile("package/components.json"))
        for file, description in about.items():
            path = Path(folder, file)
            path.write_bytes(package.extractfile(f"package/wasm/{file}").read())
            annotations = {"title": file, "description": description, "version": version,
                           "licenses": "Apache-2.0 WITH LLVM-exception"}
            words = [f"--annotation=org.opencontainers.image.{name}={value}" for name, value in annotations.items()]
            reference = f"{options.place}/{path.stem}:{version}"
            if subprocess.run([WKG, "oci", "push", *words, reference, path]).returncode != 0:
                sys.exit(f"error: {reference} was not pushed; what was pushed before it stays there")


if __name__ == "__main__":
    main()
