"""Checks that the roles of infra/aws/pipeline.yaml have the permissions that their work needs.

What CloudFormation needs for a type of resource is in the schema of the type, which cfn-lint brings
(`infra/local/setup lint`).

    infra/local/python infra/local/test_aws_roles.py
"""

import fnmatch
import functools
import json
import unittest

from template import ROOT, load, resources, translated
from test_aws import listed, statements

PIPELINE = "infra/aws/pipeline.yaml"
REGION = "us-east-1"
# Permissions of a type's schema that a role does not get, and why.
WITHHELD = {
    "secretsmanager:GetSecretValue": "pull requests get the role; CloudFormation compares no value",
    "kms:Decrypt": "no variable of a function is encrypted with a key of ours",
    "s3:getObject": "no API is imported from a file",
    "vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation": "no endpoint is one of VPC Lattice",
    "billing:GetBillingViewData": "the budget is of the account, not of a billing view",
}


@functools.cache
def schema(kind):
    """Returns the schema of a type of resource, {} if CloudFormation has none."""
    (folder,) = ROOT.glob("target/tools/lint/lib/python3*/site-packages/cfnlint/data/schemas")
    names = json.loads((folder / f"providers/{REGION}.json").read_text())
    file = folder / f"resources/{names.get(kind)}.json"
    return json.loads(file.read_text()) if file.exists() else {}


def needed(kind, *handlers):
    """Returns what CloudFormation calls when it runs these handlers of a type."""
    found = schema(kind).get("handlers", {})
    return {action for name in handlers for action in found.get(name, {}).get("permissions", ())}


def kinds(template):
    """Returns the types of all resources of a template."""
    return {resource["Type"] for resource in template["Resources"].values()}


def allowed(*names):
    """Returns the actions that these roles or policies of the pipeline allow."""
    found = load(PIPELINE)["Resources"]
    return {
        action.lower()
        for name in names
        for statement in statements(found[name])
        for action in listed(statement["Action"])
    }


def lacking(actions, granted):
    """Returns the actions that are neither granted nor withheld."""
    return sorted(
        action
        for action in actions - set(WITHHELD)
        if not any(fnmatch.fnmatchcase(action.lower(), pattern) for pattern in granted)
    )


class Roles(unittest.TestCase):
    """Compares what the roles may do with what they have to do."""

    def test_a_drift_detection_can_read_each_resource(self):
        granted = allowed("PlanRole", "DriftPolicy")
        templates = [load(str(path)) for path in sorted((ROOT / "infra/aws").glob("*.yaml"))]
        for template in (translated(load()), *templates):
            for kind in kinds(template):
                with self.subTest(kind=kind):
                    self.assertEqual(lacking(needed(kind, "read"), granted), [])
        for call in ("DetectStackDrift", "DetectStackResourceDrift", "DescribeStackResourceDrifts"):
            self.assertIn(f"cloudformation:{call}".lower(), granted)

    def test_each_type_of_the_application_has_a_schema_that_names_its_reads(self):
        for kind in kinds(translated(load())):
            with self.subTest(kind=kind):
                self.assertTrue(needed(kind, "read"))

    def test_a_missing_read_is_reported(self):
        granted = allowed("PlanRole", "DriftPolicy") - {"sqs:getqueueattributes"}
        missing = lacking(needed("AWS::SQS::Queue", "read"), granted)
        self.assertEqual(missing, ["sqs:GetQueueAttributes"])

    def test_the_plan_role_changes_nothing_but_its_change_sets_and_reads_no_secret(self):
        changes = {"cloudformation:createchangeset", "cloudformation:deletechangeset"}
        changes |= {"cloudformation:validatetemplate", "s3:putobject"}
        changes |= {f"cloudformation:detectstack{what}drift" for what in ("", "resource")}
        for action in allowed("PlanRole", "DriftPolicy") - changes:
            verb = action.partition(":")[2]
            self.assertTrue(
                verb.startswith(("get", "list", "describe", "view", "batchdescribe")), action
            )
        self.assertNotIn("secretsmanager:getsecretvalue", allowed("PlanRole", "DriftPolicy"))

    def test_cloudformation_can_create_change_and_delete_the_settings(self):
        granted = allowed("ServicePolicy")
        for kind in kinds(load()):
            if kind.startswith("AWS::AppConfig::"):
                calls = needed(kind, "create", "read", "update", "delete")
                # A profile with its own role or key would need these.
                calls -= {"iam:PassRole", "kms:GenerateDataKey"}
                with self.subTest(kind=kind):
                    self.assertEqual(lacking(calls, granted), [])

    def test_the_boundary_covers_what_the_roles_of_the_application_allow(self):
        granted = allowed("Boundary")
        found = load()
        for kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            for name, properties in resources(found, kind).items():
                calls = {
                    action
                    for statement in statements(properties)
                    for action in listed(statement["Action"])
                }
                with self.subTest(role=name):
                    self.assertEqual(lacking(calls, granted), [])

    def test_cloudformation_may_create_each_role_of_the_application(self):
        policy = json.dumps(load(PIPELINE)["Resources"]["IdentityPolicy"])
        for name in resources(load(), "AWS::IAM::Role"):
            self.assertEqual(policy.count("role/${ApplicationStack}-" + f"{name}-*"), 3, name)


if __name__ == "__main__":
    unittest.main()
