"""Checks what a deployment of template.yaml keeps and how it proceeds, like test_template.py.

infra/local/python infra/local/test_template_release.py
"""

import json
import unittest

import deploy
from template import ROOT, broken, functions, load, parse, resources, translated

RETAIN = ("Retain", "Retain")
NOT_MOVED = {"Migrate", "SchemaCheck"}
# SAM names the application and the groups after the stack and their logical ids.
GROUPS = ":deploymentgroup:${AWS::StackName}-ServerlessDeploymentApplication-*/${AWS::StackName}-*"


def policies(resource):
    """Returns what happens to a resource that is deleted, and to one that is replaced."""
    return resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")


def retained_versions(template):
    """A deployment deletes no earlier version of a function, so that a rollback can return to it.

    A deployment with the same code replaces the version, because its description is the commit. SAM
    sets only the DeletionPolicy of versions, and passes on the other policy of the function.
    """
    for name, resource in translated(template)["Resources"].items():
        if resource["Type"] == "AWS::Lambda::Version" and policies(resource) != RETAIN:
            yield f"{name} can be deleted by a deployment"
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function" and "DeletionPolicy" in resource:
            yield f"{name} would remain when the stack is deleted, and its name would be taken"


def retained_secrets(template):
    """Secrets remain: without the keys, sessions end and the webhooks' secrets change."""
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::SecretsManager::Secret" and policies(resource) != RETAIN:
            yield f"{name} can be deleted by a deployment"


def gradual(template):
    """By default CodeDeploy moves each function, and returns if its alarm is raised.

    An operator invokes migrate, and CodeDeploy itself invokes SchemaCheck.
    """
    groups = {
        name.removesuffix("DeploymentGroup"): resource
        for name, resource in translated(template)["Resources"].items()
        if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup"
    }
    if set(groups) != set(functions(template)) - NOT_MOVED:
        yield f"CodeDeploy moves {sorted(groups)}"
    for name, group in groups.items():
        alarms = json.dumps(group["Properties"]["AlarmConfiguration"]["Alarms"])
        if json.dumps({"Ref": f"{name}ErrorsAlarm"}) not in alarms:
            yield f"a deployment ignores the errors of {name}"
        if group["Properties"]["ServiceRoleArn"] != {"Fn::GetAtt": ["DeploymentRole", "Arn"]}:
            yield f"{name} is deployed with the role of SAM, which is wider than necessary"
    choices = template["Parameters"]["DeploymentPreference"]["AllowedValues"]
    if set(choices) != set(template["Mappings"]["CodeDeploy"]):
        yield "the mapping CodeDeploy does not have exactly the values of DeploymentPreference"


def checked(template):
    """Before invocations move, SchemaCheck of the same deployment compares the schema.

    It runs the binary of migrate as the functions' user. CodeDeploy may invoke no other function,
    and SchemaCheck may report only to the groups of this stack.
    """
    hook = {"Fn::If": ["OnAws", {"Ref": "SchemaCheck"}, {"Ref": "AWS::NoValue"}]}
    for name, resource in translated(template)["Resources"].items():
        if resource["Type"] == "AWS::Lambda::Alias":
            update = resource.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
            moved = name.removesuffix("Aliaslive") not in NOT_MOVED
            if update.get("BeforeAllowTrafficHook") != (hook if moved else None):
                yield f"{name} has the wrong hook"
    given = functions(template)["SchemaCheck"]
    if given["CodeUri"] != functions(template)["Migrate"]["CodeUri"]:
        yield "SchemaCheck is not the binary of migrate"
    if given["Environment"]["Variables"].get("PRE_TRAFFIC") != "true":
        yield "SchemaCheck would migrate"
    roles, allowed = resources(template, "AWS::IAM::Role"), {}
    for name in ("DeploymentRole", "SchemaCheckRole"):
        for each in roles[name]["Policies"][0]["PolicyDocument"]["Statement"]:
            each = each["Fn::If"][1] if "Fn::If" in each else each
            for action in each["Action"] if isinstance(each["Action"], list) else [each["Action"]]:
                allowed[name, action] = json.dumps(each["Resource"])
    arn = json.dumps({"Fn::GetAtt": ["SchemaCheck", "Arn"]})
    if allowed.get(("DeploymentRole", "lambda:InvokeFunction")) != arn:
        yield "CodeDeploy may not invoke exactly SchemaCheck"
    group = allowed.get(("SchemaCheckRole", "codedeploy:PutLifecycleEventHookExecutionStatus"), "")
    if GROUPS not in group:
        yield "SchemaCheck may not report to exactly the deployment groups of the stack"


def at_once(template):
    """With AllAtOnce, and on the local stack, nothing needs CodeDeploy."""
    local = parse(deploy.local_defaults((ROOT / "template.yaml").read_text()))
    for each in (
        translated(template, DeploymentPreference="AllAtOnce"),
        # The emulator passes no values of parameters to the transform.
        translated({**template, "Parameters": local["Parameters"]}),
    ):
        if "CodeDeploy" in {kind["Type"].split("::")[1] for kind in each["Resources"].values()}:
            yield "a deployment at once needs CodeDeploy"


def asynchronous(template):
    """What invokes a function without waiting has a queue for what failed on every try."""
    for name, function in functions(template).items():
        kinds = {event["Type"] for event in function.get("Events", {}).values()}
        if not kinds - {"SQS"}:
            continue
        config = function.get("EventInvokeConfig", {})
        target = config.get("DestinationConfig", {}).get("OnFailure", {}).get("Type")
        if target != "SQS" or "MaximumEventAgeInSeconds" not in config:
            yield f"asynchronous events of {name} are lost when they fail"


def keys(template):
    """Each role that reads a secret may decrypt with the key of the secrets, if there is one."""
    for name, role in resources(template, "AWS::IAM::Role").items():
        text = json.dumps(role["Policies"])
        if "secretsmanager:GetSecretValue" in text and not (
            "kms:Decrypt" in text and "HasKmsKey" in text
        ):
            yield f"{name} reads secrets and cannot decrypt them"
    for name, secret in resources(template, "AWS::SecretsManager::Secret").items():
        if "KmsKeyArn" not in json.dumps(secret.get("KmsKeyId", "")):
            yield f"{name} ignores the key"


def boundaries(template):
    """Each role has the boundary that the execution role of the pipeline requires."""
    for name, role in resources(template, "AWS::IAM::Role").items():
        if "PermissionsBoundaryArn" not in json.dumps(role.get("PermissionsBoundary", "")):
            yield f"{name} has no boundary"


def stopped(template):
    """Every event source and every schedule follows the parameter EventSources.

    The first deployment starts them only after the migration has created the tables.
    """
    expected = {
        "AWS::Lambda::EventSourceMapping": ("Enabled", [True, False]),
        "AWS::Scheduler::Schedule": ("State", ["ENABLED", "DISABLED"]),
    }
    for name, resource in translated(template)["Resources"].items():
        if resource["Type"] in expected:
            key, values = expected[resource["Type"]]
            if resource["Properties"].get(key) != {"Fn::If": ["StartsWork", *values]}:
                yield f"{name} does not follow EventSources"
        elif resource["Type"] == "AWS::Events::Rule":
            yield f"{name} is a rule of EventBridge, which this check does not know"
    sweep = template["Resources"]["SweepMissingAlarm"]["Properties"]
    if sweep.get("ActionsEnabled") != {"Fn::If": ["StartsWork", True, False]}:
        yield "SweepMissingAlarm notifies before the sweep runs"
    if template["Conditions"].get("StartsWork") != {
        "Fn::Equals": [{"Ref": "EventSources"}, "Enabled"]
    }:
        yield "the condition StartsWork does not compare EventSources"


RULES = (
    retained_versions, retained_secrets, gradual, checked, at_once, asynchronous, keys, boundaries,
    stopped,
)  # fmt: skip


class Release(unittest.TestCase):
    """Applies the rules to the template and to broken copies of it."""

    def setUp(self):
        self.template = load()

    def test_the_template_follows_every_rule(self):
        for rule in RULES:
            with self.subTest(rule=rule.__name__):
                self.assertEqual(list(rule(self.template)), [])

    def test_every_rule_reports_a_broken_template(self):
        alarms = [{"Ref": "ApiErrorsAlarm"}]
        statement = ("Properties", "Policies", 0, "PolicyDocument", "Statement")
        at = (
            (retained_versions, "Send", "UpdateReplacePolicy", "Delete"),
            (retained_versions, "Send", "DeletionPolicy", "Delete"),
            (retained_secrets, "JwtSecret", "UpdateReplacePolicy", "Delete"),
            (gradual, "Send", "Properties", "DeploymentPreference", {"Enabled": "false"}),
            (gradual, "Send", "Properties", "DeploymentPreference", {"Alarms": alarms}),
            (checked, "Send", "Properties", "DeploymentPreference", "Hooks", {"PreTraffic": alarms[0]}),
            (checked, "SchemaCheck", "Properties", "DeploymentPreference", {"Enabled": "true"}),
            (checked, "SchemaCheck", "Properties", "CodeUri", "target/lambda/send/"),
            (checked, "SchemaCheck", "Properties", "Environment", "Variables", {}),
            (checked, "SchemaCheckRole", *statement, 1, "Resource", "arn:aws:codedeploy:*"),
            (checked, "DeploymentRole", *statement, 2, "Fn::If", 1, "Resource", "*"),
            (at_once, "Send", "Properties", "DeploymentPreference", {"Enabled": "true"}),
            (asynchronous, "Dispatch", "Properties", "EventInvokeConfig", {}),
            (keys, "WebhookSecret", "Properties", "KmsKeyId", None),
            (keys, "SendRole", *statement, 6, {}),
            (stopped, "SweepMissingAlarm", "Properties", "ActionsEnabled", True),
            (stopped, "Send", "Properties", "Events", "Batches", "Properties", "Enabled", True),
            (stopped, "Dispatch", "Properties", "Events", "Sweep", "Properties", "State", "ENABLED"),
            (boundaries, "SendRole", "Properties", "PermissionsBoundary", None),
        )
        for rule, *path, value in at:
            with self.subTest(rule=rule.__name__, path=path):
                self.assertNotEqual(list(rule(broken(self.template, path, value))), [])

    def test_a_value_without_a_mapping_is_reported(self):
        self.template["Parameters"]["DeploymentPreference"]["AllowedValues"].append("Other")
        self.assertNotEqual(list(gradual(self.template)), [])


if __name__ == "__main__":
    unittest.main()
