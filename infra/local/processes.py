"""Starts and stops the stack's processes, which it records in <state>/processes.json.

A process is identified by its id and its start time, so that a reused id never receives a signal.
Each process leads its own session, so that its own children (the emulator's functions) are stopped
with it.
"""

import contextlib
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path


def free_port(wanted=None):
    """Returns `wanted` if nothing listens there, otherwise any free port of the loopback interface.

    If possible, the port is outside of the range for outgoing connections. Otherwise an outgoing
    connection could use the port of a process while it restarts.
    """
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    others = range(min(10_000, outgoing), outgoing)
    for port in (
        ([int(wanted)] if wanted else []) + random.sample(others, min(len(others), 50)) + [0]
    ):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise SystemExit(f"no free port (requested: {wanted})")


def listening(port):
    """Returns whether a process accepts connections on the port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def bypass_proxy():
    """Lets this process and its children reach loopback without the proxy of the environment."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost", "127.0.0.1"]))


@contextlib.contextmanager
def alone(state):
    """Allows only one `up` or `down` at a time per state folder."""
    while True:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)  # it contains keys
        folder = os.open(state, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        # While this process waited for the lock, a `down` may have removed the folder.
        if state.exists() and os.fstat(folder).st_ino == state.stat().st_ino:
            break
        os.close(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            state.rmdir()  # if it is empty
        os.close(folder)


def _stat(pid):
    """Returns (session id, start time in clock ticks); None for a zombie or no process."""
    with contextlib.suppress(OSError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else (int(fields[3]), int(fields[19]))
    return None


class Processes:
    """The processes of one state folder."""

    def __init__(self, state: Path):
        self.state = state
        self.file = state / "processes.json"
        self.known = json.loads(self.file.read_text()) if self.file.exists() else {}

    def _save(self):
        self.file.write_text(json.dumps(self.known, indent=1))

    def log(self, name):
        """Returns the file with a process's output."""
        return self.state / "logs" / f"{name}.log"

    def running(self, name):
        """Returns whether the process with this name still runs."""
        entry = self.known.get(name)
        found = entry and _stat(entry["pid"])
        return bool(found) and found[1] == entry["started"]

    def start(self, name, command, *, env=None, cwd=None, **facts):
        """Starts a process and records it, together with `facts` such as its port.

        Its output is appended to <state>/logs/<name>.log.
        """
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child = subprocess.Popen(
                [str(part) for part in command],
                env=env or os.environ,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        found = _stat(child.pid)
        self.known[name] = {"pid": child.pid, "started": found[1] if found else 0, **facts}
        self._save()
        return child

    def members(self, name):
        """Returns the ids of a process and of its children in the same session."""
        return self._session(self.known[name])

    def _session(self, entry):
        """Returns the ids of running processes in the session that a process leads or led."""
        leader = _stat(entry["pid"])
        if leader and leader[1] != entry["started"]:
            return []  # the id was reused, so no process of that session is left
        pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
        members = ((pid, _stat(pid)) for pid in pids)
        return [
            pid
            for pid, found in members
            if found and found[0] == entry["pid"] and found[1] >= entry["started"]
        ]

    def stop(self, name, timeout_s=20):
        """Stops a process and its session: SIGTERM first, SIGKILL after `timeout_s`."""
        entry = self.known.get(name)
        if entry is None:
            return
        for sent, wait_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, 5)):
            # The leader first, because a database or an emulator stops its children itself.
            targets = [entry["pid"]] if self.running(name) else self._session(entry)
            for pid in targets:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sent)
            deadline = time.monotonic() + wait_s
            while self.running(name) and time.monotonic() < deadline:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(entry["pid"], os.WNOHANG)
                time.sleep(0.02)
        for pid in self._session(entry):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        del self.known[name]
        self._save()

    def kill(self, name):
        """Kills a process and its session, like a crash. The record of it (its port) stays."""
        for pid in self._session(self.known[name]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while self._session(self.known[name]):
            time.sleep(0.01)

    def tail(self, name, lines=25):
        """Returns the last lines of a process's log, for an error message."""
        log = self.log(name)
        text = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
        return f"--- last lines of {log}\n" + "\n".join(text)

    def wait_until(self, name, ready, seconds):
        """Waits until `ready()` returns true.

        Exits with the end of the log if the process ends or the time is over.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            with contextlib.suppress(KeyError, ChildProcessError):
                os.waitpid(self.known[name]["pid"], os.WNOHANG)
            if not self.running(name):
                raise SystemExit(f"{name} ended before it was ready\n{self.tail(name)}")
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} was not ready within {seconds} s\n{self.tail(name)}")
            time.sleep(0.05)
