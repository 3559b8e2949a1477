"""The Python wheel, which puts the program kvfuse where pip puts programs."""

import base64
import hashlib

from archives import zip_bytes


def wheel(program, name, tag, version, documents, readme, epoch):
    """The name and the bytes of the wheel. `documents` go beside its metadata: licences and the SBOM."""
    info = f"kvfuse-{version}.dist-info"
    licences = [name for name in documents if not name.endswith(".json")]
    metadata = [
        "Metadata-Version: 2.4", "Name: kvfuse", f"Version: {version}",
        "Summary: Gives any WebAssembly component that imports wasi:keyvalue a store: files, Redis or etcd",
        "Keywords: wasi,keyvalue,webassembly,component,store",
        "License-Expression: Apache-2.0 WITH LLVM-exception", *(f"License-File: {name}" for name in sorted(licences)),
        "Requires-Python: >=3.8", "Description-Content-Type: text/markdown", "", readme]
    tree = {f"kvfuse-{version}.data/scripts/{name}": program,
            f"{info}/METADATA": "\n".join(metadata).encode(),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: kvfuse\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()}
    for document, content in documents.items():
        tree[f"{info}/{'licenses' if document in licences else 'sboms'}/{document}"] = content

    def hashed(content):
        return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()

    record = [f"{path},sha256={hashed(content)},{len(content)}" for path, content in sorted(tree.items())]
    tree[f"{info}/RECORD"] = ("\n".join([*record, f"{info}/RECORD,,"]) + "\n").encode()
    return f"kvfuse-{version}-{tag}.whl", zip_bytes(tree, epoch)
