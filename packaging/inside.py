"""What is inside the program and the components: the crates that cargo compiles into them, and their licences."""

import json
import re
import subprocess
import time
from pathlib import Path

WASM = "wasm32-unknown-unknown"
# The packages that become what is published, and where.
COMPONENTS = ("kvfuse-artefacts", "kvfuse-runner", "kvfuse-explorer")
TEXTS = re.compile(r"(licen[sc]e|copying|notice|unlicense|copyright)", re.IGNORECASE)
# LICENSE, the project's own, contains the text of these two.
OWN_TEXT = {"Apache-2.0 WITH LLVM-exception", "Apache-2.0"}


class Problem(Exception):
    """Says what stands against publishing."""


def output(command, root):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        raise Problem(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def compiled(root, package, target):
    """Name and version of every crate that is linked into a package. Proc macros and build scripts are not."""
    lines = output(["cargo", "tree", "--locked", "--package", package, "--target", target, "--edges",
                    "normal,no-proc-macro", "--prefix", "none", "--no-dedupe", "--format", "{p}"], root)
    return {(name, version.removeprefix("v")) for name, version, *_ in map(str.split, lines.splitlines())}


def crates(root, targets):
    """Every crate inside, on any of the targets, in the order of names: where it is, what it needs, its licence."""
    metadata = json.loads(output(["cargo", "metadata", "--locked", "--format-version", "1"], root))
    parts = {"kvfuse": set().union(*(compiled(root, "kvfuse", target) for target in targets)),
             "components": set().union(*(compiled(root, package, WASM) for package in COMPONENTS))}
    # kvfuse embeds the components.
    wanted = set().union(*parts.values())
    lock = (root / "Cargo.lock").read_text()
    sums = {(name, version): checksum for name, version, checksum in
            re.findall(r'name = "(.*)"\nversion = "(.*)"\nsource = .*\nchecksum = "(.*)"', lock)}
    key = {package["id"]: (package["name"], package["version"]) for package in metadata["packages"]}
    needs = {key[node["id"]]: sorted({key[dep["pkg"]] for dep in node["deps"]
                                      if any(kind["kind"] is None for kind in dep["dep_kinds"])} & wanted)
             for node in metadata["resolve"]["nodes"]}
    found = {}
    for package in metadata["packages"]:
        name = key[package["id"]]
        if name in wanted:
            found[name] = {
                "name": name[0], "version": name[1], "licence": expression(package), "own": not package["source"],
                "repository": package["repository"] or package["homepage"], "checksum": sums.get(name),
                "needs": needs[name], "in": [part for part, inside in parts.items() if name in inside],
                "texts": {} if not package["source"] else texts(Path(package["manifest_path"]).parent)}
    return [found[name] for name in sorted(found)]


def expression(package):
    """The licence of a package as an SPDX expression; the old form with a slash means OR."""
    if not package["license"]:
        raise Problem(f"{package['name']} {package['version']} states no licence, so it cannot be published: "
                      "replace it, or ask its authors for a `license` in its Cargo.toml")
    return re.sub(r"\s*/\s*", " OR ", package["license"])


def texts(folder):
    """The licence files that a package carries, by path: its own, and those of code in another language."""
    files = [path for path in sorted(folder.rglob("*"))
             if TEXTS.match(path.name) and path.suffix in ("", ".md", ".txt") and path.is_file()]
    return {str(path.relative_to(folder)): path.read_text(errors="replace").strip() + "\n" for path in files}


def rust_version(root):
    return output(["rustc", "--version"], root).split()[1]


def standard_library(root):
    """What Rust says about the licences of its standard library, which is inside as well."""
    page = Path(output(["rustc", "--print", "sysroot"], root).strip()) / "share/doc/rust/COPYRIGHT-library.html"
    if not page.is_file():
        raise Problem(f"{page.name} is missing from the Rust toolchain: build what is published with one from rustup")
    return page.read_bytes()


def third_party(found, others, rust, version):
    """The page of licences: every crate with its expression, then every text once with those that carry it."""
    lines = [f"What is inside kvfuse {version}, and under which licences.", "",
             "kvfuse itself is Apache-2.0 WITH LLVM-exception: see LICENSE.",
             f"The standard library of Rust {rust} is MIT OR Apache-2.0; COPYRIGHT-library.html lists its parts.", "",
             "In brackets: inside the program kvfuse, inside the provider components. Packages of npm are only in the npm",
             "package kvfuse-components.", ""]
    bodies = {}
    for crate in found + others:
        if crate["own"]:
            continue
        where = ", ".join(crate["in"])
        lines.append(f"{crate['name']} {crate['version']} ({crate['licence']}) [{where}]")
        for text in crate["texts"].values():
            bodies.setdefault(" ".join(text.split()), (text, []))[1].append(f"{crate['name']} {crate['version']}")
        if not crate["texts"]:
            offered = {part.strip(" ()") for part in crate["licence"].split(" OR ")}
            if not offered & OWN_TEXT:
                raise Problem(f"{crate['name']} {crate['version']} ({crate['licence']}) carries no text of its licence")
            lines.append("    carries no text of its licence; that of Apache-2.0 WITH LLVM-exception is in LICENSE")
    for text, carriers in sorted(bodies.values(), key=lambda body: body[1]):
        lines += ["", "-" * 100, "The text in " + ", ".join(sorted(set(carriers))) + ":", "", text.rstrip()]
    return ("\n".join(lines) + "\n").encode()


def sbom(found, others, rust, version, epoch):
    """A CycloneDX bill of materials. It has no serial number: the same content gives the same bytes."""
    def reference(crate):
        return crate.get("purl") or f"pkg:cargo/{crate['name']}@{crate['version']}"

    def component(crate):
        one = {"type": "library", "bom-ref": reference(crate), "name": crate["name"], "version": crate["version"],
               "purl": reference(crate), "licenses": [{"expression": crate["licence"]}],
               "properties": [{"name": "kvfuse:inside", "value": part} for part in crate["in"]]}
        if crate["checksum"]:
            one["hashes"] = [{"alg": "SHA-256", "content": crate["checksum"]}]
        if crate["repository"]:
            one["externalReferences"] = [{"type": "vcs", "url": crate["repository"]}]
        return one

    std = {"name": "rust-std", "version": rust, "licence": "MIT OR Apache-2.0", "in": ["kvfuse", "components"],
           "purl": f"pkg:generic/rust-std@{rust}", "checksum": None, "needs": [],
           "repository": "https://github.com/rust-lang/rust"}
    root = next(crate for crate in found if crate["name"] == "kvfuse")
    everything = [crate for crate in found if crate is not root] + others + [std]
    depends = [{"ref": reference(crate),
                "dependsOn": [f"pkg:cargo/{name}@{number}" for name, number in crate["needs"]]} for crate in found]
    document = {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "component": {"type": "application", "bom-ref": reference(root), "name": "kvfuse", "version": version,
                          "purl": reference(root), "licenses": [{"expression": root["licence"]}]}},
        "components": [component(crate) for crate in everything], "dependencies": depends}
    return (json.dumps(document, indent=1) + "\n").encode()
