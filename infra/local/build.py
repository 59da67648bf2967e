"""Builds the workspace as everybody does, and puts each function's binary where a deployment takes it from.

That is target/lambda, where template.yaml looks; for a stack in which faults are injected (FAULTS=1) it is target/faults. The
functions are then built with fault points, and such a binary must never be deployed to AWS: it does what a port of loopback says.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"dev": ROOT / "target" / "debug", "release": ROOT / "target" / "release"}
FUNCTIONS = ("api", "dispatch", "migrate", "notify", "recheck", "send")
FAULT_FEATURES = ["chaos/fault-points"]
FAULT_MARK = b"FAULT_POINTS_URL"  # the variable that only fault points read


def functions_folder(faults):
    """Where the functions' binaries are put: <folder>/<function>/bootstrap."""
    return ROOT / "target" / ("faults" if faults else "lambda")


def run(profile, faults=False):
    """cargo build, then the `bootstrap` of each function that changed."""
    command = ["cargo", "build", "--workspace", "--bins", "--profile", profile]
    if faults:
        command += ["--features", ",".join(FAULT_FEATURES)]
    if not sys.stderr.isatty():
        command.append("--quiet")
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode:
        raise SystemExit("the build failed")
    for name in FUNCTIONS:
        _bootstrap(FOLDERS[profile] / name, functions_folder(faults) / name, faults)


def _bootstrap(binary, folder, faults):
    """The binary as `bootstrap`, without its symbols: a tenth to zip and to upload."""
    made_from, mark = folder / "made-from", f"{binary} {binary.stat().st_mtime_ns}"
    if (folder / "bootstrap").exists() and made_from.exists() and made_from.read_text() == mark:
        return
    if not faults and FAULT_MARK in binary.read_bytes():
        raise SystemExit(f"{binary} has fault points, and was not asked for them")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["strip", "-o", folder / "bootstrap.new", binary], check=True)
    (folder / "bootstrap.new").rename(folder / "bootstrap")
    made_from.write_text(mark)
