"""Checks that the functions' binaries start on Lambda and contain no fault points.

    python3 infra/local/binaries.py [FOLDER [ARCHITECTURE]]

FOLDER (target/lambda) contains <function>/bootstrap. ARCHITECTURE is x86_64 or arm64, as in the
parameter of the template; without it, the variable of that name, otherwise that of this machine.
A local port controls fault points. The search for them is tested too: if target/faults contains the
binaries of `make chaos`, it must find them there.

Needs readelf, which reads binaries for any machine, and only the standard library of Python.
"""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import build

# The value of Architecture in the template, by the machine that readelf prints.
MACHINES = {"Advanced Micro Devices X86-64": "x86_64", "AArch64": "arm64"}
GLIBC = (2, 34)  # of provided.al2023
# All that a binary may load. They are parts of glibc and the run-time library of its compiler.
# Others are not in provided.al2023, or in another version than on the machine that builds.
LIBRARIES = {
    "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2", "libc.so.6", "libgcc_s.so.1", "libm.so.6",
}  # fmt: skip
WITH_FAULT_POINTS = ("dispatch", "recheck", "send")  # of target/faults

MACHINE = re.compile(r"^ *Machine: *(.*)$", re.MULTILINE)
LIBRARY = re.compile(r"\(NEEDED\) *Shared library: \[(.*)\]")
VERSION = re.compile(r"Name: GLIBC_(\S+)")


def own_architecture():
    """Returns the architecture of this machine, as the template names it."""
    machine = platform.machine()
    return {"aarch64": "arm64"}.get(machine, machine)


def findings(binary, architecture):
    """Yields what is wrong with a binary."""
    if not binary.is_file():
        yield "is missing"
        return
    command = ["readelf", "--wide", "--file-header", "--dynamic", "--version-info", binary]
    done = subprocess.run(
        command, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, check=False
    )
    machine = MACHINE.search(done.stdout)
    if not machine:
        yield "is no ELF binary"
        return
    found = MACHINES.get(machine[1], machine[1])
    if found != architecture:
        yield f"is for {found}, and Architecture is {architecture}"
    yield from _loaded(done.stdout)
    if build.FAULT_MARK in binary.read_bytes():
        yield "contains fault points"


def _loaded(described):
    """Yields the libraries and versions of glibc that Lambda does not have."""
    for library in sorted(set(LIBRARY.findall(described)) - LIBRARIES):
        yield f"needs the library {library}, which is not on Lambda"
    for version in sorted(set(VERSION.findall(described))):
        # A name without a number stands for a feature of the loader that is newer than 2.34.
        numbers = re.fullmatch(r"(\d+)\.(\d+)(?:\.\d+)?", version)
        if not numbers or (int(numbers[1]), int(numbers[2])) > GLIBC:
            yield f"needs glibc {version}, and Lambda has 2.34: build on an older system"


def search_findings(folder):
    """Yields each binary of the chaos build in which the search finds no fault points."""
    for name in WITH_FAULT_POINTS:
        binary = folder / name / "bootstrap"
        if not binary.is_file() or build.FAULT_MARK not in binary.read_bytes():
            yield f"{binary}: no fault points were found, but it must contain them"


def main(folder="target/lambda", architecture=None):
    """Checks the binaries of all functions; exits with 1 if there is a finding."""
    architecture = architecture or os.environ.get("ARCHITECTURE") or own_architecture()
    if architecture not in MACHINES.values():
        raise SystemExit(f"ARCHITECTURE={architecture}: expected x86_64 or arm64")
    binaries = [Path(folder) / name / "bootstrap" for name in build.FUNCTIONS]
    found = [f"{path}: {text}" for path in binaries for text in findings(path, architecture)]
    control = build.functions_folder(faults=True)
    tested = "was not tested: there is no target/faults"
    if control.is_dir():
        found += search_findings(control)
        tested = "finds those in target/faults"
    if found:
        raise SystemExit("\n".join(found))
    print(
        f"{folder}: {len(binaries)} binaries for {architecture}, glibc at most 2.34, no fault "
        f"points (the search for them {tested})"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
