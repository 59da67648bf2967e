"""Builds the workspace and puts each function's binary into the folder from which it is deployed.

That folder is target/lambda, to which template.yaml refers. For a stack with fault injection
(FAULTS=1) it is target/faults, and the functions are built with fault points. Such a binary must
never be deployed to AWS, because a local port controls it.

With the profile lambda the functions are those of `make lambda`, so that the stack runs the
binaries that a deployment to AWS would get. The programs beside them (gateway, simulator, demo) are
of the profile dev then: they are not deployed, and their build for AWS would take minutes.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = "lambda"  # the profile of the deployment
# The folder of the programs beside the functions, by profile.
FOLDERS = {
    "dev": ROOT / "target" / "debug",
    "release": ROOT / "target" / "release",
    DEPLOYED: ROOT / "target" / "debug",
}
FUNCTIONS = ("api", "dispatch", "migrate", "notify", "recheck", "send")
FAULT_FEATURES = ["chaos/fault-points"]
FAULT_MARK = b"FAULT_POINTS_URL"  # the variable that only fault points read


def functions_folder(faults):
    """Returns the folder of the binaries, which are <folder>/<function>/bootstrap."""
    return ROOT / "target" / ("faults" if faults else "lambda")


def run(profile, faults=False):
    """Runs cargo build, then updates the `bootstrap` of each function that changed."""
    command = ["cargo", "build", "--workspace", "--bins"]
    command += ["--profile", "dev" if profile == DEPLOYED else profile]
    if faults:
        command += ["--features", ",".join(FAULT_FEATURES)]
    if not sys.stderr.isatty():
        command.append("--quiet")
    _execute(command)
    if profile == DEPLOYED:
        _execute([ROOT / "infra" / "local" / "lambda"])
        return
    for name in FUNCTIONS:
        _bootstrap(FOLDERS[profile] / name, functions_folder(faults) / name, faults)


def _execute(command):
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode:
        raise SystemExit("the build failed")


def _bootstrap(binary, folder, faults):
    """Copies the binary as `bootstrap` without symbols, which reduces the upload to a tenth."""
    made_from, mark = folder / "made-from", f"{binary} {binary.stat().st_mtime_ns}"
    if (folder / "bootstrap").exists() and made_from.exists() and made_from.read_text() == mark:
        return
    if not faults and FAULT_MARK in binary.read_bytes():
        raise SystemExit(f"{binary} contains fault points, but FAULTS=1 is not set")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["strip", "-o", folder / "bootstrap.new", binary], check=True)
    (folder / "bootstrap.new").rename(folder / "bootstrap")
    made_from.write_text(mark)
