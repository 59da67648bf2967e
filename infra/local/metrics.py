"""Reads the list of metrics from docs/metrics.md, and the alarms from template.yaml.

A test compares docs/metrics.md with the list in shared/src/platform/metrics/list.rs.
"""

import re
from dataclasses import dataclass

from template import ROOT, resources

OURS = {"Ref": "AWS::StackName"}
LINE = re.compile(r"\| `(\w+)` \| ([\w/]+) \| ([a-z, ]+) \| (.+) \|")


@dataclass(frozen=True)
class Metric:
    """A metric of the list. A sum is counted; of the others each value is kept."""

    name: str
    unit: str
    functions: tuple
    meaning: str
    is_sum: bool


def listed():
    """Returns {name: metric} of the list."""
    found = {}
    text = (ROOT / "docs/metrics.md").read_text()
    for kind in ("sums", "values"):
        table = text.split(f"<!-- {kind}: begin -->")[1].split(f"<!-- {kind}: end -->")[0]
        for name, unit, functions, meaning in LINE.findall(table):
            names = tuple(functions.split(", "))
            found[name] = Metric(name, unit, names, meaning, kind == "sums")
    return found


def alarms(template):
    """Returns {logical id: properties} of all alarms."""
    return resources(template, "AWS::CloudWatch::Alarm")


def anchor(alarm):
    """Returns the anchor of an alarm's section in the runbook: its logical id without `Alarm`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", alarm.removesuffix("Alarm")).lower()
