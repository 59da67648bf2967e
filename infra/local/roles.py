"""Checks on the running stack, started with AUTH=1, that each function is limited to its own role.

    infra/local/python infra/local/roles.py

It uses the credentials of the functions' own processes:

- No call that a function has made since the start of the stack was refused.
- Each function runs under its own role.
- Each function may use exactly the queues that its role's policy in template.yaml names, with
  exactly those actions. notify, for example, may not send to the send queue.
- Only api may create a one-time schedule, in the stack's group only, and it may pass no other role
  than that of the scheduler. No function may change its own role.
- A call of a running function is refused as soon as its role denies it, and the function logs that:
  otherwise the first check could find nothing.
"""

import json
import os
import re
import sys
import time
from datetime import timedelta
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import deploy
import emulator
import invoke_subject
import logs
from processes import bypass_proxy
from running_stack import ROOT, RunningStack
from template import functions, listed, load, resources, statements

REFUSED = ("AccessDenied", "AccessDeniedException")
REFUSAL = re.compile(r"AccessDenied|not authorized to perform")
DENIAL = "with an explicit deny"  # which no policy of template.yaml has
# A call for each action on queues, which changes nothing.
NO_MESSAGE = {"Id": "1", "ReceiptHandle": "none"}
HARMLESS = {
    "sqs:ChangeMessageVisibility": (
        "change_message_visibility_batch",
        {"Entries": [NO_MESSAGE | {"VisibilityTimeout": 0}]},
    ),
    "sqs:DeleteMessage": ("delete_message_batch", {"Entries": [NO_MESSAGE]}),
    "sqs:GetQueueAttributes": ("get_queue_attributes", {"AttributeNames": ["QueueArn"]}),
}
# Calls that are tried only where they are refused: they would start work, or delay it.
HARMFUL = {
    "sqs:ReceiveMessage": ("receive_message", {}),
    "sqs:SendMessage": ("send_message_batch", {"Entries": [{"Id": "1", "MessageBody": "x"}]}),
}
VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# Events that start a process of each function, and no work but a sweep.
IDLE = {
    "Api": json.loads((ROOT / "infra/events/health.json").read_text()),
    "Dispatch": {"sweep": True},
    "Migrate": {},
}
NO_MESSAGES = {"Records": []}
DENIAL_S = 15


def check(what, found, expected):
    """Exits unless a value is as expected."""
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, expected {expected!r}")


def is_allowed(call, **arguments):
    """Returns whether a call succeeds; False if it is refused. Other errors are raised."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in REFUSED:
            raise
        return False
    return True


class Functions:
    """The functions of the stack, with the credentials of their processes."""

    def __init__(self, stack):
        self.stack = stack
        self.template = load()
        found = stack.client("cloudformation").describe_stack_resources(StackName=deploy.STACK)
        self.ids = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in found["StackResources"]
        }
        self.queues = sorted(resources(self.template, "AWS::SQS::Queue"))
        # SchemaCheck is deployed to AWS only.
        known = self.template["Resources"]
        every = functions(self.template)
        self.names = sorted(name for name in every if known[name].get("Condition") != "OnAws")

    def invoke_all(self):
        """Invokes each function once, so that it has a process."""
        for name in self.names:
            answer = self.stack.client("lambda").invoke(
                FunctionName=self.stack.function(name),
                Payload=json.dumps(IDLE.get(name, NO_MESSAGES)).encode(),
            )
            check(f"error of {name}", answer.get("FunctionError"), None)

    def environment(self, name):
        """Returns the environment of a running process of a function."""
        wanted = f"AWS_LAMBDA_FUNCTION_NAME={self.stack.function(name)}"
        for pid in self.stack.processes.members("emulator"):
            try:
                entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
            except OSError:  # it ended meanwhile
                continue
            if wanted in entries:
                return dict(entry.split("=", 1) for entry in entries if "=" in entry)
        raise SystemExit(f"{name} has no process")

    def client(self, name, service):
        """Returns a client with the credentials of a function's process."""
        key, secret, token = (self.environment(name)[each] for each in VARIABLES)
        return boto3.client(
            service,
            endpoint_url=self.stack.endpoint.replace("localhost", "127.0.0.1"),
            region_name=emulator.REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"max_attempts": 1}),
        )

    def allowed(self, name):
        """Returns the (action, queue) pairs of the policy of a function's role."""
        return {
            (action, resource["Fn::GetAtt"][0])
            for statement in statements(self.template["Resources"][f"{name}Role"]["Properties"])
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
            if action.startswith("sqs:")
        }


def refused_calls(stack, denied):
    """Returns the lines of the functions' logs that report a call that was denied, or not allowed.

    Only running_function() denies a call, perhaps in an earlier run on the same stack.
    """
    lines = [line for line in logs.lines(stack.processes) if REFUSAL.search(line)]
    return [line for line in lines if (DENIAL in line) == denied]


def own_roles(found):
    """Each function runs under its own role."""
    for name in found.names:
        arn = found.client(name, "sts").get_caller_identity()["Arn"]
        check(f"role of {name}", arn.split("/")[1], found.ids[f"{name}Role"])


def queues(found):
    """Each function may use exactly the queues of its role's policy. Returns the count of calls."""
    calls = 0
    for name in found.names:
        sqs, allowed = found.client(name, "sqs"), found.allowed(name)
        for queue in found.queues:
            for action, (method, arguments) in (HARMLESS | HARMFUL).items():
                expected = (action, queue) in allowed
                if expected and action in HARMFUL:
                    continue
                done = is_allowed(getattr(sqs, method), QueueUrl=found.ids[queue], **arguments)
                check(f"{name} may call {action} on {queue}", done, expected)
                calls += 1
    return calls


def schedules(found):
    """Only api may create schedules, in the stack's group and with the scheduler's role."""
    group = found.stack.values["SCHEDULE_GROUP"]
    roles = {
        each["RoleName"]: each["Arn"] for each in found.stack.client("iam").list_roles()["Roles"]
    }
    ours, other = (roles[found.ids[each]] for each in ("SchedulerRole", "DispatchRole"))
    for function in found.names:
        client, name = found.client(function, "scheduler"), f"roles-{os.getpid()}"

        def created(what, group, role, client=client, name=name):
            return is_allowed(
                client.create_schedule,
                Name=f"{name}-{what}",
                GroupName=group,
                ScheduleExpression="at(2099-01-01T00:00:00)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": found.stack.values["DISPATCH_FUNCTION_ARN"], "RoleArn": role},
            )

        is_api = function == "Api"
        check(f"{function} may create a schedule", created("ours", group, ours), is_api)
        check(f"{function} may pass another role", created("role", group, other), False)
        is_elsewhere = created("elsewhere", "default", ours)
        check(f"{function} may create a schedule elsewhere", is_elsewhere, False)
        deleted = is_allowed(client.delete_schedule, Name=f"{name}-ours", GroupName=group)
        check(f"{function} may delete a schedule", deleted, is_api)


def own_policies(found):
    """No function may change its role."""
    for name in found.names:
        policy = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        changed = is_allowed(
            found.client(name, "iam").put_role_policy,
            RoleName=found.ids[f"{name}Role"],
            PolicyName="more",
            PolicyDocument=json.dumps(policy),
        )
        check(f"{name} may change its role", changed, False)


def running_function(found):
    """A call of api is refused once its role denies it, and its log says so."""
    iam, role = found.stack.client("iam"), found.ids["ApiRole"]
    before = len(refused_calls(found.stack, denied=True))
    denied = {"Effect": "Deny", "Action": "scheduler:CreateSchedule", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    iam.put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=policy)
    try:
        made = invoke_subject.new_schedule(found.stack, timedelta(days=1).total_seconds())
        found.stack.call("POST", f"/v1/schedules/{made}/cancel")
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="denied")
    deadline = time.monotonic() + DENIAL_S
    while len(refused_calls(found.stack, denied=True)) == before:
        if time.monotonic() > deadline:
            raise SystemExit("the log of api does not report a refused call")
        time.sleep(0.2)


def main():
    """Checks everything."""
    started = time.monotonic()
    bypass_proxy()
    stack = RunningStack(ROOT / (os.environ.get("STATE") or ".local"))
    if stack.values.get("AUTH") != "1":
        raise SystemExit("the stack does not evaluate policies: start it with AUTH=1")
    stack.call("GET", "/v1/attention/dead-letters")  # no end-to-end test reads these queues
    check("refused calls", refused_calls(stack, denied=False), [])
    found = Functions(stack)
    found.invoke_all()
    own_roles(found)
    calls = queues(found)
    schedules(found)
    own_policies(found)
    running_function(found)
    print(
        f"{len(found.names)} functions run under their own roles; {calls} calls on "
        f"{len(found.queues)} queues are allowed and refused as template.yaml says "
        f"({time.monotonic() - started:.0f} s)"
    )


if __name__ == "__main__":
    sys.exit(main())
