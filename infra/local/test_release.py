"""Tests the order of the steps of a release, and the commands against the emulator.

infra/local/python infra/local/test_release.py
"""

import contextlib
import datetime
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest.mock import Mock, patch

import boto3

import build
import deploy
import emulator
import environments
import preflight
import release
from processes import Processes, bypass_proxy
from template import ROOT, load, resources
from test_preflight import profile

COMMANDS = ("release", "preflight")  # the modules that call AWS
ENABLED, DISABLED = ("ENABLED", "Enabled"), ("DISABLED", "Disabled")
BOOTSTRAP = '''#!/usr/bin/env python3
import json, os, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
while True:
    with urllib.request.urlopen(f"{api}/next") as call:
        name, event = call.headers["Lambda-Runtime-Aws-Request-Id"], json.load(call)
    kind, answer = "response", {"event": event, "commit": os.environ["GIT_COMMIT"]}
    if "fail" in json.dumps(event):
        kind, answer = "error", {"errorType": "Failed", "errorMessage": "as requested"}
    request = urllib.request.Request(f"{api}/{name}/{kind}", json.dumps(answer).encode())
    urllib.request.urlopen(request).close()
'''


class Order(unittest.TestCase):
    """Records the steps of a deployment, which do nothing."""

    def steps(self, exists, **failing):
        """Returns a fake; a step in `failing` raises."""
        steps = Mock(spec=release.Release)
        steps.exists.return_value = exists
        steps.configure_mock(**{f"{name}.side_effect": SystemExit(1) for name in failing})
        return steps

    def done(self, steps):
        """Returns the names of the steps, with the argument of sam_deploy."""
        return [
            f"sam_deploy {call.args[0]}" if call[0] == "sam_deploy" else call[0]
            for call in steps.method_calls
        ]

    def test_an_update_migrates_before_it_deploys(self):
        steps = self.steps(exists=True)
        release.deploy(steps, built=False)
        self.assertEqual(
            self.done(steps),
            ["check", "build", "exists", "migrate_ahead", "sam_deploy Enabled", "protect",
             "smoke_test"],
        )  # fmt: skip

    def test_a_first_deployment_starts_nothing_before_the_tables_exist(self):
        steps = self.steps(exists=False)
        release.deploy(steps, built=True)
        self.assertEqual(
            self.done(steps),
            ["check", "exists", "sam_deploy Disabled", "migrate", "sam_deploy Enabled", "protect",
             "smoke_test"],
        )  # fmt: skip

    def test_a_failed_step_ends_the_deployment(self):
        for failing in ("check", "build", "migrate_ahead"):
            steps = self.steps(exists=True, **{failing: True})
            with self.assertRaises(SystemExit):
                release.deploy(steps, built=False)
            self.assertEqual(self.done(steps)[-1], failing)

    def test_a_finding_of_preflight_ends_the_deployment(self):
        steps = release.Release(profile())
        with patch.object(preflight, "run", return_value=False), self.assertRaises(SystemExit):
            with contextlib.redirect_stdout(io.StringIO()):
                release.deploy(steps, built=True)


class Commands(unittest.TestCase):
    """Checks what the commands send to migrate, and what they refuse."""

    def setUp(self):
        self.steps = Mock(spec=release.Release)
        self.steps.caller.return_value = "arn:ana"

    def sent(self, command, **variables):
        """Returns the payload of a command."""
        release.run(command, self.steps, variables)
        return self.steps.invoke.call_args.args[0]

    def test_the_payloads_name_reason_and_caller(self):
        for command in ("stop-sending", "resume-sending"):
            self.assertEqual(
                self.sent(command, REASON=" wrong text "),
                {command.replace("-", "_"): {"reason": "wrong text", "by": "arn:ana"}},
            )
        self.assertEqual(
            self.sent("restored", SINCE="2026-01-02T03:04:05Z"),
            {"restored": {"since": "2026-01-02T03:04:05Z", "by": "arn:ana"}},
        )

    def test_a_missing_reason_or_a_wrong_time_is_refused(self):
        for command, variables in (
            ("stop-sending", {}),
            ("stop-sending", {"REASON": " "}),
            ("resume-sending", {"REASON": "x" * 501}),
            ("restored", {}),
            ("restored", {"SINCE": "2026-01-02 03:04"}),
            ("restored", {"SINCE": "2026-13-02T03:04:05Z"}),
            ("restored", {"SINCE": "9999-01-01T00:00:00Z"}),
            ("migrate", {}),
        ):
            with self.subTest(command=command, **variables), self.assertRaises(SystemExit):
                release.run(command, self.steps, variables)
        self.steps.invoke.assert_not_called()

    def test_a_restore_ends_before_now(self):
        now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        with self.assertRaises(SystemExit):
            release.since({"SINCE": "2026-01-01T00:00:01Z"}, now)

    def test_built_zero_builds(self):
        for value, built in (("1", True), ("0", False), ("", False)):
            release.run("preflight", self.steps, {"BUILT": value})
            self.steps.check.assert_called_with(built)


class Smoke(unittest.TestCase):
    """Checks the smoke test with an API that answers from a table."""

    def steps(self):
        """Returns the steps with a URL and without waiting."""
        steps = release.Release(profile())
        steps.output = lambda _: "http://api"
        for name, value in (("POLL_S", 0), ("SMOKE_S", 0)):
            self.enterContext(patch.object(release, name, value))
        self.enterContext(contextlib.redirect_stdout(io.StringIO()))
        return steps

    def test_status_and_commit_must_be_right(self):
        for answer, right in (((200, "abc"), True), ((200, "old"), False), ((503, "abc"), False)):
            with patch.object(release, "health", return_value=answer):
                if right:
                    self.steps().smoke_test("abc")
                    continue
                with self.assertRaisesRegex(SystemExit, "rollback.md"):
                    self.steps().smoke_test("abc")

    def test_an_api_that_does_not_answer_is_no_crash(self):
        status, commit = release.health("http://127.0.0.1:1/health")
        self.assertIn("no answer", status)
        self.assertIsNone(commit)


class Deployed(unittest.TestCase):
    """Runs the commands with `sam deploy` against an emulator of its own.

    The functions are scripts that answer each event with it and with the commit; an event that
    contains `fail` fails. The emulator has no CodeDeploy, so the alias moves at once.
    """

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sms-release-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.processes = Processes(self.folder / "state")
        self.processes.state.mkdir()
        self.addCleanup(self.processes.stop, "emulator")
        emulator.start(self.processes, {"DOCKER_HOST": "tcp://127.0.0.1:1"})
        port = self.processes.known["emulator"]["port"]
        variables = emulator.CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        variables["PATH"] = f"{ROOT / 'target/tools/sam/bin'}:{os.environ['PATH']}"
        self.enterContext(patch.dict(os.environ, variables))
        bypass_proxy()
        self.root = self.folder / "root"
        self.write()
        self.release = release.Release(environments.load("test", self.root))
        self.seen = []  # (payload, qualifier, states) at each invocation of migrate
        self.enterContext(patch.object(release, "health", lambda _: (200, self.api_commit())))
        self.enterContext(patch.object(self.release, "build"))
        self.enterContext(patch.object(release, "SMOKE_S", 0))
        self.watch()

    def client(self, service):
        """Returns a client of the emulator."""
        return emulator.client(self.processes, service)

    def write(self):
        """Writes a repository: template, profile, and functions that answer."""
        for name in build.FUNCTIONS:
            folder = self.root / preflight.FOLDER / name
            folder.mkdir(parents=True)
            (folder / "bootstrap").write_text(BOOTSTRAP)
        template = deploy.local_defaults((ROOT / "template.yaml").read_text())
        (self.root / "template.yaml").write_text(template)
        (self.root / ".gitignore").write_text("/target/\n")
        ec2, secrets = self.client("ec2"), self.client("secretsmanager")
        subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]
        group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
        topic = self.client("sns").create_topic(Name="alarms")["TopicArn"]
        given = {"Where": "aws", "Commit": "HEAD", "Subnets": ",".join(subnets)}
        given |= {"SecurityGroup": group, "AlarmTopicArn": topic, "ApiConcurrency": "10"}
        given["RunbookUrl"] = "https://git.test/sms/docs/runbook.md"
        # The emulator does not know saved queries.
        given |= {"AllowedCountries": "MY", "SavedQueries": "false"}
        given |= {"CarrierUrl": "https://carrier.test/api", "CarrierAdapter": "alaris"}
        for name in ("Database", "Migration", "Carrier"):
            found = secrets.create_secret(Name=f"sms/{name}", SecretString="{}")
            given[f"{name}SecretArn"] = found["ARN"]
        lines = [f"{name}={value}" for name, value in given.items()]
        (self.root / "samconfig.toml").write_text(
            "version = 0.1\n[test.deploy.parameters]\nstack_name = 'sms'\nregion = 'us-east-1'\n"
            "capabilities = 'CAPABILITY_IAM'\nresolve_s3 = true\nfail_on_empty_changeset = false\n"
            f"parameter_overrides = {json.dumps(lines)}\n"
        )
        self.git("init", "-q")
        self.new_commit()

    def git(self, *arguments):
        """Runs git in the repository."""
        who = ("-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True)

    def new_commit(self):
        """Commits everything, and returns the hash."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        command = ["git", "rev-parse", "--short", "HEAD"]
        return subprocess.check_output(command, cwd=self.root, text=True).strip()

    def watch(self):
        """Records what is enabled when migrate is invoked."""
        invoke = self.release.invoke

        def recorded(payload, *qualifier):
            self.seen.append((payload, qualifier, self.states()))
            invoke(payload, *qualifier)

        self.enterContext(patch.object(self.release, "invoke", recorded))

    def states(self):
        """Returns the state of the sweep, and the parameter of the stack.

        The emulator obeys `Enabled` of a mapping that CloudFormation creates, but always lists it
        as enabled. test_template_release.py checks that every mapping follows the parameter.
        """
        (sweep,) = self.client("scheduler").list_schedules()["Schedules"]
        (stack,) = self.client("cloudformation").describe_stacks(StackName="sms")["Stacks"]
        values = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
        return sweep["State"], values["EventSources"]

    def api_commit(self):
        """Returns the commit with which the API answers."""
        answer = self.client("lambda").invoke(
            FunctionName="sms-api", Qualifier="live", Payload=b"{}"
        )
        return json.load(answer["Payload"])["commit"]

    def run_command(self, command, **variables):
        """Runs a command without the output of SAM; returns what it prints itself."""
        output = io.StringIO()
        with (
            contextlib.redirect_stdout(output),
            patch.object(release, "preflight", preflight_without_binaries()),
            patch.object(self.release, "execute", self.execute),
        ):
            release.run(command, self.release, variables)
        return output.getvalue()

    def execute(self, command):
        """Runs a command, and returns its exit status; prints its output only if it failed."""
        done = subprocess.run(
            [*command, "--no-confirm-changeset"], cwd=self.root, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            print(done.stdout, file=sys.stderr)
        return done.returncode

    def test_two_deployments_a_rollback_and_the_stop_of_sending(self):
        first = self.release.commit()
        self.run_command("deploy")
        self.assertEqual(self.seen, [({}, (), DISABLED)])
        self.assertEqual(self.states(), ENABLED)
        stack = self.client("cloudformation").describe_stacks(StackName="sms")["Stacks"][0]
        self.assertTrue(stack["EnableTerminationProtection"])
        with self.assertRaisesRegex(SystemExit, "no version before 1; nothing moved"):
            self.run_command("rollback")

        second = self.new_commit()
        self.run_command("deploy")
        payload, qualifier, states = self.seen[-1]
        self.assertEqual((payload, states, self.api_commit()), ({}, ENABLED, second))
        self.assertNotEqual(qualifier, ())

        printed = self.run_command("rollback")
        for name in release.MOVED:
            self.assertIn(f"sms-{name}: 2 ({second}) -> 1 ({first})", printed)
        self.assertEqual(self.api_commit(), first)
        alias = self.client("lambda").get_alias(FunctionName="sms-migrate", Name="live")
        self.assertNotEqual(alias["FunctionVersion"], "1")

        printed = self.run_command("stop-sending", REASON="wrong text")
        self.assertIn('"reason": "wrong text", "by": "arn:', printed)
        with self.assertRaisesRegex(SystemExit, "migrate failed"):
            self.run_command("resume-sending", REASON="fail")

    def test_the_role_of_the_pipeline_may_call_what_the_commands_call(self):
        allowed = set()
        for policy in resources(load("infra/aws/pipeline.yaml"), "AWS::IAM::Role")["DeployRole"][
            "Policies"
        ]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                allowed |= {actions} if isinstance(actions, str) else set(actions)
        self.assertEqual(sorted(called() - allowed), [])

    def test_a_dirty_tree_is_refused_before_anything_is_changed(self):
        (self.root / "changed").touch()
        with self.assertRaises(SystemExit):
            self.run_command("deploy")
        self.assertIsNone(self.release.stack())


def called():
    """Returns the actions of IAM that the commands need, by the names of calls in their code."""
    text = "".join((ROOT / f"infra/local/{name}.py").read_text() for name in COMMANDS)
    names, found = set(re.findall(r'[."]([a-z_]+)[("]', text)), set()
    for service in set(re.findall(r'client\("(\w+)"', text)) - {"sts"}:  # its call needs no right
        calls = boto3.client(service, "us-east-1").meta.method_to_api_mapping
        found |= {f"{service}:{calls[name]}" for name in names & set(calls)}
    found = {action.replace("lambda:Invoke", "lambda:InvokeFunction") for action in found}
    # The waiters for the version of migrate, and its publication.
    return found | {
        f"lambda:{call}" for call in ("GetFunction", "GetFunctionConfiguration", "PublishVersion")
    }


def preflight_without_binaries():
    """Returns the module preflight with a check of binaries that accepts scripts."""
    changed = types.SimpleNamespace(**vars(preflight))

    def run(environment, client, built):
        with patch.object(preflight, "binaries"):
            return preflight.run(environment, client, built)

    changed.run = run
    return changed


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # a process that still runs, until it is stopped
