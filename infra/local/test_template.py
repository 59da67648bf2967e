"""What `sam validate --lint` doesn't know of template.yaml: the rules by which this system's parts fit each other.

Each rule lists what it finds wrong. One test asks all of them about the template; the others break the template and ask whether
the rule notices, for a rule that cannot fail proves nothing.

    infra/local/python infra/local/test_template.py
"""

import copy
import functools
import json
import operator
import re
import unittest
from pathlib import Path

import yaml

import build
import deploy

ROOT = Path(__file__).resolve().parents[2]
WORKERS = ("Dispatch", "Send", "Recheck")  # functions behind a queue that re-enqueue

ENVIRONMENT = {  # the contract with the functions' own configuration
    "Api": "DISPATCH_QUEUE_URL DISPATCH_FUNCTION_ARN SCHEDULE_GROUP SCHEDULER_ROLE_ARN SCHEDULE_DLQ_ARN STACK_NAME DISPATCH_LEAD_S UNCERTAIN_QUIET_S "
    "DEAD_LETTER_QUEUES",
    "Dispatch": "SEND_QUEUE_URL RECHECK_QUEUE_URL DISPATCH_LEAD_S SWEEP_LEAD_S SWEEP_PATIENCE_S BATCH_SIZE",
    "Send": "SEND_CONCURRENCY SEND_IN_FLIGHT BACKOFF_MAX_S",
    "Recheck": "RECHECK_IN_FLIGHT",
    "Migrate": "MIGRATION_DATABASE_URL MIGRATION_SECRET_ARN",
}
CARRIER = (
    "SEND_QUEUE_URL RECHECK_QUEUE_URL CARRIER_URL CARRIER_FORM CARRIER_USERNAME CARRIER_PASSWORD CARRIER_SECRET_ARN CARRIER_OWN_IDS "
    "CARRIER_TIMEOUT_S CARRIER_PARTS_PER_SECOND RECHECK_DELAYS_S RECHECK_DEADLINE_S RESEND_DELAY_S UNCERTAIN_QUIET_S "
    "RECORDING_SHARE_S LEASE_MARGIN_S SWEEP_PATIENCE_S"
)


class Loader(yaml.SafeLoader):
    """Reads `!Ref X` as {"Ref": "X"} and `!Sub …` as {"Fn::Sub": …}."""


def _tag(loader, name, node):
    sequence = isinstance(node, yaml.SequenceNode)
    value = loader.construct_sequence(node, deep=True) if sequence else loader.construct_scalar(node)
    if name == "GetAtt":
        value = value.split(".", 1)
    return {name if name == "Ref" else f"Fn::{name}": value}


Loader.add_multi_constructor("!", _tag)


def resources(template, kind):
    """{logical name: properties} of every resource of a type."""
    return {name: resource["Properties"] for name, resource in template["Resources"].items() if resource["Type"] == kind}


def functions(template):
    """The functions' properties, by logical name."""
    return resources(template, "AWS::Serverless::Function")


def sources(template):
    """(function's name, its properties, queue's name, event's properties) of each queue that starts a function."""
    for name, function in functions(template).items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                yield name, function, event["Properties"]["Queue"]["Fn::GetAtt"][0], event["Properties"]


def variables(template, name):
    """The environment variables of a function, those of all functions included."""
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    return common | functions(template)[name]["Environment"]["Variables"]


def number(template, value):
    """A number, or the default of the parameter that stands for it."""
    return template["Parameters"][value["Ref"]]["Default"] if isinstance(value, dict) else value


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


def wildcards(template):
    """No role may do everything, or do it to everything, but for the network interfaces, where EC2 knows nothing narrower."""
    for name, resource in template["Resources"].items():
        for policy in [*resource.get("Properties", {}).get("Policies", []), resource.get("Properties", {})]:
            for statement in policy.get("PolicyDocument", {}).get("Statement", []):
                allowed = next((choice for choice in statement.get("Fn::If", [{}, statement])[1:] if "Action" in choice), statement)
                actions = allowed["Action"] if isinstance(allowed["Action"], list) else [allowed["Action"]]
                if any("*" in action for action in actions):
                    yield f"{name} allows {actions}"
                if allowed["Resource"] == "*" and not all(action.startswith("ec2:") for action in actions):
                    yield f"{name} allows {actions} on everything"
    managed = json.dumps([role.get("ManagedPolicyArns") for role in resources(template, "AWS::IAM::Role").values()])
    if "arn:" in managed:
        yield "a role has one of AWS's own, wider policies"


def roles(template):
    """Each function has the role that is written for it; SAM's generated ones may write to every log group."""
    for name, function in functions(template).items():
        if function.get("Role") != {"Fn::GetAtt": [f"{name}Role", "Arn"]}:
            yield f"{name} has not its own role"


def routes(template):
    """On AWS nobody reaches the API without a signature: an open SMS gateway costs its owner a fortune in a night."""
    for name, route in resources(template, "AWS::ApiGatewayV2::Route").items():
        if route.get("AuthorizationType") != {"Fn::If": ["OnAws", "AWS_IAM", "NONE"]}:
            yield f"{name} is open on AWS"
    if resources(template, "AWS::ApiGatewayV2::Stage")["Stage"]["DefaultRouteSettings"]["ThrottlingRateLimit"] > 1000:
        yield "the API is not throttled"


def environment(template):
    """Every function gets the variables that it reads at its start, where one that is missing ends it."""
    for name, expected in ENVIRONMENT.items():
        expected = {"RUST_LOG", "GIT_COMMIT", *expected.split(), *(CARRIER.split() if name in ("Send", "Recheck") else [])}
        expected |= set() if name == "Migrate" else {"DATABASE_URL", "DATABASE_SECRET_ARN"}
        if expected != set(variables(template, name)):
            yield f"{name}: {sorted(expected ^ set(variables(template, name)))}"


def databases(template):
    """Exactly one of a database's URL (local) and its secret (aws) is set."""
    nothing = {"Ref": "AWS::NoValue"}
    for name in functions(template):
        given = variables(template, name)
        for url, secret in (("DATABASE_URL", "DATABASE_SECRET_ARN"), ("MIGRATION_DATABASE_URL", "MIGRATION_SECRET_ARN")):
            if url in given and (given[url]["Fn::If"][:2], given[secret]["Fn::If"][::2]) != (["OnAws", nothing], ["OnAws", nothing]):
                yield f"{name}: {url} and {secret} are not one of two"


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


RULES = (
    visibility, time_to_record, queue_sources, dead_letters, alarms, log_lines, recursion, wildcards, roles, routes, environment, databases,
    parameters, code,
)


class Template(unittest.TestCase):
    """The template, as it is and broken."""

    def setUp(self):
        self.template = yaml.load((ROOT / "template.yaml").read_text(), Loader)

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
            wildcards: ("ApiRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 3, "Resource", "*"),
            roles: ("Send", "Properties", "Role", {"Fn::GetAtt": ["ApiRole", "Arn"]}),
            routes: ("EveryRoute", "Properties", "AuthorizationType", "NONE"),
            environment: ("Send", "Properties", "Environment", "Variables", "SEND_BATCH", "1"),
            databases: ("Send", "Properties", "Environment", "Variables", "DATABASE_URL", {"Fn::If": ["OnAws", "x", "x"]}),
            code: ("Send", "Properties", "CodeUri", "target/send/"),
        }
        for rule, (*path, last, value) in at.items():
            with self.subTest(rule=rule.__name__):
                broken = copy.deepcopy(self.template)
                functools.reduce(operator.getitem, path, broken["Resources"])[last] = value
                self.assertNotEqual(list(rule(broken)), [])

    def test_a_changed_default_that_lets_a_message_come_back_too_early_is_noticed(self):
        for parameter, value in (("WorkerTimeoutS", 61), ("WorkerVisibilityS", 359), ("DispatchTimeoutS", 121), ("DispatchVisibilityS", 719)):
            broken = copy.deepcopy(self.template)
            broken["Parameters"][parameter]["Default"] = value
            self.assertNotEqual(list(visibility(broken)), [], parameter)

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
