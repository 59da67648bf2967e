"""Builds the workspace as everybody does, and puts each function's binary where template.yaml looks for it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"dev": ROOT / "target" / "debug", "release": ROOT / "target" / "release"}
FUNCTIONS = ("api", "dispatch", "migrate", "recheck", "send")


def run(profile):
    """cargo build, then target/lambda/<function>/bootstrap for each function that changed."""
    command = ["cargo", "build", "--workspace", "--bins", "--profile", profile]
    if not sys.stderr.isatty():
        command.append("--quiet")
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode:
        raise SystemExit("the build failed")
    for name in FUNCTIONS:
        _bootstrap(FOLDERS[profile] / name, ROOT / "target" / "lambda" / name)


def _bootstrap(binary, folder):
    """The binary as `bootstrap`, without its symbols: a tenth to zip and to upload."""
    made_from, mark = folder / "made-from", f"{binary} {binary.stat().st_mtime_ns}"
    if (folder / "bootstrap").exists() and made_from.exists() and made_from.read_text() == mark:
        return
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["strip", "-o", folder / "bootstrap.new", binary], check=True)
    (folder / "bootstrap.new").rename(folder / "bootstrap")
    made_from.write_text(mark)
