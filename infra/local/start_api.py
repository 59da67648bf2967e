"""Serves the API of the running local stack with `sam local start-api`, until it is interrupted.

make start-api [PORT=3000]
"""

import contextlib
import os
import signal
import sys

import docker_engine
from invoke import ROOT, clear_aws
from processes import bypass_proxy
from running_stack import RunningStack
from sam_local import SamLocal


def main():
    """Serves the API on PORT."""
    # Also if the caller ignores SIGINT, as a shell does for a command in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    clear_aws(os.environ)
    bypass_proxy()
    engine, reason = docker_engine.find()
    if not engine:
        raise SystemExit(f"no Docker engine: {reason}\n`make up` serves the API without one")
    stack = RunningStack(ROOT / (os.environ.get("STATE") or ".local"))
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(SamLocal(stack, engine).start_api(os.environ.get("PORT") or 3000))


if __name__ == "__main__":
    main()
