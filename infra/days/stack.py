"""The running stack as the users of the days see it: the API, the carrier's ledger, the database."""

import contextlib
import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from running_stack import RunningStack

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 35
JSON = "application/json"
# The demo's carrier fails some messages at random. Here each fault is chosen by a day.
FAULTLESS = {
    "latency_ms": 5, "latency_jitter_ms": 0, "delivery_delay_ms_min": 0,
    "delivery_delay_ms_max": 1000, "undeliv": 0, "expired": 0, "odd": 0,
}  # fmt: skip


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, what, status, problem):
        super().__init__(f"{what}: {status} {problem}")
        self.status = status
        self.problem = problem


def equal(what, found, expected):
    """Exits unless two values are equal; of collections it shows only what differs."""
    if found == expected:
        return
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
        found = {key: found.get(key) for key in keys[:10]}
        expected = {key: expected.get(key) for key in keys[:10]}
        what = f"{what}: {len(keys)} differ"
    raise SystemExit(f"{what}\n  found     {found}\n  expected  {expected}")


def in_seconds(seconds):
    """Returns the time in so many seconds, as the API reads it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@dataclass
class Accepted:
    """A message that the carrier has accepted: its text, and the id of each part."""

    text: str
    ids: list
    time: str


@dataclass
class Stack:
    """The stack of STATE."""

    running: RunningStack = field(
        default_factory=lambda: RunningStack(ROOT / os.environ.get("STATE", ".local"))
    )

    def __post_init__(self):
        if not self.running.sends_to_simulator():
            raise SystemExit("the stack does not send to the simulated carrier")
        self.carrier = self.running.values["CARRIER_URL"].removesuffix("/api")
        self.api = self.running.values["API_URL"]
        self.tokens = [self.running.values["API_KEY"], self.running.administrator()]

    def send(self, method, path, body=None, *, kind=JSON, caller=0):
        """Calls the API; returns (headers, body). Waits if the limit of requests is reached."""
        data = json.dumps(body).encode() if kind == JSON and body is not None else body
        headers = {"authorization": f"Bearer {self.tokens[caller]}"}
        if data is not None:
            headers["content-type"] = kind
        request = urllib.request.Request(self.api + path, data, headers, method=method)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                    return response.headers, response.read()
            except urllib.error.HTTPError as error:
                problem = error.read().decode()
                if error.code != 429:
                    raise Refused(f"{method} {path}", error.code, problem) from None
                time.sleep(float(error.headers.get("Retry-After", 1)))

    def call(self, method, path, body=None, **options):
        """Calls the API; returns the JSON of the answer."""
        return json.loads(self.send(method, path, body, **options)[1] or "null")

    def get(self, path, **options):
        """Returns the JSON at a path."""
        return self.call("GET", path, **options)

    def report(self, path):
        """Returns all rows of a report, from all of its pages."""
        rows, joint = [], "&" if "?" in path else "?"
        path = f"{path}{joint}format=ndjson"
        while path:
            headers, lines = self.send("GET", path)
            rows += [json.loads(line) for line in lines.splitlines()]
            link = headers.get("Link")
            path = link[1 : link.index(">")].removeprefix(self.api) if link else None
        return rows

    def wait(self, schedule, status, seconds):
        """Waits until a schedule has a status; returns it."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(f"/v1/schedules/{schedule}")
            if found["status"] == status:
                return found
            if time.monotonic() > deadline:
                raise SystemExit(f"not {status} after {seconds} s: {found}")
            time.sleep(0.5)

    def ledger(self):
        """Returns the lines of the carrier's ledger."""
        with urllib.request.urlopen(f"{self.carrier}/ledger?from=0", timeout=TIMEOUT_S) as lines:
            return [json.loads(line) for line in lines]

    def accepted(self, since):
        """Returns what the carrier has accepted after the first `since` lines, by number."""
        by_number = {}
        for line in self.ledger()[since:]:
            messages = by_number.setdefault(f"+{line['dnis']}", [])
            if line.get("segment_num", 1) == 1:
                messages.append(Accepted("", [], line["time"]))
            messages[-1].text += line["text"]
            messages[-1].ids.append(line["message_id"])
        return by_number

    @contextlib.contextmanager
    def carrier_settings(self, **changes):
        """Changes settings of the carrier meanwhile."""
        before = self._settings({})
        try:
            self._settings(changes)
            yield
        finally:
            self._settings({name: before[name] for name in changes})

    def _settings(self, changes):
        data = json.dumps(changes).encode() if changes else None
        method = "PATCH" if changes else "GET"
        request = urllib.request.Request(f"{self.carrier}/settings", data, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return json.load(response)
