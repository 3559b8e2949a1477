"""The Python wheel, which puts the program kvfuse where pip puts programs."""

import base64
import hashlib
import re

from archives import zip_bytes
from inside import Problem, output

# What every Linux with glibc has, of the list that the manylinux policies permit.
PERMITTED = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1",
             "ld-linux-x86-64.so.2"}


def glibc(binary, root):
    """The minor version of the oldest glibc 2 that has every symbol that the binary needs."""
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output(["readelf", "--wide", "--dynamic", binary], root)))
    if needed - PERMITTED:
        raise Problem(f"{binary} needs {', '.join(sorted(needed - PERMITTED))}, which not every Linux has")
    versions = re.findall(r"Name: GLIBC_2\.(\d+)", output(["readelf", "--wide", "--version-info", binary], root))
    if not versions:
        raise Problem(f"{binary} names no version of glibc: it is not what the tag manylinux is for")
    return max(map(int, versions))


def wheel(program, tag, version, documents, readme, epoch):
    """The name and the bytes of the wheel. `documents` go beside its metadata: licences and the SBOM."""
    info = f"kvfuse-{version}.dist-info"
    licences = [name for name in documents if not name.endswith(".json")]
    metadata = [
        "Metadata-Version: 2.4", "Name: kvfuse", f"Version: {version}",
        "Summary: Gives any WebAssembly component that imports wasi:keyvalue a store: files, Redis or etcd",
        "Keywords: wasi,keyvalue,webassembly,component,store",
        "License-Expression: Apache-2.0 WITH LLVM-exception", *(f"License-File: {name}" for name in sorted(licences)),
        "Requires-Python: >=3.8", "Description-Content-Type: text/markdown", "", readme]
    tree = {f"kvfuse-{version}.data/scripts/kvfuse": program,
            f"{info}/METADATA": "\n".join(metadata).encode(),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: kvfuse\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()}
    for name, content in documents.items():
        tree[f"{info}/{'licenses' if name in licences else 'sboms'}/{name}"] = content

    def hashed(content):
        return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()

    record = [f"{path},sha256={hashed(content)},{len(content)}" for path, content in sorted(tree.items())]
    tree[f"{info}/RECORD"] = ("\n".join([*record, f"{info}/RECORD,,"]) + "\n").encode()
    return f"kvfuse-{version}-{tag}.whl", zip_bytes(tree, epoch)
