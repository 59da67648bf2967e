"""Checks the list of metrics against the code, the alarms, the dashboard and the runbook.

    infra/local/python infra/local/test_metrics.py
"""

import json
import re
import unittest

import alarm_proof
import alarm_state
import dashboard
import metrics
import status
from template import ROOT, broken, load

# The folders of the sources of each function; all of them use shared.
SOURCES = {
    name: ("functions/" + name + "/src", "shared/src")
    for name in ("api", "dispatch", "send", "recheck", "notify")
}
LIST = "shared/src/platform/metrics/list.rs"
EMITTED = re.compile(r"\b(?:Counter|Measure)::([A-Z]\w+)\b")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def used(folder, is_test):
    """Returns the metrics that the sources or the tests in a folder name."""
    found = set()
    for path in (ROOT / folder).rglob("*.rs"):
        if path.match(LIST):
            continue
        source, _, test = path.read_text().partition("#[cfg(test)]\nmod tests")
        if "/tests/" in str(path) or path.name == "tests.rs":
            source, test = "", source + test
        found |= set(EMITTED.findall(test if is_test else source))
    return found - {"ALL"}


def emissions(listed):
    """Each metric is emitted by the functions of the list and by no other, and by a test."""
    by_function = {name: used(folders[0], False) for name, folders in SOURCES.items()}
    by_all = used("shared/src", False)
    tested = set().union(*(used(folder, True) for folder in ("shared", "functions")))
    for name, metric in listed.items():
        emitting = {function for function, found in by_function.items() if name in found}
        if not emitting and name not in by_all:
            yield f"no code emits {name}"
        if emitting - set(metric.functions):
            yield f"{name} is emitted by {sorted(emitting)}, not only by {metric.functions}"
        if name not in by_all and set(metric.functions) - emitting:
            yield f"{name} is not emitted by {sorted(set(metric.functions) - emitting)}"
        if name not in tested:
            yield f"no test emits {name}"


def alarms(template, listed, runbook):
    """Each alarm notifies twice, on a listed metric, and links an existing section."""
    anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in runbook}
    for name, alarm in metrics.alarms(template).items():
        for action in ("AlarmActions", "OKActions"):
            if "AlarmTopicArn" not in json.dumps(alarm.get(action, "")):
                yield f"{name} has no {action}"
        text = alarm["AlarmDescription"]
        text = text.get("Fn::Sub", "") if isinstance(text, dict) else ""
        sentence, _, link = text.rpartition(" - ")
        if link != f"${{RunbookUrl}}#{metrics.anchor(name)}" or not sentence or ". " in sentence:
            yield f"the description of {name} is not one sentence and the link of its section"
        if metrics.anchor(name) not in anchors:
            yield f"docs/runbook.md has no section #{metrics.anchor(name)}"
        if alarm["Namespace"] == metrics.OURS and alarm["MetricName"] not in listed:
            yield f"{name} is on a metric that is not in the list"


def widgets(template, listed):
    """The dashboard is what the script writes, with each metric of the list once."""
    text = (ROOT / "template.yaml").read_text()
    if text.split(dashboard.BEGIN)[1].split(dashboard.END)[0] != dashboard.body(template):
        yield "the dashboard is not current: run `make metrics`"
    shown = [name for names, _ in dashboard.WIDGETS.values() for name in names]
    yield from (f"{name} is not on the dashboard" for name in listed.keys() - set(shown))
    yield from (f"{name} is not in the list" for name in set(shown) - listed.keys())
    yield from (f"{name} is on the dashboard twice" for name in set(shown) if shown.count(name) > 1)


def line(at, **values):
    """Returns a line in the embedded metric format."""
    named = [{"Name": name} for name in values]
    aws = {"Timestamp": at * 1000, "CloudWatchMetrics": [{"Metrics": named}]}
    return "send " + json.dumps({"_aws": aws, **values})


class Metrics(unittest.TestCase):
    """Applies the checks, also to broken copies."""

    def setUp(self):
        self.template, self.listed = load(), metrics.listed()
        self.runbook = HEADING.findall((ROOT / "docs/runbook.md").read_text())

    def test_code_list_alarms_runbook_and_dashboard_agree(self):
        self.assertEqual(list(emissions(self.listed)), [])
        self.assertEqual(list(alarms(self.template, self.listed, self.runbook)), [])
        self.assertEqual(list(widgets(self.template, self.listed)), [])

    def test_the_table_is_read_completely(self):
        source = (ROOT / LIST).read_text()
        declared = re.findall(r'^        (\w+): \w+, "', source, re.MULTILINE)
        self.assertEqual(list(self.listed), declared)

    def test_a_metric_that_nobody_emits_is_reported(self):
        extra = metrics.Metric("Unknown", "Count", ("send",), "", True)
        found = list(emissions({"Unknown": extra}))
        self.assertEqual(
            found,
            [
                "no code emits Unknown",
                "Unknown is not emitted by ['send']",
                "no test emits Unknown",
            ],
        )
        wrong = metrics.Metric("SchedulesMissed", "Count", ("send",), "", True)
        self.assertEqual(len(list(emissions({"SchedulesMissed": wrong}))), 2)

    def test_broken_alarms_are_reported(self):
        at = ("BatchParkedAlarm", "Properties")
        for path, value in (
            ((*at, "OKActions"), []),
            ((*at, "AlarmDescription"), "A batch is parked"),
            ((*at, "AlarmDescription"), {"Fn::Sub": "Parked - ${RunbookUrl}#send-dlq"}),
            ((*at, "MetricName"), "BatchParked"),
        ):
            template = broken(self.template, path, value)
            self.assertEqual(len(list(alarms(template, self.listed, self.runbook))), 1, path)
        headings = [each for each in self.runbook if each != "Batch parked"]
        self.assertEqual(
            list(alarms(self.template, self.listed, headings)),
            ["docs/runbook.md has no section #batch-parked"],
        )

    def test_a_dashboard_that_lacks_a_metric_is_reported(self):
        fewer = dict(list(self.listed.items())[1:])
        self.assertEqual(list(widgets(self.template, fewer)), ["Accepted is not in the list"])

    def test_the_dashboard_is_json(self):
        body = self.template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        self.assertEqual(len(json.loads(body)["widgets"]), 1 + len(dashboard.WIDGETS) + 3)


class Alarms(unittest.TestCase):
    """The evaluation of the alarms of the template."""

    def setUp(self):
        self.template = load()

    def raised(self, *lines, minutes=30):
        """Returns what is raised within some minutes; the sweep runs in each."""
        sweeps = [line(60 * minute, SweepsFinished=1) for minute in range(minutes)]
        found = alarm_state.points([*sweeps, *lines, "send not a metric"])
        return alarm_state.raised(self.template, found, 0, 60 * minutes)

    def test_a_quiet_stack_raises_nothing(self):
        quiet = [line(60 * at, OldestDueBatch=[0.0], SchedulesStuck=[0.0]) for at in range(30)]
        self.assertEqual(self.raised(*quiet, line(70, FirstSendLateness=[0.4])), set())

    def test_a_missing_heartbeat_raises_its_alarm(self):
        found = alarm_state.points([line(60 * minute, SweepsFinished=1) for minute in range(5)])
        alarm = alarm_state.ours(self.template)["SweepMissingAlarm"]
        self.assertEqual(alarm.raised(found, 0, 600), [600])
        self.assertEqual(alarm.raised(found, 0, 599), [])

    def test_each_statistic_and_number_of_periods_counts(self):
        errors = [line(60 * at, CarrierFailures=[0, 100]) for at in (3, 5, 7)]
        self.assertEqual(self.raised(*errors[:2]), set())
        self.assertEqual(self.raised(*errors), {"CarrierErrorsAlarm"})
        mostly = [0] * 9 + [100]
        self.assertEqual(
            self.raised(*(line(60 * at, CarrierFailures=mostly) for at in (3, 4, 5))),
            set(),
        )
        slow = [line(60 * at, CarrierLatency=[50.0] * 8 + [9000.0] * 2) for at in (3, 4, 5)]
        self.assertEqual(self.raised(*slow), {"CarrierSlowAlarm"})
        self.assertEqual(self.raised(line(90, SweepRepairs=5), line(1000, SweepRepairs=5)), set())
        self.assertEqual(
            self.raised(line(90, SweepRepairs=3), line(600, SweepRepairs=3)),
            {"SweepRepairingAlarm"},
        )
        uncertain = [line(60 * at, UncertainRecipients=[1.0]) for at in range(10, 20)]
        self.assertEqual(self.raised(*uncertain[1:]), set())
        self.assertEqual(self.raised(*uncertain), {"UncertainRecipientsAlarm"})

    def test_metrics_of_aws_are_told_apart_by_their_resource(self):
        def errors(function):
            aws = {"Timestamp": 90_000, "CloudWatchMetrics": [{
                "Namespace": "AWS/Lambda", "Dimensions": [["FunctionName"]],
                "Metrics": [{"Name": "Errors"}],
            }]}  # fmt: skip
            return json.dumps({"_aws": aws, "FunctionName": function, "Errors": 1})

        self.assertEqual(self.raised(errors("Send")), {"SendErrorsAlarm"})
        self.assertEqual(self.raised(errors("Other")), set())

    def test_each_alarm_is_raised_by_a_fault_or_has_a_reason(self):
        alarms = set(metrics.alarms(self.template))
        faults, excused = alarm_proof.expected(), alarm_proof.not_raised()
        self.assertEqual(list(alarm_proof.unproven(alarms, faults, excused)), [])
        for broken_alarms, broken_excuses, expected in (
            (alarms | {"NewAlarm"}, excused, "no fault raises NewAlarm"),
            (alarms - {"ApiErrorsAlarm"}, excused, "the template has no ApiErrorsAlarm"),
            (alarms, excused | {"BatchParked": "x" * 20}, "BatchParkedAlarm is raised, and excused"),
            (alarms, excused | {"ApiErrors": "?"}, "ApiErrors has no reason"),
        ):
            found = list(alarm_proof.unproven(broken_alarms, faults, broken_excuses))
            self.assertEqual(found, [expected])

    def test_the_status_shows_sums_and_percentiles(self):
        found = alarm_state.points(
            [line(10, Accepted=3), line(20, Accepted=4, CarrierLatency=[40.0, 60.0])]
        )
        shown = "\n".join(status.figures(found, 60))
        self.assertRegex(shown, r"Accepted +Count +7\b")
        self.assertIn("p50 40.0  p90 60.0  max 60.0", shown)
        self.assertEqual(list(status.figures(found, 60 + status.WINDOW_S)), [])


if __name__ == "__main__":
    unittest.main()
