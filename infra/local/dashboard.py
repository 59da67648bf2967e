"""Writes the dashboard of template.yaml from the list of metrics.

    infra/local/python infra/local/dashboard.py

test_metrics.py compares it, and checks that each metric of the list is on it once.
"""

import json

import metrics
from template import ROOT, load

BEGIN = "      # dashboard: begin (make metrics)\n"
END = "      # dashboard: end\n"
HEIGHT, WIDTH = 6, 8

# Title of a widget: the metrics of the list on it, and their statistics if they are no sums.
WIDGETS = {
    "Messages per minute": (
        ["Accepted", "Delivered", "Undelivered", "Uncertain", "Resent"],
        [],
    ),
    "Lateness": (["FirstSendLateness", "LastSendLateness"], ["Maximum"]),
    "From send to DELIVRD": (["TimeToDelivered"], ["p50", "p90"]),
    "Due, stuck, uncertain": (
        ["OldestDueBatch", "SchedulesStuck", "UncertainRecipients"],
        ["Maximum"],
    ),
    "Capacity": (["CapacityUsed", "CapacityWanted", "CapacityLimit"], ["Maximum"]),
    "Latency of the carrier": (["CarrierLatency", "StatusLatency"], ["p50", "p90"]),
    "Failed requests to the carrier, percent": (["CarrierFailures"], ["Average"]),
    "Answers of the carrier that are not acceptances": (
        [
            "CarrierBusy",
            "CarrierRefused",
            "CarrierAccountRefused",
            "CarrierLost",
            "CarrierNotAccepted",
            "StatusQueriesFailed",
        ],
        [],
    ),
    "Statuses": (["Rechecks", "Receipts", "DeliveryShareDrops"], []),
    "Sweep": (["SweepsFinished", "SweepRepairs"], []),
    "What waits for an operator": (
        [
            "SchedulesPaused",
            "BudgetsReached",
            "SchedulesMissed",
            "BatchesMissed",
            "BatchesParked",
            "BudgetWarnings",
        ],
        [],
    ),
    "Canaries and velocity": (["CanariesFailed", "VelocityExceeded"], ["Maximum"]),
    "Webhooks": (
        ["EventsDelivered", "EventsFailed", "WebhooksSuspended", "WebhooksDisabled"],
        [],
    ),
    "Connections of the database, percent": (["DatabaseConnections"], ["Maximum"]),
    "Time at the database per invocation": (["DatabaseTime"], ["Average", "p90"]),
    "Cold starts": (["ColdStarts"], []),
}
# Sums of which each value is that of one invocation, so that other statistics make sense too.
PER_INVOCATION = {"DatabaseTime"}


def _lines(names, statistics, listed):
    """Yields the lines of a widget in the notation of CloudWatch."""
    for name in names:
        is_sum = listed[name].is_sum and name not in PER_INVOCATION
        for statistic in ["Sum"] if is_sum else statistics:
            options = {"stat": statistic}
            if len(statistics) > 1:
                options["label"] = f"{name} {statistic}"
            yield ["${AWS::StackName}", name, options]


def _widget(number, title, lines):
    at = {
        "x": number % 3 * WIDTH,
        "y": 2 + number // 3 * HEIGHT,
        "width": WIDTH,
        "height": HEIGHT,
    }
    properties = {
        "title": title,
        "region": "${AWS::Region}",
        "period": 60,
        "metrics": lines,
    }
    return {"type": "metric", **at, "properties": properties}


def widgets(template):
    """Returns all widgets: the alarms, the list of metrics, and what AWS measures."""
    listed = metrics.listed()
    alarms = [
        f"arn:${{AWS::Partition}}:cloudwatch:${{AWS::Region}}:${{AWS::AccountId}}:alarm:${{{name}}}"
        for name in metrics.alarms(template)
    ]
    found = [
        {
            "type": "alarm",
            "x": 0,
            "y": 0,
            "width": 3 * WIDTH,
            "height": 2,
            "properties": {"title": "Alarms", "alarms": alarms},
        }
    ]
    for number, (title, (names, statistics)) in enumerate(WIDGETS.items()):
        found.append(_widget(number, title, list(_lines(names, statistics, listed))))
    queues = ("Dispatch", "Send", "Recheck", "Notify")
    ages = [
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", f"${{{name}Queue.QueueName}}",
         {"stat": "Maximum"}]
        for name in queues
    ]  # fmt: skip
    dead = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", f"${{{name}.QueueName}}",
         {"stat": "Maximum"}]
        for name in ("DispatchDlq", "SendDlq", "RecheckDlq", "NotifyDlq", "ScheduleDlq",
                     "DispatchEventDlq")
    ]  # fmt: skip
    errors = [
        ["AWS/Lambda", metric, "FunctionName", f"${{{name}}}", {"stat": "Sum"}]
        for metric in ("Errors", "Throttles")
        for name in ("Api", *queues)
    ]
    aws = {
        "Oldest message of each queue": ages,
        "Dead letters": dead,
        "Errors and throttles": errors,
    }
    for number, (title, lines) in enumerate(aws.items(), start=len(WIDGETS)):
        found.append(_widget(number, title, lines))
    return found


def body(template):
    """Returns the lines of the dashboard between its markers in template.yaml."""
    lines = ",\n".join(f"          {json.dumps(widget)}" for widget in widgets(template))
    return f'      DashboardBody: !Sub |\n        {{"widgets": [\n{lines}\n        ]}}\n'


def main():
    """Writes the dashboard into template.yaml."""
    path = ROOT / "template.yaml"
    text = path.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(before + BEGIN + body(load()) + END + after)


if __name__ == "__main__":
    main()
