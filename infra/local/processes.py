"""The stack's processes: started in sessions of their own, remembered in <state>/processes.json, ended only by us.

A process is known by its id *and* its start time, so an id that the system has given to somebody else since is never
signalled. Each one leads its own session: what it starts itself (the emulator starts the functions) ends with it.
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
    """`wanted` if nothing listens there, else any free port of the loopback interface. One that the system gives to no outgoing
    connection, if there is: what ends and starts again on its port would find it taken by chance, the more the busier the machine."""
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    others = range(min(10_000, outgoing), outgoing)
    for port in ([int(wanted)] if wanted else []) + random.sample(others, min(len(others), 50)) + [0]:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise SystemExit(f"no free port (asked for {wanted})")


def listening(port):
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def alone(state):
    """One `up` or `down` at a time for a state folder."""
    while True:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds keys
        folder = os.open(state, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        # A `down` that we waited for has removed the folder that we opened.
        if state.exists() and os.fstat(folder).st_ino == state.stat().st_ino:
            break
        os.close(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            state.rmdir()  # if nothing came of it
        os.close(folder)


def _stat(pid):
    """(session id, start time in clock ticks) of a running process; None for none, and for a zombie."""
    with contextlib.suppress(OSError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else (int(fields[3]), int(fields[19]))
    return None


class Processes:
    """Everything that runs for one state folder."""

    def __init__(self, state: Path):
        self.state = state
        self.file = state / "processes.json"
        self.known = json.loads(self.file.read_text()) if self.file.exists() else {}

    def _save(self):
        self.file.write_text(json.dumps(self.known, indent=1))

    def log(self, name):
        """The file that holds a process's output."""
        return self.state / "logs" / f"{name}.log"

    def running(self, name):
        """Whether the process that we started under this name still runs."""
        entry = self.known.get(name)
        found = entry and _stat(entry["pid"])
        return bool(found) and found[1] == entry["started"]

    def start(self, name, command, *, env=None, cwd=None, **facts):
        """Start it, its output appended to <state>/logs/<name>.log, and remember it together with `facts` (its port…)."""
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

    def _session(self, entry):
        """What still runs in the session that the process led, the process itself included, and is not older than it."""
        leader = _stat(entry["pid"])
        if leader and leader[1] != entry["started"]:
            return []  # the id belongs to somebody else now, so nothing of ours can be left in that session
        pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
        members = ((pid, _stat(pid)) for pid in pids)
        return [pid for pid, found in members if found and found[0] == entry["pid"] and found[1] >= entry["started"]]

    def stop(self, name, patience_s=20):
        """End the process and all that it started: politely, and by force after `patience_s`."""
        entry = self.known.get(name)
        if entry is None:
            return
        for sent, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5)):
            # The leader first: a database or an emulator ends its own children in its own order.
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
        """End the process and all that it started at once, as a crash would; what is remembered of it (its port) stays."""
        for pid in self._session(self.known[name]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while self._session(self.known[name]):
            time.sleep(0.01)

    def tail(self, name, lines=25):
        """The last lines of a process's log, for the message that says why it failed."""
        log = self.log(name)
        text = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
        return f"--- the end of {log}\n" + "\n".join(text)

    def wait_until(self, name, ready, seconds):
        """Wait until `ready()` says so; a process that ends meanwhile, or too long a wait, stops all with its log's end."""
        deadline = time.monotonic() + seconds
        while not ready():
            with contextlib.suppress(KeyError, ChildProcessError):
                os.waitpid(self.known[name]["pid"], os.WNOHANG)
            if not self.running(name):
                raise SystemExit(f"{name} ended at once\n{self.tail(name)}")
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} was not ready within {seconds} s\n{self.tail(name)}")
            time.sleep(0.05)
