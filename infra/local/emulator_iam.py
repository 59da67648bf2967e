"""Runs the AWS emulator with corrections of how it evaluates IAM policies (AUTH=true).

It evaluates the policies of the caller's role for each call, and gives each function credentials of
its own role. Four requests of this system it evaluates differently from AWS, which would hide a
missing permission or refuse an allowed call; each is corrected here:

- It takes every schedule for one of the group `default`, and so refuses all calls on schedules of
  the stack's group.
- It looks for an action with the name of a batch operation of SQS. AWS has none: it checks the
  action of the single operation.
- It does not check whether the caller may pass a role to EventBridge (iam:PassRole).
- It takes the calls that read a configuration of AppConfig for calls on all resources.

What the emulator does itself it does as an administrator, without a role: it polls queues, invokes
functions for schedules, and writes logs. infra/local/test_permissions.py compares those permissions
with the template.

emulator.py starts this file; the emulator's environment has the variables.
"""

import contextvars
import json

from ministack.core import iam_actions, iam_evaluator
from ministack.services import appconfig

BATCHES = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
PASSES_ROLE = ("scheduler:CreateSchedule", "scheduler:UpdateSchedule")
SCHEDULER = {"iam:PassedToService": "scheduler.amazonaws.com"}

_action = iam_actions.extract_iam_action
_resource = iam_actions.extract_resource_arn
_enforce = iam_evaluator.enforce
# The role that the request passes; each request has a context of its own.
passed_role = contextvars.ContextVar("passed_role", default="")


def action(*request):
    """Returns the action that AWS checks for a request."""
    found = _action(*request)
    return BATCHES.get(found, found)


def resource(service, method, path, headers, body, parameters, region, account):
    """Returns the ARN that AWS checks for a request; notes the role that the request passes."""
    found = _resource(service, method, path, headers, body, parameters, region, account)
    parts = [part for part in path.split("/") if part]
    if service == "appconfigdata":
        return configuration(body, parameters, region, account) or found
    if service != "scheduler" or parts[:1] != ["schedules"] or len(parts) < 2:
        return found
    content = json.loads(body) if body else {}
    given = parameters.get("groupName") or content.get("GroupName") or "default"
    group = given[0] if isinstance(given, list) else given
    passed_role.set(content.get("Target", {}).get("RoleArn", ""))
    return f"arn:aws:scheduler:{region}:{account}:schedule/{group}/{parts[1]}"


def configuration(body, parameters, region, account):
    """Returns the ARN of the configuration that a request of a session is about, if it is known."""
    tokens = parameters.get("configuration_token") or [""]
    token = tokens[0] if isinstance(tokens, list) else tokens
    session = appconfig._sessions.get(token) or (json.loads(body) if body else {})
    identifiers = ("ApplicationIdentifier", "EnvironmentIdentifier", "ConfigurationProfileIdentifier")
    if not all(session.get(each) for each in identifiers):
        return None
    application, environment, profile = (session[each] for each in identifiers)
    return (
        f"arn:aws:appconfig:{region}:{account}:application/{application}"
        f"/environment/{environment}/configuration/{profile}"
    )


def enforce(access_key_id, iam_action, service, region, *more, **named):
    """Returns why a call is refused, None if it is allowed."""
    refused = _enforce(access_key_id, iam_action, service, region, *more, **named)
    if refused or iam_action not in PASSES_ROLE:
        return refused
    role = passed_role.get()
    refused = _enforce(
        access_key_id, "iam:PassRole", "iam", region, resource_arn=role, service_context=SCHEDULER
    )
    if refused is None or isinstance(refused, iam_evaluator.AuthError):
        return refused
    # The emulator would name the action of the request instead of this one.
    is_explicit = refused.decision == "Deny"
    text = iam_actions.identity_denial_message(
        "iam:PassRole", refused.principal_arn, role, is_explicit
    )
    return iam_evaluator.AuthError("AccessDeniedException", text)


def main():
    """Puts the corrections in place and runs the emulator, which looks them up at each request."""
    iam_actions.extract_iam_action = action
    iam_actions.extract_resource_arn = resource
    iam_evaluator.enforce = enforce
    from ministack import app

    app.main()


if __name__ == "__main__":
    main()
