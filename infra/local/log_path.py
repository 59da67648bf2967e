"""Checks that one saved query follows a schedule through the logs of the running stack.

    infra/local/python infra/local/log_path.py STATE SINCE

The schedule is the last one that has finished since a time, in milliseconds since 1970. Its lines
must be of all functions on its path, and each must have the fields that lead from one to the other.
"""

import re
import sys
import time
from pathlib import Path

import emulator
import insights
import logs
from processes import Processes, bypass_proxy

FUNCTIONS = {"api", "dispatch", "send", "recheck"}
EACH = ("trace.id", "lambda.request_id")
# What a line with this text has besides.
FURTHER = {
    "request": ("request.id", "request.route", "duration_ms"),
    "schedule cut": ("duration_ms",),
    "batch released": ("batch.no", "attempt", "outcome", "duration_ms"),
}
# An invocation's lines are stored after its end.
WAIT_S = 15


def problems(rows):
    """Yields what the lines of a schedule, in the order of the query, lack."""
    if missing := FUNCTIONS - {row["@log"] for row in rows}:
        yield f"no line of {', '.join(sorted(missing))}"
    for row in rows:
        message = row.get("fields.message")
        for field in (*EACH, *FURTHER.get(message, ())):
            if row.get(f"fields.{field}") in (None, ""):
                yield f"`{message}` of {row['@log']} has no {field}"
    if not any(row.get("fields.request.route") == "/v1/schedules" for row in rows):
        yield "no line of the call that created it"
    yield from (f"no line `{text}`" for text in FURTHER if not _has(rows, text))


def _has(rows, text):
    return any(row.get("fields.message") == text for row in rows)


def finished(records):
    """Returns the id of the schedule that finished last, None without one."""
    ids = [
        record["fields.schedule.id"]
        for record in records
        if record.get("fields.message") == "schedule finished"
    ]
    return ids[-1] if ids else None


def followed(records):
    """Returns the id of a schedule and the rows of the query about it."""
    schedule = finished(records)
    if not schedule:
        return None, []
    text = insights.filled_in(insights.saved()["schedule"], {"SCHEDULE": schedule})
    return schedule, insights.Query(text).run(records)


def check(processes, since):
    """Exits with the problems of the path of the last schedule, if there are any."""
    client = emulator.client(processes, "logs")
    deadline = time.monotonic() + WAIT_S
    while True:
        schedule, rows = followed(logs.records(client, since))
        found = sorted(set(problems(rows))) if schedule else ["no schedule has finished"]
        if not found:
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"make logs SCHEDULE={schedule}: " + "; ".join(found))
        time.sleep(1)
    ids = {row["fields.lambda.request_id"] for row in rows}
    print(f"Path        make logs SCHEDULE={schedule}: {len(rows)} lines, {len(ids)} invocations")


def main():
    """Executes the command of the command line."""
    bypass_proxy()
    state, since = (*sys.argv[1:], None, None)[:2]
    if not re.fullmatch(r"\d+", since or ""):
        raise SystemExit("usage: log_path.py STATE SINCE")
    check(Processes(Path(state)), int(since))


if __name__ == "__main__":
    main()
