"""Shows the figures of the local stack: metrics, queues, schedules, and the alarms of the template.

`make status` prints them after the processes. The metrics come from the functions' logs, as on AWS.
"""

import time

import alarm_state
import logs
import metrics
from running_stack import RunningStack
from template import load

WINDOW_S = 900
QUEUES = ("DISPATCH", "SEND", "RECHECK", "NOTIFY")
DEAD = ("DISPATCH_DLQ", "SEND_DLQ", "RECHECK_DLQ", "NOTIFY_DLQ", "SCHEDULE_DLQ",
        "DISPATCH_EVENT_DLQ")  # fmt: skip


def figures(found, now):
    """Yields a line per metric that has a value within the window."""
    for name, metric in metrics.listed().items():
        recent = [
            (at, value)
            for found_name, at, values in found
            if found_name == name and at >= now - WINDOW_S
            for value in values
        ]
        if not recent:
            continue
        values = [value for _, value in recent]
        if metric.is_sum:
            text = f"{sum(values):12,.0f}"
        else:
            median, high = (alarm_state.statistic(each, values) for each in ("p50", "p90"))
            text = f"p50 {median:,.1f}  p90 {high:,.1f}  max {max(values):,.1f}"
        yield f"  {name:22} {metric.unit:13} {text}"


def depths(stack):
    """Returns {variable of the queue: messages in it, visible, delayed or in flight}."""
    client, found = stack.client("sqs"), {}
    names = ("", "Delayed", "NotVisible")
    wanted = [f"ApproximateNumberOfMessages{name}" for name in names]
    for name in QUEUES + DEAD:
        given = client.get_queue_attributes(
            QueueUrl=stack.values[f"{name}_QUEUE_URL" if name in QUEUES else f"{name}_URL"],
            AttributeNames=wanted,
        )
        found[name] = sum(int(given["Attributes"].get(each, 0)) for each in wanted)
    return found


def dead_letter_alarms(template, messages):
    """Yields the alarms of dead-letter queues that hold a message."""
    for name, alarm in metrics.alarms(template).items():
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible":
            queue = alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
            variable = queue.removesuffix("Dlq").replace("Event", "_Event").upper() + "_DLQ"
            if messages[variable]:
                yield name


def show(state):
    """Prints everything; returns the logical ids of the alarms that are raised."""
    stack, template, now = RunningStack(state), load(), time.time()
    lines = logs.lines(stack.processes)
    found = alarm_state.points(lines)
    start = min((at for _, at, _ in found), default=now)
    print(f"\nfigures of the last {WINDOW_S // 60} minutes (docs/metrics.md)")
    for line in figures(found, now):
        print(line)
    messages = depths(stack)
    print("\nmessages in the queues")
    print("  " + "  ".join(f"{name.lower()} {messages[name]}" for name in QUEUES))
    print("\nschedules")
    by_status = stack.rows("SELECT status, COUNT(*) FROM schedules GROUP BY status ORDER BY status")
    print("  " + ("  ".join(f"{status} {number}" for status, number in by_status) or "none"))
    raised = {}
    for name, alarm in alarm_state.ours(template).items():
        if ends := alarm.raised(found, start, now):
            raised[name] = ends[-1]
    for name in dead_letter_alarms(template, messages):
        raised[name] = now
    print(
        "\nalarms (Errors, Throttles and the ages of messages are measured on AWS only)"
    )
    if not raised:
        print("  none was raised since the first line of the logs")
    for name, until in sorted(raised.items()):
        alarm = metrics.alarms(template)[name]
        ago = "now" if until >= now - alarm["Period"] else f"until {(now - until) / 60:.0f} min ago"
        meaning = alarm["AlarmDescription"]["Fn::Sub"].rpartition(" - ")[0]
        print(f"  {name} ({ago}): {meaning}; docs/runbook.md#{metrics.anchor(name)}")
    return set(raised)
