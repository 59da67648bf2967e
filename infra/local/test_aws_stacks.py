"""Deploys the templates of infra/aws to the emulator, and template.yaml onto them as on AWS.

It checks resources and outputs, starts an emulator of its own, and no database. The values of parameters switch off what the
emulator does not have: NAT gateways, elastic IPs, flow logs, budgets, saved queries, CloudTrail and
AWS Config. rotation.yaml and pipeline.yaml cannot be deployed to it: they need a transform of
Secrets Manager, and an OpenID provider. test_aws.py and cfn-lint check those. No database server
listens behind the emulator's RDS instance.

    infra/local/python infra/local/test_aws_stacks.py
"""

import json
import shutil
import tempfile
import time
import unittest
from pathlib import Path

from botocore.exceptions import ClientError

import build
import deploy
import emulator
from processes import Processes
from template import ROOT, load, resources

ACCOUNT = "000000000000"
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/00000000-0000-0000-0000-000000000000"
# The emulator starts a MySQL container for an RDS instance if it finds a Docker engine.
WITHOUT_DOCKER = {"DOCKER_HOST": "tcp://127.0.0.1:1"}
LACKING = {  # values of parameters that switch off what the emulator does not have
    "network": {"NatGateways": "none", "FlowLogs": "none"},
    "operations": {"MonthlyBudget": "0", "Queries": "false"},
    "database": {},
    "edge": {},
}
LOG_STREAM = "arn:aws:firehose:us-east-1:000000000000:deliverystream/logs"
# Types that the emulator does not have. Each of their resources depends on a condition.
UNKNOWN = (
    "AWS::Budgets::", "AWS::CloudTrail::", "AWS::Config::", "AWS::EC2::EIP", "AWS::EC2::FlowLog",
    "AWS::EC2::NatGateway", "AWS::Logs::QueryDefinition",
)  # fmt: skip


class Stacks:
    """The stacks of one prefix in the emulator."""

    def __init__(self, processes, prefix):
        self.prefix = prefix
        self.cloudformation = emulator.client(processes, "cloudformation")

    def create(self, name, **values):
        """Creates a stack and waits; returns its outputs, or raises an error with the reasons."""
        given = LACKING[name] | values
        self.cloudformation.create_stack(
            StackName=f"{self.prefix}-{name}",
            TemplateBody=(ROOT / f"infra/aws/{name}.yaml").read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
        )
        stack = self._wait(name)
        if stack["StackStatus"] != "CREATE_COMPLETE":
            raise AssertionError(f"{name}: {stack['StackStatus']}: {self._reasons(name)}")
        return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}

    def create_all(self):
        """Creates all stacks as README.md says; returns all outputs."""
        given = {"Endpoints": "both-zones", "S3Endpoint": "true", "CarrierPort": "8002"}
        found = self.create("network", **given)
        found |= self.create("operations", AlarmEmail="ops@example.com", ApiId="abc123")
        taken = ("DatabaseSubnets", "DatabaseSecurityGroup", "AlarmTopicArn", "KmsKeyArn")
        values = {name: found[name] for name in taken}
        return found | self.create("database", DeletionProtection="false", **values)

    def delete(self, name):
        """Deletes a stack and waits."""
        self.cloudformation.delete_stack(StackName=f"{self.prefix}-{name}")
        try:
            self._wait(name)
        except ClientError as error:
            if "does not exist" not in str(error):
                raise

    def ids(self, name):
        """Returns {logical name: physical id} of a stack."""
        found = self.cloudformation.describe_stack_resources(StackName=f"{self.prefix}-{name}")
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in found["StackResources"]
        }

    def _wait(self, name):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            stack = self.cloudformation.describe_stacks(StackName=f"{self.prefix}-{name}")
            if not stack["Stacks"][0]["StackStatus"].endswith("IN_PROGRESS"):
                return stack["Stacks"][0]
            time.sleep(0.05)
        raise AssertionError(f"{name} did not end within 30 s")

    def _reasons(self, name):
        events = self.cloudformation.describe_stack_events(StackName=f"{self.prefix}-{name}")
        reasons = [each.get("ResourceStatusReason") for each in events["StackEvents"]]
        return "; ".join(filter(None, reasons))


class Deployed(unittest.TestCase):
    """Looks at what the emulator made of the templates. Two sets of stacks are in one account."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="sms-aws-stacks-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.processes = Processes(cls.folder)
        cls.addClassCleanup(cls.processes.stop, "emulator")
        emulator.start(cls.processes, WITHOUT_DOCKER)
        cls.first, cls.second = (Stacks(cls.processes, name) for name in ("sms", "other"))
        cls.outputs = cls.first.create_all()
        cls.second.create_all()

    def client(self, service):
        """Returns a client of the emulator."""
        return emulator.client(self.processes, service)

    def test_the_functions_have_two_private_subnets_in_two_zones(self):
        ids = self.outputs["Subnets"].split(",")
        subnets = self.client("ec2").describe_subnets(SubnetIds=ids)["Subnets"]
        self.assertEqual(len({subnet["AvailabilityZone"] for subnet in subnets}), 2)
        for subnet in subnets:
            self.assertEqual(subnet["VpcId"], self.outputs["VpcId"])
            self.assertFalse(subnet["MapPublicIpOnLaunch"])

    def test_no_route_leads_from_the_database_to_the_internet(self):
        ids = self.outputs["DatabaseSubnets"].split(",")
        tables = self.client("ec2").describe_route_tables(
            Filters=[{"Name": "association.subnet-id", "Values": ids}]
        )["RouteTables"]
        self.assertEqual(len(tables), 1)
        gateways = [route.get("GatewayId") for route in tables[0]["Routes"]]
        self.assertEqual([each for each in gateways if each != "local"], [])

    def test_only_the_functions_reach_the_database(self):
        groups = self.client("ec2").describe_security_groups(
            GroupIds=[self.outputs["DatabaseSecurityGroup"]]
        )["SecurityGroups"]
        (rule,) = groups[0]["IpPermissions"]
        self.assertEqual((rule["FromPort"], rule["ToPort"]), (3306, 3306))
        sources = [pair["GroupId"] for pair in rule["UserIdGroupPairs"]]
        self.assertEqual((sources, rule["IpRanges"]), ([self.outputs["SecurityGroup"]], []))

    def test_the_functions_connect_to_three_ports(self):
        groups = self.client("ec2").describe_security_groups(
            GroupIds=[self.outputs["SecurityGroup"]]
        )["SecurityGroups"]
        ports = {rule["FromPort"] for rule in groups[0]["IpPermissionsEgress"]}
        self.assertEqual(ports, {443, 3306, 8002})

    def test_five_interface_endpoints_and_one_gateway_endpoint_exist(self):
        found = self.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        kinds = sorted(
            each["VpcEndpointType"] for each in found if each["VpcId"] == self.outputs["VpcId"]
        )
        self.assertEqual(kinds, ["Gateway", *["Interface"] * 5])

    def test_the_database_is_encrypted_private_and_backed_up(self):
        rds = self.client("rds")
        (database,) = rds.describe_db_instances(
            DBInstanceIdentifier=self.outputs["DatabaseInstance"]
        )["DBInstances"]
        expected = {
            "Engine": "mysql",
            "MultiAZ": True,
            "PubliclyAccessible": False,
            "StorageEncrypted": True,
            "KmsKeyId": self.outputs["KmsKeyArn"],
            "BackupRetentionPeriod": 14,
            "CopyTagsToSnapshot": True,
        }
        self.assertEqual({name: database[name] for name in expected}, expected)
        group = database["DBParameterGroups"][0]["DBParameterGroupName"]
        listed = rds.describe_db_parameters(DBParameterGroupName=group)["Parameters"]
        values = {each["ParameterName"]: each.get("ParameterValue") for each in listed}
        self.assertEqual(values["require_secure_transport"], "1")
        self.assertEqual(values["transaction_isolation"], "REPEATABLE-READ")

    def test_both_secrets_have_the_shape_that_the_functions_read(self):
        secrets = self.client("secretsmanager")
        for name, user in (("DatabaseSecretArn", "sms_app"), ("MigrationSecretArn", "sms_migrate")):
            text = secrets.get_secret_value(SecretId=self.outputs[name])["SecretString"]
            secret = json.loads(text)
            self.assertEqual(secret["username"], user)
            self.assertEqual(secret["host"], self.outputs["DatabaseHost"])
            self.assertEqual((int(secret["port"]), secret["dbname"]), (3306, "sms"))
            self.assertEqual(len(secret["password"]), 40)

    def _alarms(self):
        """Returns all alarms of the emulator."""
        pages = self.client("cloudwatch").get_paginator("describe_alarms").paginate()
        return [alarm for page in pages for alarm in page["MetricAlarms"]]

    def test_each_alarm_of_the_database_notifies_the_topic(self):
        expected = {
            name for name in load("infra/aws/database.yaml")["Resources"] if "Alarm" in name
        }
        found = self._alarms()
        ours = [each for each in found if each["AlarmName"].startswith("sms-database-")]
        self.assertEqual({each["AlarmName"].split("-")[2] for each in ours}, expected)
        for alarm in ours:
            self.assertEqual(alarm["AlarmActions"], [self.outputs["AlarmTopicArn"]])
            self.assertEqual(alarm["Dimensions"][0]["Value"], self.outputs["DatabaseInstance"])
        storage = next(each for each in ours if "FreeStorage" in each["AlarmName"])
        self.assertEqual(storage["Threshold"], 10e9)

    def test_the_topic_notifies_the_address(self):
        topic = self.outputs["AlarmTopicArn"]
        found = self.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        self.assertEqual([each["Endpoint"] for each in found], ["ops@example.com"])

    def test_the_dashboard_is_valid_and_names_the_functions(self):
        body = self.client("cloudwatch").get_dashboard(DashboardName="sms-operations")
        widgets = json.loads(body["DashboardBody"])["widgets"]
        self.assertEqual(len(widgets), 9)
        for text in ("sms-api", "sms-notify", "sms-database", "abc123", "QueueName=sms"):
            self.assertIn(text, json.dumps(widgets))

    def test_two_sets_of_stacks_share_nothing(self):
        for name in ("network", "operations", "database"):
            mine, others = (set(stacks.ids(name).values()) for stacks in (self.first, self.second))
            self.assertEqual(mine & others, set(), name)

    def test_a_domain_serves_the_api(self):
        values = {"ApiId": self._api(), "CertificateArn": CERTIFICATE}
        found = self.first.create("edge", DomainName="sms.example.com", **values)
        self.assertEqual(found["EdgeUrl"], "https://sms.example.com")
        self.assertNotIn("OriginProofSecretArn", found)
        mappings = self.client("apigatewayv2").get_api_mappings(DomainName="sms.example.com")
        self.assertEqual([each["ApiId"] for each in mappings["Items"]], [values["ApiId"]])

    def test_cloudfront_adds_the_address_of_the_caller_and_a_proof_behind_the_firewall(self):
        values = {"Kind": "cloudfront", "ApiId": self._api(), "ApiRegion": "us-east-1"}
        values |= {"DomainName": "edge.example.com", "CertificateArn": CERTIFICATE}
        outputs = self.second.create("edge", **values)
        cloudfront, ids = self.client("cloudfront"), self.second.ids("edge")
        found = cloudfront.get_distribution(Id=ids["Distribution"])["Distribution"]
        config = found["DistributionConfig"]
        self.assertIn("webacl/other-edge", config["WebACLId"])
        function = cloudfront.get_function(Name="other-edge-viewer-address", Stage="LIVE")
        self.assertIn("x-viewer-address", function["FunctionCode"].read().decode())
        self.assertEqual(config["DefaultCacheBehavior"]["FunctionAssociations"]["Quantity"], 1)
        secret = self.client("secretsmanager").get_secret_value(
            SecretId=outputs["OriginProofSecretArn"]
        )
        (header,) = config["Origins"]["Items"][0]["CustomHeaders"]["Items"]
        proof = json.loads(secret["SecretString"])["proof"]
        self.assertEqual(len(proof), 64)
        self.assertEqual(header, {"HeaderName": "x-origin-proof", "HeaderValue": proof})

    def test_cloudfront_is_refused_in_another_region_than_that_of_its_firewall(self):
        rule = load("infra/aws/edge.yaml")["Rules"]["CloudFrontNeeds"]["Assertions"][0]["Assert"]
        self.assertEqual(rule, {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]})

    def test_secrets_and_key_remain_when_the_stacks_are_deleted(self):
        stacks = Stacks(self.processes, "gone")
        found = stacks.create_all()
        for name in ("database", "operations", "network"):
            stacks.delete(name)
        for name in ("DatabaseSecretArn", "MigrationSecretArn"):
            self.client("secretsmanager").get_secret_value(SecretId=found[name])
        key = self.client("kms").describe_key(KeyId=found["KmsKeyArn"])["KeyMetadata"]
        self.assertEqual(key["KeyState"], "Enabled")

    def test_what_the_emulator_lacks_depends_on_a_condition(self):
        for name in LACKING:
            for resource, content in load(f"infra/aws/{name}.yaml")["Resources"].items():
                if content["Type"].startswith(UNKNOWN):
                    self.assertIn("Condition", content, f"{name}: {resource}")

    def test_the_application_deploys_onto_these_stacks(self):
        deployment = self._application()
        deployment.run()
        found = self._alarms()
        ours = [each for each in found if each["AlarmName"].startswith(f"{deploy.STACK}-")]
        self.assertEqual(len(ours), len(resources(load(), "AWS::CloudWatch::Alarm")))
        self._check_log_groups()
        for alarm in ours:
            for actions in ("AlarmActions", "OKActions"):
                self.assertEqual(alarm[actions], [self.outputs["AlarmTopicArn"]])
            self.assertRegex(alarm["AlarmDescription"], r" - https://.+/runbook\.md#[a-z0-9-]+$")
        body = self.client("cloudwatch").get_dashboard(DashboardName=f"{deploy.STACK}-metrics")
        names = {each["AlarmName"] for each in ours}
        (widget, *_) = json.loads(body["DashboardBody"])["widgets"]
        shown = {arn.rpartition(":")[2] for arn in widget["properties"]["alarms"]}
        self.assertEqual(shown, names)
        given = deployment.values
        names = {"Send": "DatabaseSecretArn", "Migrate": "MigrationSecretArn"}
        for name, parameter in names.items():
            policy = self._policy(name)
            self.assertIn(
                f'"secretsmanager:GetSecretValue", "Resource": "{given[parameter]}"', policy
            )
            self.assertIn(f'"kms:Decrypt", "Resource": "{given["KmsKeyArn"]}"', policy)

        # The same binaries with another commit: the version is replaced, and the old one remains.
        given["Commit"] = "second"
        deployment.run()
        functions, name = self.client("lambda"), f"{deploy.STACK}-send"
        versions = functions.list_versions_by_function(FunctionName=name)["Versions"]
        self.assertEqual([each["Version"] for each in versions], ["$LATEST", "1", "2"])
        alias = functions.get_alias(FunctionName=name, Name="live")
        self.assertEqual(alias["FunctionVersion"], "2")

        # Tokens of IAM instead of a password, whose secret is not needed any more.
        secret = given.pop("DatabaseSecretArn")
        given |= {"DatabaseLogin": "iam", "Commit": "third"}
        given |= {name: self.outputs[name] for name in ("DatabaseHost", "DatabaseResourceId")}
        deployment.run()
        policy = self._policy("Send")
        user = f"dbuser:{given['DatabaseResourceId']}/sms_app"
        self.assertRegex(policy, rf'"rds-db:connect", "Resource": "arn:aws:rds-db:[^"]+:{user}"')
        self.assertNotIn(secret, policy)
        configuration = functions.get_function_configuration(FunctionName=name)
        found = configuration["Environment"]["Variables"]
        self.assertEqual(
            [found.get(f"DATABASE_{each}") for each in ("LOGIN", "HOST", "USER", "SECRET_ARN")],
            ["iam", given["DatabaseHost"], "sms_app", None],
        )

    def _application(self):
        """Returns the deployment of template.yaml as on AWS, with binaries that do nothing."""
        for name in build.FUNCTIONS:
            (self.folder / "bin" / name).mkdir(parents=True)
            (self.folder / "bin" / name / "bootstrap").write_text("#!/bin/sh\nsleep 100\n")
        taken = ("Subnets", "SecurityGroup", "AlarmTopicArn", "KmsKeyArn")
        values = {name: self.outputs[name] for name in taken}
        # Without CodeDeploy, which the emulator lacks.
        values |= {"Where": "aws", "Commit": "first", "DeploymentPreference": "AllAtOnce"}
        values["CarrierUrl"] = "https://carrier.example.com/api"
        values |= {"SavedQueries": "false", "LogStreamArn": LOG_STREAM}
        for name in ("DatabaseSecretArn", "MigrationSecretArn"):
            # On AWS the reference is the ARN, here it is the name.
            secret = self.client("secretsmanager").describe_secret(SecretId=self.outputs[name])
            values[name] = secret["ARN"]
        return deploy.Deployment(self.processes, values, self.folder / "bin")

    def _check_log_groups(self):
        for group in resources(load(), "AWS::Logs::LogGroup").values():
            name = group["LogGroupName"]["Fn::Sub"].replace("${AWS::StackName}", deploy.STACK)
            filters = self.client("logs").describe_subscription_filters(logGroupName=name)
            (found,) = filters["subscriptionFilters"]
            self.assertEqual((found["destinationArn"], found["filterPattern"]), (LOG_STREAM, ""))
            self.assertIn("LogStreamRole", found["roleArn"])

    def _policy(self, function):
        iam = self.client("iam")
        prefix = f"{deploy.STACK}-{function}Role-"
        (role,) = (r for r in iam.list_roles()["Roles"] if r["RoleName"].startswith(prefix))
        found = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=function.lower())
        return json.dumps(found["PolicyDocument"])

    def _api(self):
        gateway = self.client("apigatewayv2")
        api = gateway.create_api(Name="api", ProtocolType="HTTP")["ApiId"]
        gateway.create_stage(ApiId=api, StageName="$default")
        return api


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # a process that still runs, until it is stopped
