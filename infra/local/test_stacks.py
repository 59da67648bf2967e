"""Tests the plan and the drift of stacks against a CloudFormation that answers from a table.

infra/local/python infra/local/test_stacks.py
"""

import json
import tempfile
import unittest
from pathlib import Path
from unittest.mock import Mock, patch

from botocore.exceptions import ClientError

import stacks

CODE = {"S3Bucket": "code", "S3Key": "abc"}


def deployed_template(**functions):
    """Returns the processed template of a stack with these functions."""
    resources = {
        name: {"Type": "AWS::Lambda::Function", "Properties": {"Code": code}}
        for name, code in functions.items()
    }
    return {"TemplateBody": {"Resources": resources}}


class CloudFormation(Mock):
    """A client: every stack exists with the parameter Known, and its change set has `changes`."""

    def __init__(self, changes=(), status="CREATE_COMPLETE", reason="", drifts=(), **options):
        super().__init__(**options)
        found = {"Status": status, "StatusReason": reason}
        parameters = [{"ParameterKey": "Known", "ParameterValue": "x"}]
        pages = [{"Changes": [{"ResourceChange": change}]} for change in changes]
        self.describe_stacks.side_effect = None
        self.describe_stacks.return_value = {"Stacks": [{"Parameters": parameters}]}
        self.get_template.return_value = deployed_template(Api=CODE)
        self.describe_change_set.return_value = found
        self.get_paginator.return_value.paginate.return_value = pages
        self.detect_stack_drift.return_value = {"StackDriftDetectionId": "1"}
        self.describe_stack_drift_detection_status.return_value = {
            "DetectionStatus": "DETECTION_COMPLETE"
        }
        self.describe_stack_resource_drifts.return_value = {"StackResourceDrifts": list(drifts)}

    def _get_child_mock(self, **options):
        return Mock(**options)


def failing(code, message):
    """Returns a client whose stacks cannot be described."""
    client = CloudFormation()
    error = {"Error": {"Code": code, "Message": message}}
    client.describe_stacks.side_effect = ClientError(error, "DescribeStacks")
    return client


def missing_stack():
    """Returns a client that knows no stack."""
    return failing("ValidationError", "Stack with id sms does not exist")


CHANGE = {
    "Action": "Modify", "LogicalResourceId": "SendQueue", "ResourceType": "AWS::SQS::Queue",
    "Replacement": "False",
    "Details": [{"Target": {"Attribute": "Properties", "Name": "VisibilityTimeout"}}],
}  # fmt: skip
DRIFT = {
    "StackResourceDriftStatus": "MODIFIED", "LogicalResourceId": "Send",
    "ResourceType": "AWS::Lambda::Function",
    "PropertyDifferences": [
        {"PropertyPath": "/Timeout", "DifferenceType": "NOT_EQUAL", "ActualValue": "secret"}
    ],
}  # fmt: skip


@patch.object(stacks, "POLL_S", 0)
class Stacks(unittest.TestCase):
    """What is compared, and how it is shown."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.template = Path(folder.name) / "template.yaml"
        self.write("Parameters: {Known: {Type: String}, New: {Type: String, Default: a}}")
        patched = patch.multiple(
            stacks, APPLICATION=self.template, stacks=lambda _: [("sms", self.template)]
        )
        patched.start()
        self.addCleanup(patched.stop)
        self.s3 = Mock()
        self.s3.meta.region_name = "eu-west-1"

    def write(self, text):
        """Replaces the template."""
        self.template.write_text(text)

    def planned(self, client):
        """Returns the lines of the plan."""
        return list(stacks.plan(client, self.s3, "bucket", "sms"))

    def test_a_plan_shows_each_change_and_leaves_no_change_set(self):
        client = CloudFormation([CHANGE])
        self.assertEqual(
            "| Modify | `SendQueue` | SQS::Queue | `VisibilityTimeout` |", self.planned(client)[-1]
        )
        client.delete_change_set.assert_called_once()
        client.execute_change_set.assert_not_called()

    def test_a_replacement_is_emphasized(self):
        for replacement, shown in (("True", "**Replace**"), ("Conditional", "**Replace perhaps**")):
            self.assertIn(shown, stacks.described(CHANGE | {"Replacement": replacement}))

    def test_a_plan_keeps_the_values_of_parameters(self):
        client = CloudFormation([CHANGE])
        self.planned(client)
        given = client.create_change_set.call_args.kwargs
        self.assertEqual([{"ParameterKey": "Known", "UsePreviousValue": True}], given["Parameters"])
        self.assertEqual("UPDATE", given["ChangeSetType"])

    def test_a_plan_keeps_the_deployed_code(self):
        self.write("A:\n  CodeUri: target/lambda/api/\nB:\n  CodeUri: target/lambda/new/\n")
        self.planned(CloudFormation())
        uploaded = self.s3.put_object.call_args.kwargs["Body"].decode()
        self.assertEqual(2, uploaded.count("CodeUri: s3://code/abc\n"))

    def test_an_unchanged_stack_is_no_failure_and_another_failure_is_one(self):
        unchanged = "The submitted information didn't contain changes. Submit different information"
        for reason in (unchanged, "No updates are to be performed."):
            client = CloudFormation(status="FAILED", reason=reason)
            self.assertEqual("No change.", self.planned(client)[-1])
        client = CloudFormation(status="FAILED", reason="Template error")
        self.assertRaisesRegex(SystemExit, "sms: Template error", self.planned, client)
        client.delete_change_set.assert_called_once()

    def test_a_new_parameter_without_default_is_named(self):
        self.write("Parameters: {Other: {Type: String}}")
        self.assertIn("Other", self.planned(CloudFormation())[-1])

    def test_a_missing_stack_is_shown(self):
        self.assertIn("Not deployed", self.planned(missing_stack())[-1])

    def test_a_stack_that_the_role_may_not_read_is_shown_without_its_account(self):
        client = failing("AccessDenied", "User arn:aws:sts::111122223333:assumed-role/x is not …")
        self.assertEqual("Not compared: AccessDenied.", self.planned(client)[-1])
        lines, same = stacks.drift(client, "sms")
        self.assertIn("AccessDenied", lines[-1])
        self.assertNotIn("1111", json.dumps(lines))
        self.assertFalse(same)

    def test_a_drift_is_shown_without_values_and_fails(self):
        lines, same = stacks.drift(CloudFormation(drifts=[DRIFT]), "sms")
        self.assertFalse(same)
        self.assertIn("`/Timeout` (NOT_EQUAL)", lines[-1])
        self.assertNotIn("secret", json.dumps(lines))

    def test_stacks_without_drift_pass(self):
        self.assertEqual((["### sms", "As the template says."], True),
                         stacks.drift(CloudFormation(), "sms"))  # fmt: skip

    def test_a_failed_detection_and_missing_stacks_fail(self):
        failed = CloudFormation()
        failed.describe_stack_drift_detection_status.return_value = {
            "DetectionStatus": "DETECTION_FAILED"
        }
        for client in (failed, missing_stack()):
            self.assertFalse(stacks.drift(client, "sms")[1])

    def test_an_environment_without_a_section_is_named(self):
        self.write("version = 0.1")
        self.assertRaisesRegex(SystemExit, "prod", stacks.profile, "prod", self.template)

    def test_the_stacks_below_the_application_come_first(self):
        folder = self.template.parent
        (folder / "network.yaml").touch()
        self.template.unlink()
        (found, _), (last, _) = REAL_STACKS("sms", folder)
        self.assertEqual(("sms-network", "sms"), (found, last))


REAL_STACKS = stacks.stacks

if __name__ == "__main__":
    unittest.main()
