"""Reads the functions' logs from the emulator, which stores them after each invocation.

    infra/local/python infra/local/logs.py size STATE SINCE

prints how many bytes of logs each function has written since a time, in milliseconds since 1970,
in total and per million messages.
"""

import json
import re
import sys
import time
from pathlib import Path

import emulator
import insights
from processes import Processes, bypass_proxy

# Lines that the emulator adds to each invocation.
FRAME = ("START RequestId", "END RequestId", "REPORT RequestId")
# What CloudWatch adds to the size of each line that it ingests.
EVENT_BYTES = 26
# The line that says how many messages a schedule has.
CUT = '"schedule cut"'


def _since(client, milliseconds):
    """Returns (time, order, function, line, unique key) of each line since then, oldest first."""
    found = []
    for group in client.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        paginator = client.get_paginator("filter_log_events")
        pages = paginator.paginate(logGroupName=name, startTime=milliseconds)
        for order, event in enumerate(pages.search("events[]")):
            if event and not event["message"].startswith(FRAME):
                timestamp, message = event["timestamp"], event["message"]
                key = (event["logStreamName"], timestamp, message)
                found.append((timestamp, order, name.rpartition("/")[2], message.rstrip(), key))
    return sorted(found)


def records(client, milliseconds):
    """Returns the stored lines since then as records of Insights, oldest first."""
    stored = _since(client, milliseconds)
    return [
        insights.record(timestamp, function, line) for timestamp, _, function, line, _ in stored
    ]


def follow(processes):
    """Prints all stored lines and then new ones, readable, until Ctrl-C."""
    if not processes.running("emulator"):
        raise SystemExit("the stack does not run: run `make up` first")
    client = emulator.client(processes, "logs")
    seen, since = set(), 0
    while True:
        for timestamp, _, name, line, key in _since(client, since):
            if key not in seen:
                seen.add(key)
                print(_readable(insights.record(timestamp, name, line)), flush=True)
            since = max(since, timestamp - 2_000)
        time.sleep(1)


def query(processes, values):
    """Prints the result of a saved query of the template: the one that QUERY names in `values`, or
    the one for a SCHEDULE or a WEBHOOK."""
    if not processes.running("emulator"):
        raise SystemExit("the stack does not run: run `make up` first")
    queries = insights.saved()
    name = values.get("QUERY") or ("schedule" if values.get("SCHEDULE") else "webhook")
    if name not in queries:
        raise SystemExit(f"QUERY={name}: expected one of {', '.join(sorted(queries))}")
    parsed = insights.Query(insights.filled_in(queries[name], values))
    rows = parsed.run(records(emulator.client(processes, "logs"), 0))
    # What all lines of the result have in common.
    common = {"SCHEDULE": ("schedule.id", "trace.id"), "WEBHOOK": ("webhook.id",)}
    hidden = {field for name in common if values.get(name) for field in common[name]}
    readable = (_readable(row, hidden) for row in rows)
    for line in _table(parsed.shown, rows) if parsed.is_table else readable:
        print(line)
    print(f"{len(rows)} {'rows' if parsed.is_table else 'lines'} of the query {name}")


def _readable(row, hidden=()):
    """Returns a line of the log as text: time, function, level, message, then its fields."""
    seconds, milliseconds = divmod(row["@timestamp"], 1000)
    clock = f"{time.strftime('%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03}"
    if "fields.message" not in row:
        return f"{clock} {row['@log']:9} {row['@message']}"
    fields = {
        name.removeprefix("fields."): value
        for name, value in row.items()
        if name.startswith("fields.") and name.removeprefix("fields.") not in {"message", *hidden}
    }
    text = " ".join(f"{name}={value}" for name, value in sorted(fields.items()))
    return f"{clock} {row['@log']:9} {row['level']:5} {row['fields.message']:24} {text}"


def _table(names, rows):
    """Yields the lines of a table with right-aligned columns."""
    heads = [name.removeprefix("fields.") for name in names]
    cells = [heads]
    for row in rows:
        values = (row.get(name) for name in names)
        cells.append(["" if value is None else str(value) for value in values])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))


def size(processes, since):
    """Prints the bytes of the functions' logs since a time, as CloudWatch counts them."""
    stored = _since(emulator.client(processes, "logs"), since)
    sizes, messages = {}, 0
    for _, _, function, line, _ in stored:
        lines, total = sizes.get(function, (0, 0))
        sizes[function] = (lines + 1, total + len(line.encode()) + EVENT_BYTES)
        if CUT in line:
            messages += json.loads(line)["fields"]["recipients"]
    sizes["total"] = tuple(map(sum, zip(*sizes.values(), strict=True)))
    for function, (lines, total) in sizes.items():
        share = f"{total / messages:8.2f} MB" if messages else "       –"
        print(f"  {function:20} {lines:>6} lines {total / 1000:>9.1f} kB {share}")
    print(f"Logs        {messages:,} messages; MB is per million messages")


def tail(processes, function, lines=25):
    """Returns the last lines of one function, for an error message."""
    stored = _since(emulator.client(processes, "logs"), 0)
    found = [line for _, _, name, line, _ in stored if name == function]
    return f"--- last lines of the log of {function}\n" + "\n".join(found[-lines:])


def lines(processes):
    """Returns all stored lines of all functions, with the function's name."""
    stored = _since(emulator.client(processes, "logs"), 0)
    return [f"{name} {line}" for _, _, name, line, _ in stored]


def dump(processes):
    """Prints all stored lines of all functions, with the function's name."""
    for line in lines(processes):
        print(line)


def main():
    """Executes the command of the command line."""
    bypass_proxy()
    command, state, since = (*sys.argv[1:], None, None, None)[:3]
    if command != "size" or not re.fullmatch(r"\d+", since or ""):
        raise SystemExit("usage: logs.py size STATE SINCE")
    size(Processes(Path(state)), int(since))


if __name__ == "__main__":
    main()
