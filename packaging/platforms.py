"""The platforms that there are programs for: how each is told to pip and npm, and what its program may need of a machine."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from inside import Problem, output


@dataclass(frozen=True)
class Platform:
    about: str
    # The name that node gives to the platform and its processor, and a libc where that is not enough.
    npm: str
    npm_fields: dict
    # The tag of a wheel; {} is the minor version of glibc.
    tag: str
    # The libraries that the program may need: what every such machine has.
    permitted: frozenset = field(default=frozenset())
    program: str = "kvfuse"
    # Debian's packages whose licences hold for what the linker puts into the program.
    linked: tuple = ()


def glibc_libraries(loader):
    """Those of the list that the manylinux policies permit."""
    return frozenset({"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1", loader})


def npm_fields(system, processor, libc=None):
    return {"os": [system], "cpu": [processor], **({"libc": [libc]} if libc else {})}


HOST = "x86_64-unknown-linux-gnu"
PLATFORMS = {
    HOST: Platform(
        "x86-64 Linux with glibc", "linux-x64", npm_fields("linux", "x64", "glibc"), "manylinux_2_{}_x86_64",
        glibc_libraries("ld-linux-x86-64.so.2")),
    "x86_64-unknown-linux-musl": Platform(
        "x86-64 Linux with musl", "linux-x64-musl", npm_fields("linux", "x64", "musl"), "musllinux_1_2_x86_64",
        linked=("musl",)),
    "aarch64-unknown-linux-gnu": Platform(
        "aarch64 Linux with glibc", "linux-arm64", npm_fields("linux", "arm64", "glibc"), "manylinux_2_{}_aarch64",
        glibc_libraries("ld-linux-aarch64.so.1")),
    "x86_64-pc-windows-gnu": Platform(
        "x86-64 Windows", "win32-x64", npm_fields("win32", "x64"), "win_amd64", program="kvfuse.exe",
        linked=("mingw-w64-x86-64-dev",)),
}


def wheel_tag(platform, binary, root):
    """The tag, once it is certain that it is true: what the program needs is what every such machine has."""
    if platform.program.endswith(".exe"):
        return f"py3-none-{platform.tag}"
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output(["readelf", "--wide", "--dynamic", binary], root)))
    if needed - platform.permitted:
        raise Problem(f"{binary} needs {', '.join(sorted(needed - platform.permitted))}, which not every {platform.about} has")
    versions = re.findall(r"Name: GLIBC_2\.(\d+)", output(["readelf", "--wide", "--version-info", binary], root))
    if bool(versions) != bool(platform.permitted):
        raise Problem(f"{binary} names {'a' if versions else 'no'} version of glibc: it is not for {platform.about}")
    return f"py3-none-{platform.tag.format(max(map(int, versions), default=0))}"


def licences_of_linked(platform):
    """The texts for the C library that is inside a program, by the names that they get."""
    texts = {}
    for package in platform.linked:
        page = Path(f"/usr/share/doc/{package}/copyright")
        if not page.is_file():
            raise Problem(f"{page} is missing, the licence of what the linker puts into the program for {platform.about}: "
                          f"install Debian's package {package}")
        texts[f"COPYRIGHT-{package}.txt"] = page.read_bytes()
    return texts
