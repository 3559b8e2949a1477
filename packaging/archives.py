"""Archives whose bytes follow from what is in them: sorted entries, one time for all of them, no owners."""

import gzip
import io
import tarfile
import time
import zipfile

# A tree is a dictionary from paths to contents; what is in PROGRAMS may be run.
PROGRAMS = ("bin/kvfuse", "scripts/kvfuse", "/kvfuse", "bin/kvfuse.js")


def mode(path):
    return 0o755 if path.endswith(PROGRAMS) else 0o644


def tar_gz(tree, folder, epoch):
    """The tree in one folder, as bytes of a .tar.gz."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(tree.items()):
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size, entry.mtime, entry.mode = len(content), epoch, mode(f"/{path}")
            archive.addfile(entry, io.BytesIO(content))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:
        stream.write(plain.getvalue())
    return packed.getvalue()


def zip_bytes(tree, epoch):
    """The tree as bytes of a .zip, in the order of its paths."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(tree.items()):
            entry = zipfile.ZipInfo(path, time.gmtime(epoch)[:6])
            entry.create_system, entry.external_attr = 3, (0o100000 | mode(f"/{path}")) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()
