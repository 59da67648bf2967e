"""Tests preflight on broken profiles, binaries, trees and accounts.

infra/local/python infra/local/test_preflight.py
"""

import functools
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest.mock import Mock, patch

from botocore.exceptions import ClientError, NoCredentialsError

import build
import environments
import preflight
from template import ROOT, load
from test_binaries import ARM64, X86_64, elf

ACCOUNT = "444455556666"
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:sms"
GOOD = {
    "Where": "aws",
    "Commit": "HEAD",
    "Subnets": "subnet-0a1b2c3d4e5f60718,subnet-0a1b2c3d4e5f60719",
    "SecurityGroup": "sg-0a1b2c3d4e5f60718",
    "DatabaseSecretArn": f"{SECRET}/app-x1y2z3",
    "MigrationSecretArn": f"{SECRET}/migrate-x1y2z3",
    "CarrierSecretArn": f"{SECRET}/carrier-x1y2z3",
    "CarrierUrl": "https://carrier.test/api",
    "CarrierAdapter": "alaris",
    "AlarmTopicArn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:alarms",
    "ApiConcurrency": "10",
    "AllowedCountries": "MY,SG",
    "RunbookUrl": "https://git.test/sms/docs/runbook.md",
}


IAM = {
    "DatabaseLogin": "iam",
    "DatabaseSecretArn": None,
    "DatabaseHost": "sms.abc123.eu-west-1.rds.amazonaws.com",
    "DatabaseResourceId": "db-ABCDEFGH",
}


@functools.cache
def declared():
    """Returns the parameters of the template."""
    return load()["Parameters"]


def profile(root=ROOT, settings=None, **changed):
    """Returns an environment with these parameters instead of the good ones; None removes one."""
    given = {name: value for name, value in (GOOD | changed).items() if value is not None}
    chosen = {"stack_name": "sms", "region": "eu-west-1"} | (settings or {})
    return environments.Environment("test", chosen, given, declared(), root)


def error(code):
    """Returns an error of AWS."""
    return ClientError({"Error": {"Code": code, "Message": "x"}}, "Call")


class Profiles(unittest.TestCase):
    """Breaks a good profile, and checks that the rule for it reports it."""

    def test_a_good_profile_has_no_findings(self):
        self.assertEqual(list(environments.findings(profile())), [])

    def test_a_profile_with_tokens_of_iam_needs_no_secret_of_the_functions(self):
        self.assertEqual(list(environments.findings(profile(**IAM))), [])
        self.assertEqual(environments.account(profile(**IAM)), ACCOUNT)

    def test_every_rule_reports_a_broken_profile(self):
        check = environments
        at = (
            (check.placeholders, "SecurityGroup", "sg-0cccccccccccccccc", "one repeated digit"),
            (check.placeholders, "CarrierUrl", "https://carrier.example.com/api", "example.com"),
            (check.placeholders, "AlarmTopicArn", "arn:aws:sns:eu-west-1:111122223333:a", "1111"),
            (check.placeholders, "DatabaseSecretArn", f"{SECRET}/app-AbCdEf", "AbCdEf"),
            (check.declarations, "SendConcurency", "5", "not a parameter"),
            (check.declarations, "Subnets", None, "Subnets is missing"),
            (check.declarations, "EventSources", "Disabled", "set by make deploy"),
            (check.declarations, "Commit", "abc1234", "write Commit=HEAD"),
            (check.values, "Subnets", "subnet-1,vpc-2", "'vpc-2' does not match"),
            (check.values, "CarrierAdapter", "other", "none of alaris-bare, alaris"),
            (check.values, "SendConcurrency", "1", "below the minimum of 2"),
            (check.values, "CarrierTimeoutS", "51", "above the maximum of 50"),
            (check.values, "BatchSize", "many", "not a whole number"),
            (check.only_aws, "Where", "local", "Where is not aws"),
            (check.only_aws, "CarrierPassword", "x", "only for the local stack"),
            (check.arns, "MigrationSecretArn", SECRET.replace("eu-west", "us-east"), "us-east-1"),
            (check.arns, "CarrierSecretArn", SECRET.replace(ACCOUNT, "1"), "several accounts"),
            (check.arns, "CarrierSecretArn", GOOD["AlarmTopicArn"], "not the ARN of a secret"),
            (check.arns, "AlarmTopicArn", SECRET, "not the ARN of a topic"),
            (check.arns, "MigrationSecretArn", GOOD["DatabaseSecretArn"], "the same user"),
            (check.login, "DatabaseSecretArn", None, "password needs DatabaseSecretArn"),
            (check.login, "DatabaseLogin", "iam", "iam needs DatabaseHost"),
            (check.login, "DatabaseLogin", "iam", "iam needs DatabaseResourceId"),
            (check.values, "DatabaseResourceId", "sms-database", "does not match"),
            (check.carrier, "CarrierSecretArn", None, "needs CarrierSecretArn"),
            (check.carrier, "CarrierUrl", "http://carrier.test/api", "not https"),
            (check.pairs, "OidcIssuer", "https://id.test", "needs OidcAudience"),
            (check.pairs, "OidcAudience", "sms", "needs OidcIssuer"),
            (check.pairs, "OriginProofSecretArn", f"{SECRET}/proof-x1y2z3", "needs EdgeUrl"),
            (check.arns, "OriginProofSecretArn", GOOD["AlarmTopicArn"], "not the ARN of a secret"),
            (check.runbook, "RunbookUrl", None, "RunbookUrl is missing"),
            (check.countries, "AllowedCountries", None, "names no country"),
            (check.placeholders, "AllowedCountries", "XX", "the code of no country"),
            (check.values, "AllowedCountries", "Malaysia", "does not match"),
            (check.pairs, "Subnets", "subnet-1", "only one"),
            (check.times, "WorkerTimeoutS", "25", "must exceed 25"),
            (check.times, "DispatchTimeoutS", "121", "must be at least 726"),
            (check.times, "WorkerVisibilityS", "359", "must be at least 360"),
        )
        for rule, name, value, expected in at:
            with self.subTest(rule=rule.__name__, name=name, value=value):
                found = list(rule(profile(**{name: value})))
                self.assertTrue(any(expected in text for text in found), found)

    def test_a_role_of_the_pipeline_needs_its_boundary(self):
        changed = profile(settings={"role_arn": f"arn:aws:iam::{ACCOUNT}:role/x"})
        (found,) = environments.pairs(changed)
        self.assertIn("role_arn needs PermissionsBoundaryArn", found)

    def test_each_placeholder_of_the_repository_is_named(self):
        for name in environments.names():
            found = " ".join(environments.placeholders(environments.load(name)))
            for each in (
                "Subnets", "SecurityGroup", "DatabaseSecretArn", "MigrationSecretArn", "KmsKeyArn",
                "CarrierUrl", "CarrierSecretArn", "AlarmTopicArn", "RunbookUrl",
            ):  # fmt: skip
                self.assertIn(f"{each} is a placeholder", found, name)

    def test_the_profiles_of_the_repository_have_no_other_findings(self):
        for name in environments.names():
            environment = environments.load(name)
            others = [rule for rule in environments.CHECKS if rule != environments.placeholders]
            self.assertEqual([text for rule in others for text in rule(environment)], [], name)

    def test_production_limits_the_api(self):
        for name, findings in (("prod", 1), ("staging", 0)):
            changed = profile(ApiConcurrency="0")
            changed.name = name
            self.assertEqual(len(list(environments.api_limit(changed))), findings, name)

    def test_each_profile_of_the_repository_fits_the_default_database_and_limits_the_api(self):
        database = load("infra/aws/database.yaml")["Parameters"]
        share = preflight.CONNECTIONS_SHARE * preflight.max_connections(
            None, database["InstanceClass"]["Default"]
        )
        for name in environments.names():
            environment = environments.load(name)
            self.assertGreater(environment.number("ApiConcurrency"), 0, name)
            self.assertLessEqual(environments.concurrency(environment), share, name)

    def test_a_missing_or_unknown_environment_names_those_that_exist(self):
        for name, problem in (("", "ENV is missing"), ("live", "unknown ENV=live")):
            with self.assertRaisesRegex(SystemExit, f"{problem}: expected one of dev, prod, staging"):
                environments.load(name)

    def test_a_line_that_is_no_parameter_is_refused(self):
        for lines in (["Subnets"], ["A=1", "A=2"]):
            with self.assertRaises(SystemExit):
                environments._overrides({"parameter_overrides": lines}, "test")


class Machine(unittest.TestCase):
    """Checks binaries and the git tree of a folder."""

    def setUp(self):
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.report = preflight.Report()

    def built(self, machine=X86_64, content=b"", **files):
        """Writes a binary for each function, and runs the check; returns the findings."""
        for name in build.FUNCTIONS:
            folder = self.root / "target/lambda" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "bootstrap").write_bytes(elf(machine) + content)
            for file, text in files.items():
                (folder / file.replace("_", "-")).write_text(text)
        preflight.binaries(profile(self.root), self.report)
        return self.report.findings

    def test_binaries_for_lambda_are_accepted(self):
        self.assertEqual(self.built(), [])

    def test_binaries_of_another_architecture_are_reported(self):
        self.assertIn("is for arm64, and Architecture is x86_64", self.built(machine=ARM64)[0])

    def test_fault_points_are_reported(self):
        self.assertIn("fault points", self.built(content=build.FAULT_MARK)[0])

    def test_binaries_of_the_local_stack_are_reported(self):
        self.assertIn("of the local stack", self.built(made_from="x")[0])

    def test_binaries_that_are_not_built_are_only_reported_if_they_are_required(self):
        preflight.binaries(profile(self.root), self.report, required=False)
        self.assertEqual((self.report.findings, len(self.report.unchecked)), ([], 6))
        preflight.binaries(profile(self.root), self.report)
        self.assertEqual(len(self.report.findings), 6)

    def test_a_dirty_tree_and_a_folder_without_git_are_reported(self):
        preflight.tree(self.root, self.report)
        self.assertIn("no git tree", self.report.findings.pop())
        subprocess.run(["git", "init", "-q"], cwd=self.root, check=True)
        preflight.tree(self.root, self.report)
        self.assertEqual(self.report.findings, [])
        (self.root / "changed").touch()
        preflight.tree(self.root, self.report)
        self.assertEqual(self.report.findings, ["files are not committed: changed"])


class Account(unittest.TestCase):
    """Checks an account that answers from a table."""

    def setUp(self):
        self.aws = Mock()
        self.aws.get_caller_identity.return_value = {"Account": ACCOUNT}
        subnets = [
            {"SubnetId": subnet, "VpcId": "vpc-1", "AvailabilityZone": zone}
            for subnet, zone in zip(GOOD["Subnets"].split(","), "ab", strict=True)
        ]
        self.aws.describe_subnets.return_value = {"Subnets": subnets}
        self.aws.describe_security_groups.return_value = {"SecurityGroups": [{"VpcId": "vpc-1"}]}
        self.aws.describe_secret.return_value = {}
        self.limit(1000)
        outputs = [{"OutputKey": "DatabaseInstance", "OutputValue": "sms-database"}]
        self.aws.describe_stacks.return_value = {"Stacks": [{"Outputs": outputs}]}
        instance = {
            "DBInstanceClass": "db.t4g.medium",
            "DbiResourceId": "db-ABCDEFGH",
            "IAMDatabaseAuthenticationEnabled": True,
            "DBParameterGroups": [{"DBParameterGroupName": "g"}],
        }
        self.aws.describe_db_instances.return_value = {"DBInstances": [instance]}
        self.aws.get_paginator.return_value.paginate.return_value = [{"Parameters": []}]

    def limit(self, executions):
        """Sets the quota of concurrent executions."""
        limit = {"AccountLimit": {"ConcurrentExecutions": executions}}
        self.aws.get_account_settings.return_value = limit

    def check(self, **changed):
        """Returns the report about a profile."""
        report = preflight.Report()
        preflight.Account(profile(**changed), lambda _: self.aws, report).check()
        return report

    def test_a_good_account_has_no_findings(self):
        report = self.check()
        self.assertEqual((report.findings, report.unchecked), ([], []))

    def test_an_account_that_cannot_be_reached_is_no_finding(self):
        self.aws.get_caller_identity.side_effect = NoCredentialsError()
        report = self.check()
        self.assertEqual((report.findings, len(report.unchecked)), ([], 1))

    def test_another_account_is_reported(self):
        self.aws.get_caller_identity.return_value = {"Account": "1"}
        self.assertIn("of account 1, the secrets of 4444", self.check().findings[0])

    def test_what_does_not_exist_is_reported(self):
        for call, code, what in (
            ("describe_subnets", "InvalidSubnetID.NotFound", "Subnets"),
            ("describe_security_groups", "InvalidGroup.NotFound", "SecurityGroup"),
            ("describe_secret", "ResourceNotFoundException", "DatabaseSecretArn"),
            ("get_topic_attributes", "NotFound", "AlarmTopicArn"),
        ):
            with self.subTest(call=call), patch.object(self.aws, call, side_effect=error(code)):
                self.assertIn(f"{what} does not exist", " ".join(self.check().findings))

    def test_what_may_not_be_read_is_no_finding(self):
        self.aws.describe_secret.side_effect = error("AccessDeniedException")
        report = self.check()
        self.assertEqual(report.findings, [])
        self.assertIn("DatabaseSecretArn (AccessDeniedException)", report.unchecked)

    def test_one_zone_and_another_network_are_reported(self):
        for subnet in self.aws.describe_subnets.return_value["Subnets"]:
            subnet["AvailabilityZone"] = "a"
        self.aws.describe_security_groups.return_value = {"SecurityGroups": [{"VpcId": "vpc-2"}]}
        found = " ".join(self.check().findings)
        self.assertIn("in one zone", found)
        self.assertIn("in another network", found)

    def test_a_secret_without_its_key_or_before_its_deletion_is_reported(self):
        self.aws.describe_secret.return_value = {"KmsKeyId": "key/a", "DeletedDate": 1}
        found = " ".join(self.check().findings)
        self.assertIn("scheduled for deletion", found)
        self.assertIn("set KmsKeyArn", found)

    def test_a_quota_below_the_sum_is_reported(self):
        for quota, rest in ((149, 49), (10, 0)):
            self.limit(quota)
            (found,) = self.check().findings
            self.assertIn(f"sum up to 50, and the account's quota of {quota} leaves {rest} ", found)
        self.limit(150)
        self.assertEqual(self.check().findings, [])

    def test_more_connections_than_the_database_has_are_reported(self):
        (found,) = self.check(SendConcurrency="190").findings
        self.assertIn("sum up to 220 connections, and 70 % of max_connections is 210", found)

    def test_a_database_that_does_not_accept_the_tokens_is_reported(self):
        self.assertEqual(self.check(**IAM).findings, [])
        (instance,) = self.aws.describe_db_instances.return_value["DBInstances"]
        instance |= {"DbiResourceId": "db-OTHER", "IAMDatabaseAuthenticationEnabled": False}
        found = " ".join(self.check(**IAM).findings)
        self.assertIn("accepts no tokens of IAM", found)
        self.assertIn("DatabaseResourceId is db-ABCDEFGH, and that of the database db-OTHER", found)
        # A proxy has an id and a setting of its own, and a password needs neither.
        proxy = IAM | {"DatabaseResourceId": "prx-0a1b2c"}
        self.assertEqual(self.check(**proxy).findings, [])
        self.assertEqual(self.check().findings, [])

    def test_an_api_without_a_limit_is_named(self):
        self.assertIn("ApiConcurrency=0", self.check(ApiConcurrency="0").unchecked[0])

    def test_connections_by_class_and_parameter(self):
        for value, name, expected in (
            (None, "db.t4g.medium", 300),
            ("{DBInstanceClassMemory/12582880}", "db.r7g.large", 1201),
            ("500", "db.t4g.medium", 500),
            ("{log(DBInstanceClassMemory)}", "db.t4g.medium", None),
            (None, "db.serverless", None),
        ):
            self.assertEqual(preflight.max_connections(value, name), expected, (value, name))


if __name__ == "__main__":
    unittest.main()
