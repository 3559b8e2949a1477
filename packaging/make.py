"""Puts what a release publishes into a folder. `make dist` calls it, once everything is built.

The same source, binary and components give the same bytes: the only time in them is SOURCE_DATE_EPOCH, or else that of
the last commit.
"""

import argparse
import hashlib
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import inside
import npm
from archives import tar_gz, zip_bytes
from inside import Problem
from platforms import HOST, PLATFORMS, licences_of_linked, wheel_tag
from wheel import wheel

ROOT = Path(__file__).resolve().parent.parent
# A .zip knows no time before.
EARLIEST = 315532800


def components(folder):
    """Every component that is published with a sentence about it, as `make generate` wrote them for the crate."""
    written = (ROOT / "packaging/crate/src/lib.rs").read_text()
    about = dict(re.findall(r'^    file: "(.*)",\n    about: "(.*)",$', written, re.MULTILINE))
    missing = [file for file in about if not (folder / file).is_file()]
    if missing or not about:
        raise Problem(f"not in {folder}: {', '.join(missing) or 'any component'}; make providers builds them")
    return about, {file: (folder / file).read_bytes() for file in about}


def version():
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    crate = tomllib.loads((ROOT / "packaging/crate/Cargo.toml").read_text())["package"]["version"]
    if crate != workspace:
        raise Problem(f"packaging/crate/Cargo.toml says version {crate}, Cargo.toml {workspace}")
    return workspace


def epoch():
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return max(EARLIEST, int(given or inside.output(["git", "log", "-1", "--format=%ct"], ROOT)))


def built(options):
    """The programs for other platforms, where tools/program.sh leaves them."""
    unknown = [target for target in options.platforms if target not in PLATFORMS]
    if unknown:
        raise Problem(f"there is no way to package for {', '.join(unknown)}; there is one for {', '.join(PLATFORMS)}")
    return {target: options.target / target / "release" / PLATFORMS[target].program
            for target in options.platforms if target != HOST}


def published(options):
    """Every file with its path and its bytes."""
    number, when, rust = version(), epoch(), inside.rust_version(ROOT)
    about, wasm = components(options.components)
    shim_tree, shims = npm.shims(options.node_modules)
    programs = {HOST: options.binary, **built(options)}
    crates = inside.crates(ROOT, programs)
    third_party = inside.third_party(crates, shims, rust, number)
    sbom = inside.sbom(crates, shims, rust, number, when)
    yield "LICENSES-THIRD-PARTY.txt", third_party
    yield f"kvfuse-{number}.cdx.json", sbom

    documents = {"LICENSE": (ROOT / "LICENSE").read_bytes(), "LICENSES-THIRD-PARTY.txt": third_party,
                 "COPYRIGHT-library.html": inside.standard_library(ROOT)}
    about_it = {"README.md": (ROOT / "kvfuse/README.md").read_bytes(), "CHANGELOG.md": (ROOT / "CHANGELOG.md").read_bytes()}
    for target, binary in programs.items():
        platform, program = PLATFORMS[target], binary.read_bytes()
        its = {**documents, **licences_of_linked(platform)}
        name, content = wheel(program, platform.program, wheel_tag(platform, binary, ROOT), number,
                              {**its, "kvfuse.cdx.json": sbom}, about_it["README.md"].decode(), when)
        yield f"python/{name}", content
        tree = {platform.program: program, "kvfuse.cdx.json": sbom, **about_it, **its}
        folder = f"kvfuse-{number}-{target}"
        if platform.program.endswith(".exe"):
            yield f"archives/{folder}.zip", zip_bytes({f"{folder}/{path}": part for path, part in tree.items()}, when)
        else:
            yield f"archives/{folder}.tar.gz", tar_gz(tree, folder, when)
        name, content = npm.program(program, platform, number, its, when)
        yield f"npm/{name}", content
    name, content = npm.launcher([PLATFORMS[target] for target in programs], number, documents, when)
    yield f"npm/{name}", content

    folder = f"kvfuse-components-{number}"
    yield f"archives/{folder}.tar.gz", tar_gz({**wasm, "kvfuse.cdx.json": sbom, **documents}, folder, when)

    name, content = npm.components(wasm, about, options.transpiled, shim_tree, shims, number, documents, when)
    yield f"npm/{name}", content

    if not (options.page / "kvfuse.js").is_file():
        raise Problem(f"no page in {options.page}; make page makes it")
    for path in options.page.rglob("*"):
        if path.is_file():
            yield f"page/{path.relative_to(options.page)}", path.read_bytes()
    yield "page/LICENSES-THIRD-PARTY.txt", third_party

    for name in options.crates:
        file = f"{name}-{number}.crate"
        yield f"crates/{file}", (options.packaged / file).read_bytes()


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the folder; what is in it is removed")
    parser.add_argument("--binary", type=Path, default=target / "release/kvfuse")
    parser.add_argument("--platforms", nargs="*", default=[], help="further ones, by the names of Rust's targets")
    parser.add_argument("--target", type=Path, default=target, help="where cargo leaves their programs")
    parser.add_argument("--components", type=Path, default=ROOT / "components")
    parser.add_argument("--packaged", type=Path, default=target / "package", help="where cargo package leaves crates")
    parser.add_argument("--crates", nargs="*", default=[], help="the names of the crates there")
    parser.add_argument("--node-modules", type=Path, default=ROOT / ".tools/node-packages/node_modules")
    parser.add_argument("--transpiled", type=Path, default=ROOT / ".tools/node-provider")
    parser.add_argument("--page", type=Path, default=target / "page", help="where make page leaves it")
    options = parser.parse_args()
    try:
        files = dict(published(options))
    except (Problem, OSError) as error:
        sys.exit(f"error: {error}")
    shutil.rmtree(options.out, ignore_errors=True)
    sums = ""
    for path, content in sorted(files.items()):
        file = options.out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        sums += f"{hashlib.sha256(content).hexdigest()}  {path}\n"
        print(f"{len(content):>10}  {path}")
    (options.out / "SHA256SUMS").write_text(sums)


if __name__ == "__main__":
    main()
