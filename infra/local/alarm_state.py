"""Evaluates the alarms of template.yaml over lines in the embedded metric format, like CloudWatch.

A point is (metric, time in seconds, values). A metric of AWS itself is named by its namespace, the
resource's logical id in the template, and its name. Periods begin at multiples of their length. An alarm
is raised if as many of its last evaluation periods breach its threshold as DatapointsToAlarm says.
A period without a value counts as TreatMissingData says.
"""

import json
import math
from collections import defaultdict

import metrics

OPERATORS = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}


def points(lines):
    """Returns the points of the lines that are metrics, in any order."""
    found = []
    for line in lines:
        if '"CloudWatchMetrics"' not in line:
            continue
        try:
            parsed = json.loads(line[line.index("{") :])
        except ValueError:
            continue
        at = parsed["_aws"]["Timestamp"] / 1000
        for directive in parsed["_aws"]["CloudWatchMetrics"]:
            resource = None
            if directive.get("Namespace", "").startswith("AWS/"):
                resource = parsed[directive["Dimensions"][0][0]]
            for metric in directive["Metrics"]:
                values = parsed[metric["Name"]]
                values = values if isinstance(values, list) else [values]
                name = metric["Name"]
                key = f"{directive['Namespace']} {resource} {name}" if resource else name
                found.append((key, at, values))
    return found


def statistic(name, values):
    """Returns a statistic of CloudWatch, by its name there: Sum, Average, Maximum or p90."""
    if name == "Sum":
        return sum(values)
    if name == "Average":
        return sum(values) / len(values)
    if name == "Maximum":
        return max(values)
    rank = math.ceil(float(name.removeprefix("p")) / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def measured(properties):
    """Returns the name of an alarm's metric, as in a point."""
    if properties["Namespace"] == metrics.OURS:
        return properties["MetricName"]
    value = properties["Dimensions"][0]["Value"]
    ((_, reference),) = value.items()
    resource = reference.split(".")[0] if isinstance(reference, str) else reference[0]
    return f"{properties['Namespace']} {resource} {properties['MetricName']}"


class Alarm:
    """An alarm of the template."""

    def __init__(self, properties):
        self.metric = measured(properties)
        self.statistic = properties.get("Statistic") or properties["ExtendedStatistic"]
        self.period = properties["Period"]
        self.periods = properties["EvaluationPeriods"]
        self.needed = properties.get("DatapointsToAlarm", self.periods)
        self.breaches = OPERATORS[properties["ComparisonOperator"]]
        self.threshold = properties["Threshold"]
        self.missing_breaches = properties["TreatMissingData"] == "breaching"

    def raised(self, found, start, end):
        """Returns the ends of the periods, from `start` to `end`, after which it was raised."""
        values = defaultdict(list)
        for metric, at, given in found:
            if metric == self.metric and start <= at < end:
                values[int(at // self.period)] += given
        # Periods that have ended: in the first and in the last one, values may be missing.
        first, last = math.ceil(start / self.period), int(end // self.period)
        if not self.missing_breaches:
            # Missing values do not raise it, so that the values of these periods count too.
            first, last = int(start // self.period), int(end // self.period) + 1
        breaching = [
            self.breaches(statistic(self.statistic, values[each]), self.threshold)
            if values[each]
            else self.missing_breaches
            for each in range(first, last)
        ]
        ends = []
        for at in range(len(breaching)):
            window = breaching[max(0, at + 1 - self.periods) : at + 1]
            if sum(window) >= self.needed:
                ends.append((first + at + 1) * self.period)
        return ends


def ours(template):
    """Returns {logical id: alarm} of the alarms on the stack's own metrics."""
    return {
        name: Alarm(properties)
        for name, properties in metrics.alarms(template).items()
        if properties["Namespace"] == metrics.OURS
    }


def all_alarms(template):
    """Returns {logical id: alarm} of all alarms, also of those on metrics of AWS itself."""
    return {name: Alarm(properties) for name, properties in metrics.alarms(template).items()}


def raised(template, found, start, end):
    """Returns the logical ids of the alarms that were raised at any time from start to end."""
    return {name for name, alarm in all_alarms(template).items() if alarm.raised(found, start, end)}
