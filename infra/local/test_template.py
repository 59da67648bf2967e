"""What `sam validate --lint` doesn't know of template.yaml: the rules by which this system's parts fit each other.

Each rule lists what it finds wrong. One test asks all of them about the template; the others break the template and ask whether
the rule notices, for a rule that cannot fail proves nothing.

    infra/local/python infra/local/test_template.py

Who may do what is test_template_access.py's.
"""

import json
import re
import unittest

import build
import deploy
from template import ROOT, broken, functions, load, number, resources, sources, variables

WORKERS = ("Dispatch", "Send", "Recheck", "Notify")  # functions behind a queue that re-enqueue

ENVIRONMENT = {  # the contract with the functions' own configuration
    "Api": "DISPATCH_QUEUE_URL NOTIFY_QUEUE_URL RECHECK_QUEUE_URL DISPATCH_FUNCTION_ARN SCHEDULE_GROUP SCHEDULER_ROLE_ARN SCHEDULE_DLQ_ARN STACK_NAME DISPATCH_LEAD_S "
    "UNCERTAIN_QUIET_S CALLBACK_SECRETS CALLBACK_SECRETS_ARN DEAD_LETTER_QUEUES JWT_KEYS JWT_KEYS_SECRET_ARN WEBHOOK_KEYS WEBHOOK_KEYS_SECRET_ARN WEBHOOK_LOOPBACK "
    "OIDC_ISSUER OIDC_AUDIENCE OIDC_ROLES_CLAIM OIDC_ROLES CORS_ORIGINS "
    "REQUESTS_PER_MINUTE SEND_CONCURRENCY SEND_IN_FLIGHT CARRIER_OWN_IDS CARRIER_PARTS_PER_SECOND CARRIER_REQUEST_MS BATCH_SIZE",
    "Dispatch": "SEND_QUEUE_URL RECHECK_QUEUE_URL NOTIFY_QUEUE_URL DISPATCH_LEAD_S SWEEP_LEAD_S SWEEP_PATIENCE_S BATCH_SIZE",
    "Send": "SEND_CONCURRENCY SEND_IN_FLIGHT BACKOFF_MAX_S",
    "Recheck": "RECHECK_IN_FLIGHT",
    "Notify": "NOTIFY_QUEUE_URL WEBHOOK_KEYS WEBHOOK_KEYS_SECRET_ARN WEBHOOK_LOOPBACK",
    "Migrate": "MIGRATION_DATABASE_URL MIGRATION_SECRET_ARN APP_USER",
}
CARRIER = (
    "SEND_QUEUE_URL RECHECK_QUEUE_URL NOTIFY_QUEUE_URL CARRIER_URL CARRIER_FORM CARRIER_USERNAME CARRIER_PASSWORD CARRIER_SECRET_ARN CARRIER_OWN_IDS "
    "CARRIER_TIMEOUT_S CARRIER_PARTS_PER_SECOND RECHECK_DELAYS_S RECHECK_DEADLINE_S RESEND_DELAY_S UNCERTAIN_QUIET_S "
    "RECORDING_SHARE_S LEASE_MARGIN_S SWEEP_PATIENCE_S"
)


def visibility(template):
    """A message stays hidden for six times its function's time-out, as Lambda asks: a call that is throttled first is tried again within
    that time, and a retry never meets the first run. Both are parameters; who changes a default of one changes the other's."""
    queues = resources(template, "AWS::SQS::Queue")
    for name, function, queue, _ in sources(template):
        if number(template, queues[queue]["VisibilityTimeout"]) < 6 * number(template, function["Timeout"]):
            yield f"{queue} is visible again before {name} surely ended"


def time_to_record(template):
    """By default a carrier request of its full time-out, begun at once, leaves a worker the time to record its answer."""
    for name in ("Send", "Recheck"):
        given = variables(template, name)
        needed = number(template, given["CARRIER_TIMEOUT_S"]) + number(template, given["RECORDING_SHARE_S"])
        if needed >= number(template, functions(template)[name]["Timeout"]):
            yield f"{name} ends before it can record the carrier's answer"


def queue_sources(template):
    """Each queue starts its function with partial failures, and a concurrency that AWS accepts (the linter lets 1 pass)."""
    if sorted(name for name, *_ in sources(template)) != sorted(WORKERS):
        yield "not exactly one queue for each worker"
    for name, _, _, event in sources(template):
        if event.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name} does not report failed items one by one"
        limit = event["ScalingConfig"]["MaximumConcurrency"]
        bounds = template["Parameters"][limit["Ref"]]
        if not 2 <= bounds["MinValue"] <= bounds["Default"] <= bounds["MaxValue"] <= 1000:
            yield f"{name}'s MaximumConcurrency can leave 2..1000"


def dead_letters(template):
    """Each working queue has a dead-letter queue of its own, that keeps messages for 14 days and has an alarm at the first one."""
    queues = resources(template, "AWS::SQS::Queue")
    for _, _, queue, _ in sources(template):
        redrive = queues[queue].get("RedrivePolicy", {"maxReceiveCount": 0})
        if redrive["maxReceiveCount"] < 5 or redrive["deadLetterTargetArn"]["Fn::GetAtt"][0] != queue.replace("Queue", "Dlq"):
            yield f"{queue} gives up too early, or to another's dead-letter queue"
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
        if (alarm["MetricName"], alarm["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 0)
    }
    letters = {name for name in queues if name.endswith("Dlq")}
    yield from (f"{name} has no alarm" for name in letters - watched)
    yield from (f"{name} forgets too early" for name in letters if queues[name].get("MessageRetentionPeriod") != 14 * 86_400)
    yield from (f"{name} is not encrypted" for name, queue in queues.items() if queue.get("SqsManagedSseEnabled") is not True)


def alarms(template):
    """Errors and throttles of every function, and every alarm tells the topic."""
    found = resources(template, "AWS::CloudWatch::Alarm")
    watched = {(alarm["MetricName"], str(alarm["Dimensions"][0]["Value"])) for alarm in found.values() if "Dimensions" in alarm}
    for name in functions(template):
        yield from (f"no alarm on {metric} of {name}" for metric in ("Errors", "Throttles") if (metric, str({"Ref": name})) not in watched)
    yield from (f"{name} tells nobody" for name, alarm in found.items() if "AlarmTopicArn" not in json.dumps(alarm.get("AlarmActions", "")))


def log_lines(template):
    """Each metric filter waits for a message that its function does log, as tracing writes it, and has an alarm on its metric."""
    ours = {"Ref": "AWS::StackName"}
    watched = {alarm["MetricName"] for alarm in resources(template, "AWS::CloudWatch::Alarm").values() if alarm["Namespace"] == ours}
    for name, line in resources(template, "AWS::Logs::MetricFilter").items():
        function = line["LogGroupName"]["Ref"].removesuffix("Logs").lower()
        message = re.fullmatch(r'\{ \$\.fields\.message = ("[a-z ]+") \}', line["FilterPattern"])
        source = "".join(path.read_text() for path in (ROOT / "functions" / function / "src").glob("*.rs"))
        if not message or not re.search(rf"tracing::(warn|error)!\([^;]*{message[1]}\)", source):
            yield f"{name} waits for what {function} never logs"
        metric, = line["MetricTransformations"]
        if metric["MetricNamespace"] != ours or metric["MetricName"] not in watched:
            yield f"{name} has no alarm"


def recursion(template):
    """Lambda would stop the chain send → recheck → send after 16 calls, which no emulator shows."""
    for name, function in functions(template).items():
        if (function.get("RecursiveLoop") == "Allow") != (name in WORKERS):
            yield f"RecursiveLoop of {name}"


def environment(template):
    """Every function gets the variables that it reads at its start, where one that is missing ends it."""
    for name, expected in ENVIRONMENT.items():
        expected = {"RUST_LOG", "GIT_COMMIT", *expected.split(), *(CARRIER.split() if name in ("Send", "Recheck") else [])}
        expected |= set() if name == "Migrate" else {"DATABASE_URL", "DATABASE_SECRET_ARN"}
        if expected != set(variables(template, name)):
            yield f"{name}: {sorted(expected ^ set(variables(template, name)))}"


def parameters(template):
    """Every parameter is described, and the local deployment names none that isn't there."""
    yield from (f"{name} is not described" for name, parameter in template["Parameters"].items() if not parameter.get("Description"))
    local = {parameter for parameter, _ in deploy.LOCAL.values()} | set(deploy.UNUSED)
    yield from (f"deploy.py sets {name}, which is no parameter" for name in local - set(template["Parameters"]))


def code(template):
    """Each function's code is where the build puts it, and is not built again by SAM."""
    for name, function in functions(template).items():
        if function["CodeUri"] != f"target/lambda/{name.lower()}/" or name.lower() not in build.FUNCTIONS:
            yield f"{name} is at {function['CodeUri']}"
        if template["Resources"][name].get("Metadata") != {"SkipBuild": True}:
            yield f"{name} would be built by SAM"


RULES = (visibility, time_to_record, queue_sources, dead_letters, alarms, log_lines, recursion, environment, parameters, code)


class Template(unittest.TestCase):
    """The template, as it is and broken."""

    def setUp(self):
        self.template = load()

    def test_the_template_keeps_every_rule(self):
        for rule in RULES:
            with self.subTest(rule=rule.__name__):
                self.assertEqual(list(rule(self.template)), [])

    def test_every_rule_notices_a_broken_template(self):
        at = {
            visibility: ("SendQueue", "Properties", "VisibilityTimeout", 300),
            time_to_record: ("Recheck", "Properties", "Timeout", 25),
            queue_sources: ("Send", "Properties", "Events", "Batches", "Properties", "FunctionResponseTypes", []),
            dead_letters: ("SendQueue", "Properties", "RedrivePolicy", "maxReceiveCount", 2),
            alarms: ("SendErrorsAlarm", "Properties", "MetricName", "Invocations"),
            log_lines: ("BatchMissedLines", "Properties", "FilterPattern", '{ $.fields.message = "batch parked" }'),
            recursion: ("Recheck", "Properties", "RecursiveLoop", "Terminate"),
            environment: ("Send", "Properties", "Environment", "Variables", "SEND_BATCH", "1"),
            code: ("Send", "Properties", "CodeUri", "target/send/"),
        }
        for rule, (*path, value) in at.items():
            with self.subTest(rule=rule.__name__):
                self.assertNotEqual(list(rule(broken(self.template, path, value))), [])

    def test_a_changed_default_that_lets_a_message_come_back_too_early_is_noticed(self):
        for parameter, value in (("WorkerTimeoutS", 61), ("WorkerVisibilityS", 359), ("DispatchTimeoutS", 121), ("DispatchVisibilityS", 719)):
            changed = load()
            changed["Parameters"][parameter]["Default"] = value
            self.assertNotEqual(list(visibility(changed)), [], parameter)

    def test_a_log_line_without_an_alarm_or_under_another_key_is_noticed(self):
        lines = self.template["Resources"]["BatchMissedLines"]["Properties"]
        lines["FilterPattern"] = '{ $.message = "batch missed" }'
        self.assertEqual(list(log_lines(self.template)), ["BatchMissedLines waits for what send never logs"])
        del self.template["Resources"]["BatchParkedAlarm"]
        self.assertIn("BatchParkedLines has no alarm", list(log_lines(self.template)))

    def test_a_concurrency_of_one_is_noticed(self):
        self.template["Parameters"]["SendConcurrency"]["MinValue"] = 1
        self.assertNotEqual(list(queue_sources(self.template)), [])

    def test_a_dead_letter_queue_without_an_alarm_is_noticed(self):
        del self.template["Resources"]["SendDlqAlarm"]
        self.assertEqual(list(dead_letters(self.template)), ["SendDlq has no alarm"])

    def test_a_missing_variable_is_noticed(self):
        del self.template["Resources"]["Send"]["Properties"]["Environment"]["Variables"]["CARRIER_URL"]
        self.assertEqual(list(environment(self.template)), ["Send: ['CARRIER_URL']"])

    def test_a_parameter_without_description_is_noticed(self):
        del self.template["Parameters"]["Commit"]["Description"]
        self.assertNotEqual(list(parameters(self.template)), [])


if __name__ == "__main__":
    unittest.main()
