"""Compares the calls of the AWS SDK in the code with the policies of the functions' roles.

sdk_calls.py says which calls a function can make. From them, and from what the Lambda service needs
on behalf of the role, this test derives the permissions (action and resource) of each role. It
compares them with template.yaml in both directions: one that is needed and missing, and one that
nothing needs. The resources are those of the function's variables: all queues that a function opens
as `SqsQueue` count as used by each call on that type.

    infra/local/python infra/local/test_permissions.py
"""

import functools
import json
import re
import unittest

import sdk_calls
from template import broken, functions, listed, load, resources, secrets_of, statements, variables

# The actions of an operation, if they are not just the operation's name.
ACTIONS = {
    "appconfigdata:GetLatestConfiguration": ("appconfig:GetLatestConfiguration",),
    "appconfigdata:StartConfigurationSession": ("appconfig:StartConfigurationSession",),
    "scheduler:CreateSchedule": ("scheduler:CreateSchedule", "iam:PassRole"),
    # If the key of a secret is one of the account's own, its reader decrypts it.
    "secretsmanager:GetSecretValue": ("secretsmanager:GetSecretValue", "kms:Decrypt"),
    "sqs:ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
}
# The only conditions: any other could refuse a call that the comparison takes as allowed.
CONDITIONS = {
    "iam:PassRole": {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
    "kms:Decrypt": {
        "StringEquals": {
            "kms:ViaService": {"Fn::Sub": "secretsmanager.${AWS::Region}.${AWS::URLSuffix}"}
        }
    },
}
DEAD_LETTERS = re.compile(r"\$\{(\w+)\}")
CONFIGURATION = "application/%s/environment/%s/configuration/%s"
# SAM generates the application and the groups of CodeDeploy, so that a pattern of names is allowed.
DEPLOYMENT_GROUPS = (
    "arn:${AWS::Partition}:codedeploy:${AWS::Region}:${AWS::AccountId}:deploymentgroup:"
    "${AWS::StackName}-ServerlessDeploymentApplication-*/${AWS::StackName}-*"
)
# The hook of CodeDeploy is the binary of migrate with PRE_TRAFFIC, which decides whether it calls it.
HOOK = "SchemaCheck"
DATABASE_USER = (
    "arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:${DatabaseResourceId}/${%s}"
)
SCHEDULES = (
    "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${%s}/*"  # its group
)


def arn(name):
    """Returns the ARN of a resource of the template."""
    return {"Fn::GetAtt": [name, "Arn"]}


# ---- the resources of a call


def work_queues(template, name):
    """Returns the queues of the variables `…_QUEUE_URL`, which the code opens as `SqsQueue`."""
    known = variables(template, name)
    return [arn(known[each]["Ref"]) for each in known if each.endswith("_QUEUE_URL")]


def dead_letter_queues(template, name):
    """Returns the queues of `DEAD_LETTER_QUEUES`, which the code opens as `SqsDeadLetterQueue`."""
    known = variables(template, name).get("DEAD_LETTER_QUEUES", {})
    return [arn(queue) for queue in DEAD_LETTERS.findall(known.get("Fn::Sub", ""))]


def schedules(template, name):
    """Returns the schedules of the group that the function uses."""
    return [{"Fn::Sub": SCHEDULES % variables(template, name)["SCHEDULE_GROUP"]["Ref"]}]


def passed_roles(template, name):
    """Returns the role that the function passes to EventBridge."""
    return [variables(template, name)["SCHEDULER_ROLE_ARN"]]


def configuration(template, name):
    """Returns the configuration of AppConfig that the function reads."""
    given = variables(template, name)["RUN_TIME_SETTINGS"]["Fn::Sub"]
    prefix = "arn:${AWS::Partition}:appconfig:${AWS::Region}:${AWS::AccountId}:"
    return [{"Fn::Sub": prefix + CONFIGURATION % tuple(given.split("/"))}]


def deployment_groups(_template, _name):
    """Returns the deployment groups to which the hook reports."""
    return [{"Fn::Sub": DEPLOYMENT_GROUPS}]


def keys(_template, _name):
    """Returns the key of the secrets, if it is not that of the account."""
    return [{"Ref": "KmsKeyArn"}]


RESOURCES = {  # by the action, or by the type whose method calls it
    "SqsQueue": work_queues,
    "SqsDeadLetterQueue": dead_letter_queues,
    "appconfig:GetLatestConfiguration": configuration,
    "appconfig:StartConfigurationSession": configuration,
    "codedeploy:PutLifecycleEventHookExecutionStatus": deployment_groups,
    "scheduler:CreateSchedule": schedules,
    "scheduler:DeleteSchedule": schedules,
    "iam:PassRole": passed_roles,
    "secretsmanager:GetSecretValue": secrets_of,
    "kms:Decrypt": keys,
}


# ---- what the Lambda service needs


def source_queues(_template, function):
    """Returns the queues that invoke the function."""
    events = function.get("Events", {}).values()
    return [each["Properties"]["Queue"] for each in events if each["Type"] == "SQS"]


def failure_queues(_template, function):
    """Returns the queue of asynchronous events whose last try failed."""
    destinations = function.get("EventInvokeConfig", {}).get("DestinationConfig", {})
    return [each["Destination"] for each in destinations.values()]


def log_groups(_template, function):
    """Returns the log group of the function."""
    return [arn(function["LoggingConfig"]["LogGroup"]["Ref"])]


def interfaces(template, _function):
    """Returns all network interfaces if the functions are in a VPC."""
    return ["*"] if "VpcConfig" in template["Globals"]["Function"] else []


BY_LAMBDA = (  # (actions, resources, why the role needs what no code calls)
    (
        ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
        source_queues,
        "the event source mapping polls the queue with the role of the function",
    ),
    (
        ("sqs:SendMessage",),
        failure_queues,
        "Lambda sends an asynchronous event there with the role after its last try failed",
    ),
    (
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        log_groups,
        "Lambda writes what the function prints with the role of the function",
    ),
    (
        (
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DeleteNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        ),
        interfaces,
        "Lambda connects the function to its subnets with the role of the function",
    ),
)


# ---- the comparison


def permission(action, resource):
    """Returns a permission that can be compared and printed."""
    return f"{action} on {json.dumps(resource)}"


def used_by_code(template, name, calls):
    """Returns the permissions that a function needs for its calls."""
    needed = set()
    for call in calls:
        operation = f"{call.service}:{call.operation}"
        for action in ACTIONS.get(operation, (operation,)):
            found = RESOURCES.get(action) or RESOURCES.get(call.owner)
            if found is None:
                raise AssertionError(f"RESOURCES lacks {action}, or {call.owner}, of {call}")
            needed |= {permission(action, each) for each in found(template, name)}
    return needed


def used_to_log_in(template, name):
    """Returns the permission that a token of the database has, which the code signs without a call."""
    user = variables(template, name).get("DATABASE_USER")
    if user is None:
        return set()
    return {permission("rds-db:connect", {"Fn::Sub": DATABASE_USER % user["Fn::If"][1]["Ref"]})}


def used_by_lambda(template, name):
    """Returns the permissions that the Lambda service needs on behalf of a function's role."""
    function = functions(template)[name]
    return {
        permission(action, resource)
        for actions, found, _reason in BY_LAMBDA
        for resource in found(template, function)
        for action in actions
    }


def policies(template, role):
    """Yields the properties of a role and of its managed policies."""
    properties = template["Resources"][role]["Properties"]
    yield properties
    managed = properties.get("ManagedPolicyArns", [])
    for policy in managed["Fn::If"][1] if isinstance(managed, dict) else managed:
        yield template["Resources"][policy["Ref"]]["Properties"]


def allowed(template, role):
    """Returns the permissions that a role of the template has on AWS."""
    return {
        permission(action, resource)
        for policy in policies(template, role)
        for statement in statements(policy)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def differences(template, workspace):
    """A role has exactly the permissions that its function's code and the service need."""
    for name in functions(template):
        is_hook = name == HOOK
        calls = workspace.reached("migrate" if is_hook else name.lower())
        calls = {call for call in calls if is_hook or call.service != "codedeploy"}
        needed = used_by_code(template, name, calls)
        needed |= used_to_log_in(template, name) | used_by_lambda(template, name)
        has = allowed(template, f"{name}Role")
        yield from (f"{name} lacks {each}" for each in sorted(needed - has))
        yield from (f"nothing in {name} needs {each}" for each in sorted(has - needed))


def unreached(_template, workspace):
    """Each call is one that a function can make, and each SDK crate has a call.

    Otherwise the search for calls may have missed one.
    """
    calls = workspace.calls(workspace.items)
    reached = set().union(*(workspace.reached(each) for each in workspace.functions))
    yield from (f"no function reaches {call}" for call in calls - reached)
    for service in workspace.services - {call.service for call in calls}:
        yield f"no code calls {service}, although a crate depends on its SDK"


def conditions(template, _workspace):
    """A permission has a condition if, and only if, CONDITIONS names it."""
    for name in functions(template):
        for statement in statements(template["Resources"][f"{name}Role"]["Properties"]):
            for action in listed(statement["Action"]):
                if statement.get("Condition") != CONDITIONS.get(action):
                    yield f"{name}: {action} does not have the condition of CONDITIONS"


def scheduler(template, _workspace):
    """The role that EventBridge assumes may do what the one-time schedules name, and no more."""
    known = variables(template, "Api")
    needed = {
        permission("lambda:InvokeFunction", known["DISPATCH_FUNCTION_ARN"]),
        permission("sqs:SendMessage", known["SCHEDULE_DLQ_ARN"]),
    }
    for each in needed ^ allowed(template, "SchedulerRole"):
        yield f"SchedulerRole: {each}"


@functools.cache
def bounded():
    """Returns the actions that the boundary of infra/aws/pipeline.yaml allows."""
    most = load("infra/aws/pipeline.yaml")["Resources"]["Boundary"]["Properties"]
    return {action for each in statements(most) for action in listed(each["Action"])}


def boundary(template, _workspace):
    """The boundary of infra/aws/pipeline.yaml allows each action of a role."""
    for role in resources(template, "AWS::IAM::Role"):
        for policy in policies(template, role):
            for statement in statements(policy):
                for action in set(listed(statement["Action"])) - bounded():
                    yield f"{role}: the boundary does not allow {action}"


RULES = (differences, unreached, conditions, scheduler, boundary)


class Permissions(unittest.TestCase):
    """Compares the code with the template, and with broken copies of both."""

    @classmethod
    def setUpClass(cls):
        cls.sources = sdk_calls.sources()
        cls.workspace = sdk_calls.Workspace(cls.sources, sdk_calls.services())

    def setUp(self):
        self.template = load()

    def changed(self, crate, module, old, new):
        """Returns the workspace with another text in one file."""
        files = self.sources[crate]
        self.assertIn(old, files[module])
        files = files | {module: files[module].replace(old, new, 1)}
        return sdk_calls.Workspace(self.sources | {crate: files}, sdk_calls.services())

    def found(self, path, value):
        """Returns what is found with another value at a path of the template."""
        template = broken(self.template, path, value)
        return [each for rule in RULES for each in rule(template, self.workspace)]

    def test_each_role_has_exactly_the_permissions_that_its_function_needs(self):
        for rule in RULES:
            with self.subTest(rule=rule.__name__):
                self.assertEqual(list(rule(self.template, self.workspace)), [])

    def test_each_statement_that_is_left_out_is_reported(self):
        for role in resources(self.template, "AWS::IAM::Role"):
            if role in ("DeploymentRole", "LogStreamRole"):  # of CodeDeploy, of CloudWatch Logs
                continue
            path = (role, "Properties", "Policies", 0, "PolicyDocument", "Statement")
            policy = self.template["Resources"][role]["Properties"]["Policies"][0]
            every = policy["PolicyDocument"]["Statement"]
            for at in range(len(every)):
                with self.subTest(role=role, statement=at):
                    found = self.found(path, every[:at] + every[at + 1 :])
                    self.assertTrue(any("lacks" in each or "Scheduler" in each for each in found))
        self.assertTrue(self.found(("VpcAccess", "Properties", "PolicyDocument", "Statement"), []))

    def test_a_superfluous_permission_is_reported(self):
        notify, api, scheduler_role = (
            (role, "Properties", "Policies", 0, "PolicyDocument", "Statement")
            for role in ("NotifyRole", "ApiRole", "SchedulerRole")
        )
        queues = [arn("NotifyQueue"), arn("SendQueue")]
        send = permission("sqs:SendMessage", arn("SendQueue"))
        self.assertEqual(
            self.found((*notify, 2, "Resource"), queues), [f"nothing in Notify needs {send}"]
        )
        actions = ["scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:GetSchedule"]
        read = permission("scheduler:GetSchedule", schedules(self.template, "Api")[0])
        self.assertEqual(self.found((*api, 1, "Action"), actions), [f"nothing in Api needs {read}"])
        self.assertNotEqual(self.found((*scheduler_role, 1, "Resource"), queues), [])

    def test_another_condition_and_an_action_outside_of_the_boundary_are_reported(self):
        statement = ("ApiRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 2)
        other = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
        self.assertEqual(
            self.found((*statement, "Condition"), other),
            ["Api: iam:PassRole does not have the condition of CONDITIONS"],
        )
        found = self.found((*statement, "Action"), "iam:CreateRole")
        self.assertIn("ApiRole: the boundary does not allow iam:CreateRole", found)

    def test_a_new_call_and_a_removed_one_are_reported(self):
        sqs = ("platform", "queue", "sqs")
        more = self.changed("shared", sqs, ".send_message_batch()", ".receive_message()")
        receive = permission("sqs:ReceiveMessage", arn("RecheckQueue"))
        send = permission("sqs:SendMessage", arn("RecheckQueue"))
        found = list(differences(self.template, more))
        self.assertIn(f"Send lacks {receive}", found)
        self.assertIn(f"nothing in Send needs {send}", found)

    def test_a_call_that_no_function_reaches_is_reported(self):
        lost = self.changed("api", ("main",), "SqsDeadLetterQueue::shared", "unknown")
        found = list(unreached(self.template, lost))
        self.assertEqual(len(found), 4, found)


if __name__ == "__main__":
    unittest.main()
