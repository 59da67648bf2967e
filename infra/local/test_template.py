"""Checks rules of template.yaml that `sam validate --lint` does not cover.

Each rule yields its findings. One test applies all rules to the template. The other tests break the
template and check that the rule reports it.

    infra/local/python infra/local/test_template.py

test_template_access.py checks permissions, routes and secrets, test_configuration.py variables.
"""

import unittest

import build
import deploy
from template import broken, functions, load, number, resources, sources, variables

WORKERS = (
    "Dispatch",
    "Send",
    "Recheck",
    "Notify",
)  # functions that start from a queue and enqueue messages

BINARIES = {"SchemaCheck": "migrate"}  # functions whose binary is that of another function


def visibility(template):
    """The visibility timeout of a queue is at least six times the timeout of its function.

    Lambda requires this: a throttled call is retried within that time, and a retry never overlaps
    with the first run. Both values are parameters, so that a change of one default requires a
    change of the other.
    """
    queues = resources(template, "AWS::SQS::Queue")
    for name, function, queue, _ in sources(template):
        if number(template, queues[queue]["VisibilityTimeout"]) < 6 * number(
            template, function["Timeout"]
        ):
            yield f"messages of {queue} become visible again before {name} has certainly ended"


def time_to_record(template):
    """With the defaults, a worker can record the response of a request of full duration."""
    for name in ("Send", "Recheck"):
        given = variables(template, name)
        needed = number(template, given["CARRIER_TIMEOUT_S"]) + number(
            template, given["RECORDING_SHARE_S"]
        )
        if needed >= number(template, functions(template)[name]["Timeout"]):
            yield f"{name} ends before it can record the carrier's response"


def queue_sources(template):
    """Each event source reports failed items; its concurrency is valid (the linter accepts 1)."""
    if sorted(name for name, *_ in sources(template)) != sorted(WORKERS):
        yield "expected exactly one queue per worker"
    for name, _, _, event in sources(template):
        if event.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name} does not report failed items"
        limit = event["ScalingConfig"]["MaximumConcurrency"]
        bounds = template["Parameters"][limit["Ref"]]
        if not 2 <= bounds["MinValue"] <= bounds["Default"] <= bounds["MaxValue"] <= 1000:
            yield f"MaximumConcurrency of {name} is not limited to 2..1000"


def dead_letters(template):
    """Each queue has its own dead-letter queue with an alarm and a retention of 14 days."""
    queues = resources(template, "AWS::SQS::Queue")
    for _, _, queue, _ in sources(template):
        redrive = queues[queue].get("RedrivePolicy", {"maxReceiveCount": 0})
        target = redrive.get("deadLetterTargetArn", {"Fn::GetAtt": [None]})["Fn::GetAtt"][0]
        if redrive["maxReceiveCount"] < 5 or target != queue.replace("Queue", "Dlq"):
            yield f"{queue} has too few receives, or the dead-letter queue of another queue"
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible" and alarm["Threshold"] == 0
    }
    dead_letter_queues = {name for name in queues if name.endswith("Dlq")}
    yield from (f"{name} has no alarm" for name in dead_letter_queues - watched)
    for name in dead_letter_queues:
        if queues[name].get("MessageRetentionPeriod") != 14 * 86_400:
            yield f"{name} does not keep messages for 14 days"
    for name, queue in queues.items():
        if queue.get("SqsManagedSseEnabled") is not True:
            yield f"{name} is not encrypted"


def alarms(template):
    """Errors and throttles of each function have an alarm.

    test_metrics.py checks what else an alarm needs. SchemaCheck runs only during a deployment, which fails with it.
    """
    found = resources(template, "AWS::CloudWatch::Alarm")
    watched = {
        (alarm["MetricName"], str(alarm["Dimensions"][0]["Value"]))
        for alarm in found.values()
        if "Dimensions" in alarm
    }
    for name in functions(template).keys() - {"SchemaCheck"}:
        for metric in ("Errors", "Throttles"):
            if (metric, str({"Ref": name})) not in watched:
                yield f"no alarm on {metric} of {name}"


def log_groups(template):
    """Each log group has the retention of the parameter, and goes to the stream if there is one."""
    filters = resources(template, "AWS::Logs::SubscriptionFilter")
    streamed = {line["LogGroupName"]["Ref"] for line in filters.values()}
    for name, group in resources(template, "AWS::Logs::LogGroup").items():
        if group.get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{name} has a retention of its own"
        if name not in streamed:
            yield f"{name} does not go to the stream"
    for name, line in filters.items():
        if template["Resources"][name].get("Condition") != "HasLogStream":
            yield f"{name} would exist without a stream"
        if line["DestinationArn"] != {"Ref": "LogStreamArn"} or line["FilterPattern"] != "":
            yield f"{name} does not send every line to the stream"
        if line["RoleArn"] != {"Fn::GetAtt": ["LogStreamRole", "Arn"]}:
            yield f"{name} has another role"


def recursion(template):
    """Lambda must not stop the chain send → recheck → send after 16 calls. No emulator does so."""
    for name, function in functions(template).items():
        if (function.get("RecursiveLoop") == "Allow") != (name in WORKERS):
            yield f"{name} has the wrong RecursiveLoop"


def parameters(template):
    """Each parameter has a description, and the local deployment sets only existing parameters."""
    for name, parameter in template["Parameters"].items():
        if not parameter.get("Description"):
            yield f"{name} has no description"
    local = {parameter for parameter, _ in deploy.LOCAL.values()} | set(deploy.UNUSED)
    yield from (
        f"deploy.py sets {name}, which is not a parameter"
        for name in local - set(template["Parameters"])
    )


def code(template):
    """Each function uses the binary of the build, and SAM does not build it again."""
    for name, function in functions(template).items():
        binary = BINARIES.get(name, name.lower())
        if function["CodeUri"] != f"target/lambda/{binary}/" or binary not in build.FUNCTIONS:
            yield f"{name} uses {function['CodeUri']}, which the build does not produce"
        if template["Resources"][name].get("Metadata", {}).get("SkipBuild") is not True:
            yield f"{name} would be built by SAM"


RULES = (
    visibility, time_to_record, queue_sources, dead_letters, alarms, log_groups, recursion,
    parameters, code,
)  # fmt: skip


class Template(unittest.TestCase):
    """Applies the rules to the template and to broken copies of it."""

    def setUp(self):
        self.template = load()

    def test_the_template_follows_every_rule(self):
        for rule in RULES:
            with self.subTest(rule=rule.__name__):
                self.assertEqual(list(rule(self.template)), [])

    def test_every_rule_reports_a_broken_template(self):
        batches = ("Properties", "Events", "Batches", "Properties")
        at = {
            visibility: ("SendQueue", "Properties", "VisibilityTimeout", 300),
            time_to_record: ("Recheck", "Properties", "Timeout", 25),
            queue_sources: ("Send", *batches, "FunctionResponseTypes", []),
            dead_letters: ("SendQueue", "Properties", "RedrivePolicy", "maxReceiveCount", 2),
            alarms: ("SendErrorsAlarm", "Properties", "MetricName", "Invocations"),
            log_groups: ("SendLogs", "Properties", "RetentionInDays", 7),
            recursion: ("Recheck", "Properties", "RecursiveLoop", "Terminate"),
            code: ("Send", "Properties", "CodeUri", "target/send/"),
        }
        for rule, (*path, value) in at.items():
            with self.subTest(rule=rule.__name__):
                self.assertNotEqual(list(rule(broken(self.template, path, value))), [])

    def test_defaults_with_a_too_short_visibility_timeout_are_reported(self):
        defaults = (
            ("WorkerTimeoutS", 61),
            ("WorkerVisibilityS", 359),
            ("DispatchTimeoutS", 121),
            ("DispatchVisibilityS", 719),
        )
        for parameter, value in defaults:
            changed = load()
            changed["Parameters"][parameter]["Default"] = value
            self.assertNotEqual(list(visibility(changed)), [], parameter)

    def test_a_log_group_that_does_not_go_to_the_stream_is_reported(self):
        del self.template["Resources"]["SendLogStream"]
        self.assertEqual(list(log_groups(self.template)), ["SendLogs does not go to the stream"])
        del self.template["Resources"]["ApiLogStream"]["Condition"]
        self.assertIn("ApiLogStream would exist without a stream", list(log_groups(self.template)))

    def test_a_concurrency_of_one_is_reported(self):
        self.template["Parameters"]["SendConcurrency"]["MinValue"] = 1
        self.assertNotEqual(list(queue_sources(self.template)), [])

    def test_a_dead_letter_queue_without_an_alarm_is_reported(self):
        del self.template["Resources"]["SendDlqAlarm"]
        self.assertEqual(list(dead_letters(self.template)), ["SendDlq has no alarm"])

    def test_a_parameter_without_description_is_reported(self):
        del self.template["Parameters"]["Commit"]["Description"]
        self.assertNotEqual(list(parameters(self.template)), [])


if __name__ == "__main__":
    unittest.main()
