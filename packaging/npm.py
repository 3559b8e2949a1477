"""The npm packages: kvfuse with its program in a package of its own, and the provider components."""

import json
import re
from pathlib import Path

from archives import tar_gz
from inside import Problem

HERE = Path(__file__).parent / "npm"
SHIMS = ("@bytecodealliance/preview2-shim", "@bytecodealliance/jco-node-fs")
LICENCE = "Apache-2.0 WITH LLVM-exception"


def packed(manifest, tree, epoch):
    """The name and the bytes of a package, as `npm pack` lays it out."""
    tree["package.json"] = (json.dumps({**manifest, "license": LICENCE}, indent=2) + "\n").encode()
    return f"{manifest['name']}-{manifest['version']}.tgz", tar_gz(tree, "package", epoch)


ABOUT = "Gives any WebAssembly component that imports wasi:keyvalue a store: files, Redis or etcd"


def program(program, platform, version, documents, epoch):
    """The package with the program for one platform."""
    name = f"kvfuse-{platform.npm}"
    readme = f"# {name}\n\nThe program of the package kvfuse for {platform.about}.\n"
    return packed({"name": name, "version": version, "description": f"{ABOUT} ({platform.about})", **platform.npm_fields,
                   "preferUnplugged": True},
                  {f"bin/{platform.program}": program, "README.md": readme.encode(), **documents}, epoch)


def launcher(platforms, version, documents, epoch):
    """kvfuse, which starts the program of the platform; npm installs the package that fits."""
    folder = HERE / "kvfuse"
    return packed({"name": "kvfuse", "version": version, "description": ABOUT,
                   "keywords": ["wasi", "keyvalue", "webassembly", "component", "store"],
                   "bin": {"kvfuse": "bin/kvfuse.js"}, "engines": {"node": ">=18"},
                   "optionalDependencies": {f"kvfuse-{platform.npm}": version for platform in platforms}},
                  {"bin/kvfuse.js": (folder / "bin.js").read_bytes(), "README.md": (folder / "README.md").read_bytes(),
                   "LICENSE": documents["LICENSE"]}, epoch)


def shims(modules):
    """What the transpiled store needs of npm, as it was installed, and what the bill of materials says of it."""
    tree, inside = {}, []
    for name in SHIMS:
        folder = modules / name
        about = json.loads((folder / "package.json").read_text())
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        tree |= {f"node_modules/{name}/{path}": content for path, content in files.items()}
        inside.append({
            "name": name, "version": about["version"], "licence": about["license"].strip("()"), "own": False,
            "in": ["components"], "purl": f"pkg:npm/{name.replace('@', '%40')}@{about['version']}", "checksum": None,
            "needs": [], "repository": re.sub(r"^git\+", "", about["repository"]["url"]),
            "texts": {"LICENSE": files["LICENSE"].decode()}})
    return tree, inside


def components(wasm, about, transpiled, shim_tree, shims_inside, version, documents, epoch):
    """Every component, and the file store for Node."""
    tree = {f"wasm/{file}": content for file, content in wasm.items()}
    tree["components.json"] = (json.dumps(about, indent=1) + "\n").encode()
    for path in sorted(transpiled.rglob("*")):
        name = str(path.relative_to(transpiled)).removeprefix("types/")
        # The types beside the transpiled store mix the generations that it exports.
        typed = name.startswith("interfaces/") and path.is_relative_to(transpiled / "types")
        if path.is_file() and (typed or re.fullmatch(r"keyvalue\..*(js|wasm)", name)):
            tree[f"files/{name}"] = path.read_bytes()
    for part in ("store", "atomics", "batch"):
        types = tree[f"files/interfaces/wasi-keyvalue-{part}.d.ts"].decode()
        if f"wasi:keyvalue/{part}@0.2.0-draft2 " not in types.splitlines()[0]:
            raise Problem(f"jco wrote the types of another version of {part}: {types.splitlines()[0]}")
    folder = HERE / "components"
    for name in ("files.js", "files.d.ts", "README.md"):
        tree[name] = (folder / name).read_bytes()
    names = {shim["name"]: shim["version"] for shim in shims_inside}
    manifest = {
        "name": "kvfuse-components", "version": version, "type": "module",
        "description": "The provider components of kvfuse: stores for components that import wasi:keyvalue",
        "keywords": ["wasi", "keyvalue", "webassembly", "component", "store"],
        "exports": {"./files": {"types": "./files.d.ts", "default": "./files.js"}, "./*.wasm": "./wasm/*.wasm",
                    "./components.json": "./components.json", "./package.json": "./package.json"},
        "engines": {"node": ">=20"},
        "dependencies": names, "bundleDependencies": list(names)}
    return packed(manifest, {**tree, **shim_tree, **documents}, epoch)
