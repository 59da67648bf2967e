"""Checks rules of the templates in infra/aws that cfn-lint and checkov do not cover.

Each rule gets {name: template} and yields its findings. One test applies all rules; the other tests
break a template and check that the rule reports it.

    infra/local/python infra/local/test_aws.py
"""

import json
import re
import unittest

from template import ROOT, broken, load, resources

LASTING = (  # types of resources that hold data, or what others have noted down
    "AWS::EC2::EIP", "AWS::IAM::OIDCProvider", "AWS::KMS::Key", "AWS::RDS::DBInstance",
    "AWS::S3::Bucket", "AWS::SecretsManager::Secret",
)  # fmt: skip
KEPT = ("Retain", "Snapshot")
NAMES = (  # properties that name a resource within an account
    "BudgetName", "ConfigRuleName", "DBInstanceIdentifier", "DashboardName", "FunctionName",
    "LogGroupName", "Name", "RoleName", "RotationLambdaName", "TopicName", "TrailName",
)  # fmt: skip
NAMED = re.compile(r'AWS::StackName|\{"Ref": "FlowLogGroup"\}|DomainName')
# (template, resource): why it allows all actions of a service, or all resources.
WIDE = {
    ("network", "SqsEndpoint"): "an endpoint's policy only limits; the roles' own policies grant",
    ("network", "SecretsEndpoint"): "as above",
    ("network", "SchedulerEndpoint"): "as above",
    ("network", "SettingsEndpoint"): "as above",
    ("network", "CodeDeployEndpoint"): "as above",
    ("network", "S3GatewayEndpoint"): "as above",
    ("operations", "Key"): "in a key's policy * is the key itself; the account may administer it",
    ("pipeline", "PlanRole"): "a new template and a drift detection have no narrower resource",
    ("pipeline", "DriftPolicy"): "reads that have no narrower resource",
    ("pipeline", "DeployRole"): "a new template and what preflight reads have no narrower resource; "
    "the other is a Deny",
    ("pipeline", "ServicePolicy"): "all of a service on the application's names; the calls on * "
    "have no narrower resource, or a condition names the function",
    ("pipeline", "Boundary"): "EC2 has no narrower resource for network interfaces",
}
# Parameters that take the output with the same name: {template: parameters}. "" is template.yaml.
TAKEN = {
    "": "Subnets SecurityGroup DatabaseSecretArn MigrationSecretArn AlarmTopicArn KmsKeyArn "
    "DatabaseHost DatabaseResourceId PermissionsBoundaryArn OriginProofSecretArn EdgeUrl",
    "database": "DatabaseSubnets DatabaseSecurityGroup AlarmTopicArn KmsKeyArn",
    "edge": "ApiId",
    "operations": "ApiId DatabaseInstance",
    "pipeline": "KmsKeyArn",
    "rotation": "Subnets SecurityGroup DatabaseSecretArn MigrationSecretArn KmsKeyArn",
}


def every(templates, kind):
    """Yields (template's name, resource's name, properties) of all resources of a type."""
    for name, template in templates.items():
        for resource, properties in resources(template, kind).items():
            yield name, resource, properties


def values(node, key):
    """Yields all values of a key at any depth."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        for value in node.values():
            yield from values(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from values(value, key)


def listed(value):
    """Returns a list of one or many values."""
    return value if isinstance(value, list) else [value]


def statements(node):
    """Yields all statements that allow something, at any depth."""
    if isinstance(node, dict) and node.get("Effect") == "Allow" and "Resource" in node:
        yield node
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, dict | list):
            yield from statements(value)


def lasting(templates):
    """What holds data remains, or leaves a snapshot, when it is deleted or replaced."""
    for name, template in templates.items():
        for resource, content in template["Resources"].items():
            ends = content.get("DeletionPolicy"), content.get("UpdateReplacePolicy")
            if content["Type"] in LASTING and not set(ends) <= set(KEPT):
                yield f"{name}: {resource} can be lost"


def wildcards(templates):
    """No statement allows all actions of a service, or all resources, without a reason."""
    wide = set()
    for name, template in templates.items():
        for resource, content in template["Resources"].items():
            for statement in statements(content):
                actions = [a for a in listed(statement["Action"]) if a.endswith("*")]
                if actions or "*" in listed(statement["Resource"]):
                    wide.add((name, resource))
    yield from (f"{name}: {resource} allows too much" for name, resource in wide - set(WIDE))
    yield from (f"{name}: {resource} needs no exception" for name, resource in set(WIDE) - wide)


def outputs(templates):
    """Each parameter that comes from another stack has the name of exactly one output."""
    template = load()
    offered = [key for each in templates.values() for key in each.get("Outputs", {})]
    offered += list(template["Outputs"])
    for name, taken in TAKEN.items():
        parameters = (templates[name] if name else template)["Parameters"]
        for parameter in taken.split():
            if parameter not in parameters:
                yield f"{name or 'template.yaml'} does not take {parameter}"
            if offered.count(parameter) != 1:
                yield f"{offered.count(parameter)} outputs are named {parameter}"


def private_database(templates):
    """The database is encrypted, protected, and reachable from the functions only."""
    restored = {"Fn::If": ["Restores", {"Ref": "AWS::NoValue"}, True]}  # as its snapshot
    for name, resource, properties in every(templates, "AWS::RDS::DBInstance"):
        if properties.get("PubliclyAccessible") is not False:
            yield f"{name}: {resource} is public"
        if properties.get("StorageEncrypted") not in (True, restored):
            yield f"{name}: {resource} is not encrypted"
        protection = templates[name]["Parameters"]["DeletionProtection"]["Default"]
        if protection != "true" or properties["DeletionProtection"] != {
            "Ref": "DeletionProtection"
        }:
            yield f"{name}: {resource} is not protected"
    for name, resource, group in every(templates, "AWS::EC2::SecurityGroup"):
        for rule in group.get("SecurityGroupIngress", []):
            if rule.get("SourceSecurityGroupId") != {"Ref": "FunctionsGroup"}:
                yield f"{name}: {resource} admits others than the functions"
        if not group.get("SecurityGroupEgress"):
            yield f"{name}: {resource} may connect to everything"
    for name, resource, route in every(templates, "AWS::EC2::Route"):
        if route["RouteTableId"] == {"Ref": "DatabaseRoutes"}:
            yield f"{name}: {resource} leads out of the database subnets"


def settings(templates):
    """The database requires TLS, and has the isolation and durability that the code relies on."""
    required = {
        "require_secure_transport": "1",
        "transaction_isolation": "REPEATABLE-READ",
        "innodb_flush_log_at_trx_commit": "1",
        "sync_binlog": "1",
        "slow_query_log": "0",
        "general_log": "0",
    }
    groups = list(every(templates, "AWS::RDS::DBParameterGroup"))
    for name, resource, properties in groups:
        given = properties["Parameters"]
        for key in required.keys() - {k for k in given if given[k] == required.get(k)}:
            yield f"{name}: {resource} has {key} = {given.get(key)}"
    for name, resource, database in every(templates, "AWS::RDS::DBInstance"):
        if database.get("DBParameterGroupName") not in [{"Ref": group} for _, group, _ in groups]:
            yield f"{name}: {resource} has other parameters"


def transport(templates):
    """Buckets, topics and the edge refuse what is not encrypted."""
    for kind in ("AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy"):
        for name, resource, properties in every(templates, kind):
            denied = [
                statement
                for statement in properties["PolicyDocument"]["Statement"]
                if statement["Effect"] == "Deny"
                and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            ]
            if not denied:
                yield f"{name}: {resource} accepts what is not encrypted"
    for name, resource, properties in every(templates, "AWS::CloudFront::Distribution"):
        for policy in values(properties, "ViewerProtocolPolicy"):
            if policy != "https-only":
                yield f"{name}: {resource} answers http"


def caller_address(templates):
    """CloudFront hides the caller's address, so it adds the address and a proof that it did.

    The function replaces an address that the caller sent. CloudFront replaces a proof in the same
    way, because it is a header of the origin.
    """
    for name, resource, properties in every(templates, "AWS::CloudFront::Distribution"):
        config = properties["DistributionConfig"]
        headers = {
            header["HeaderName"]: json.dumps(header["HeaderValue"])
            for origin in config["Origins"]
            for header in origin.get("OriginCustomHeaders", [])
        }
        proof = headers.get("x-origin-proof", "")
        if "{{resolve:secretsmanager:${OriginProof}:SecretString:proof:" not in proof:
            yield f"{name}: {resource} does not prove its requests"
        code = templates[name]["Resources"].get("ViewerAddress", {}).get("Properties", {})
        called = json.dumps(config["DefaultCacheBehavior"].get("FunctionAssociations", []))
        sets = "headers['x-viewer-address'] = { value: event.viewer.ip }"
        if sets not in code.get("FunctionCode", "") or "ViewerAddress" not in called:
            yield f"{name}: {resource} hides the address of the caller"


def stack_names(templates):
    """A name contains the stack's name, so that two stacks in an account do not collide."""
    for name, template in templates.items():
        for resource, content in template["Resources"].items():
            # Names inside of a firewall, a policy or a set of parameters are not names of resources.
            properties = content.get("Properties", {})
            given = {key: properties[key] for key in NAMES if key in properties}
            for key in ("BudgetName", "RotationLambdaName"):
                given |= dict.fromkeys([key], next(values(properties, key), None))
            for key, value in given.items():
                if value is not None and not NAMED.search(json.dumps(value)):
                    yield f"{name}: {key} of {resource} is the same in each stack"


def notified(templates):
    """Each alarm notifies the topic."""
    for name, resource, properties in every(templates, "AWS::CloudWatch::Alarm"):
        if "AlarmTopicArn" not in json.dumps(properties.get("AlarmActions", "")):
            yield f"{name}: {resource} notifies nobody"


def described(templates):
    """Each parameter and each output has a description."""
    for name, template in templates.items():
        for key, content in (template["Parameters"] | template.get("Outputs", {})).items():
            if not content.get("Description"):
                yield f"{name}: {key} has no description"


RULES = (
    lasting, wildcards, outputs, private_database, settings, transport, caller_address,
    stack_names, notified, described,
)  # fmt: skip


class Aws(unittest.TestCase):
    """Applies the rules to the templates and to broken copies of them."""

    def setUp(self):
        paths = sorted((ROOT / "infra/aws").glob("*.yaml"))
        self.templates = {path.stem: load(path) for path in paths}

    def test_the_templates_follow_every_rule(self):
        for rule in RULES:
            with self.subTest(rule=rule.__name__):
                self.assertEqual(list(rule(self.templates)), [])

    def test_every_rule_reports_a_broken_template(self):
        ingress = ("Properties", "SecurityGroupIngress", 0, "SourceSecurityGroupId")
        statement = ("Properties", "PolicyDocument", "Statement")
        parameters = ("Parameters", "Properties", "Parameters")
        policy = ("Properties", "Policies", 0, "PolicyDocument", "Statement")
        behavior = ("Properties", "DistributionConfig", "DefaultCacheBehavior")
        at = (
            (lasting, "database", "Database", "UpdateReplacePolicy", "Delete"),
            (lasting, "database", "AppSecret", "DeletionPolicy", "Delete"),
            (lasting, "network", "AddressA", "DeletionPolicy", "Delete"),
            (wildcards, "database", "MonitoringRole", *policy, 0, "Resource", "*"),
            (wildcards, "database", "MonitoringRole", *policy, 0, "Action", "logs:*"),
            (wildcards, "pipeline", "IdentityPolicy", *statement, 0, "Action", ["iam:*"]),
            (wildcards, "pipeline", "Boundary", *statement, {}),
            (private_database, "database", "Database", "Properties", "PubliclyAccessible", True),
            (private_database, "database", "Database", "Properties", "StorageEncrypted", False),
            (private_database, "database", "Database", "Properties", "DeletionProtection", False),
            (private_database, "network", "DatabaseGroup", *ingress, None),
            (private_database, "network", "DatabaseGroup", "Properties", "SecurityGroupEgress", []),
            (private_database, "network", "NatRouteA", "Properties", "RouteTableId",
             {"Ref": "DatabaseRoutes"}),
            (settings, "database", *parameters, "require_secure_transport", "0"),
            (settings, "database", *parameters, "transaction_isolation", "READ-COMMITTED"),
            (settings, "database", "Database", "Properties", "DBParameterGroupName", "default"),
            (transport, "operations", "AlarmTopicPolicy", *statement, []),
            (transport, "pipeline", "ArtifactsPolicy", *statement, 0, "Condition", {}),
            (transport, "edge", "Distribution", *behavior, "ViewerProtocolPolicy", "allow-all"),
            (caller_address, "edge", "Distribution", *behavior, "FunctionAssociations", []),
            (caller_address, "edge", "Distribution", "Properties", "DistributionConfig", "Origins", []),
            (stack_names, "operations", "AlarmTopic", "Properties", "TopicName", "alarms"),
            (stack_names, "operations", "Budget", "Properties", "Budget", "BudgetName", "sms"),
            (notified, "database", "CpuAlarm", "Properties", "AlarmActions", []),
        )  # fmt: skip
        for rule, name, *path, value in at:
            with self.subTest(rule=rule.__name__, path=path):
                changed = self.templates | {name: broken(self.templates[name], path, value)}
                self.assertNotEqual(list(rule(changed)), [])

    def test_a_missing_output_is_reported(self):
        del self.templates["network"]["Outputs"]["Subnets"]
        self.assertIn("0 outputs are named Subnets", list(outputs(self.templates)))

    def test_a_renamed_parameter_is_reported(self):
        del self.templates["database"]["Parameters"]["AlarmTopicArn"]
        self.assertEqual(list(outputs(self.templates)), ["database does not take AlarmTopicArn"])

    def test_a_missing_description_is_reported(self):
        del self.templates["network"]["Parameters"]["NatGateways"]["Description"]
        self.assertEqual(
            list(described(self.templates)), ["network: NatGateways has no description"]
        )

    def test_each_skipped_check_has_a_reason(self):
        for line in (ROOT / "infra/local/checkov-skips.txt").read_text().splitlines():
            with self.subTest(line=line):
                self.assertRegex(line, r"^(# .+|CKV2?_AWS_\d+ \w.{20,}\.)$")


if __name__ == "__main__":
    unittest.main()
