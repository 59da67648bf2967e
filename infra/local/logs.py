"""What the functions print, as the emulator's CloudWatch Logs receives it: after each invocation, a log stream for each."""

import time

import emulator

# The emulator's own lines around an invocation's.
FRAME = ("START RequestId", "END RequestId", "REPORT RequestId")


def _since(client, milliseconds):
    """(time, function, line, what makes the line unique) of everything since then, oldest first."""
    found = []
    for group in client.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=name, startTime=milliseconds)
        for place, event in enumerate(pages.search("events[]")):
            if event and not event["message"].startswith(FRAME):
                key = (event["logStreamName"], event["timestamp"], event["message"])
                found.append((event["timestamp"], place, name.rpartition("/")[2], event["message"].rstrip(), key))
    return sorted(found)


def follow(processes):
    """Print each function's lines as they come, its name before them, until Ctrl-C; what is kept from before comes first."""
    if not processes.running("emulator"):
        raise SystemExit("nothing runs: `make up` first")
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
    """The last lines of one function, for the message that says why it failed."""
    kept = [line for _, _, name, line, _ in _since(emulator.client(processes, "logs"), 0) if name == function]
    return f"--- the end of what {function} printed\n" + "\n".join(kept[-lines:])


def dump(processes):
    """Print every line of every function, once, its name before it."""
    for _, _, name, line, _ in _since(emulator.client(processes, "logs"), 0):
        print(name, line)
