"""Reads the functions' logs from the emulator, which stores them after each invocation."""

import time

import emulator

# Lines that the emulator adds to each invocation.
FRAME = ("START RequestId", "END RequestId", "REPORT RequestId")


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


def follow(processes):
    """Prints all stored lines and then new ones, with the function's name, until Ctrl-C."""
    if not processes.running("emulator"):
        raise SystemExit("the stack does not run: run `make up` first")
    client = emulator.client(processes, "logs")
    seen, since = set(), 0
    while True:
        for timestamp, _, name, line, key in _since(client, since):
            if key not in seen:
                seen.add(key)
                print(f"{name:9} {line}", flush=True)
            since = max(since, timestamp - 2_000)
        time.sleep(1)


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
