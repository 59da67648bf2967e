"""Compares the stacks of an environment with the templates, for the pipelines.

    infra/local/python infra/local/stacks.py plan prod     what a deployment would change
    infra/local/python infra/local/stacks.py drift prod    what was changed outside of CloudFormation

Both print Markdown. `plan` creates a change set of each stack and deletes it again. It keeps the
values of all parameters and the code that is deployed, so that it shows what the templates change.
`drift` exits with 1 if a stack differs from its template. Neither prints a value of a property,
because the logs of a public repository are public.

samconfig.toml has the name of the application's stack and the region. The stack of
infra/aws/<name>.yaml is called <application's stack>-<name>.
"""

import hashlib
import sys
import time
import tomllib

import boto3
import yaml
from botocore.exceptions import ClientError

from deploy import CODE
from template import ROOT, Loader

APPLICATION = ROOT / "template.yaml"
FOUNDATION = ROOT / "infra" / "aws"
# CloudFormation takes templates of more than 51,200 bytes from S3 only.
BUCKET_STACK, BUCKET_OUTPUT = "aws-sam-cli-managed-default", "SourceBucket"
FOLDER = "plan"
WAIT_S, POLL_S = 900, 3
UNCHANGED = ("didn't contain changes", "no updates are to be performed")
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]


class Unfinished(Exception):
    """CloudFormation did not finish in time."""


class Unreadable(Exception):
    """The role may not read a stack. The message is only a code, because logs can be public."""


def profile(environment, path=ROOT / "samconfig.toml"):
    """Returns the parameters of `sam deploy` for an environment."""
    sections = tomllib.loads(path.read_text())
    try:
        return sections[environment]["deploy"]["parameters"]
    except KeyError as missing:
        raise SystemExit(f"{path.name} has no section {environment}.deploy.parameters") from missing


def stacks(name, foundation=FOUNDATION):
    """Returns [(stack, template)] of an application's stack and those that it is built on."""
    others = sorted(foundation.glob("*.yaml")) if foundation.is_dir() else []
    return [(f"{name}-{path.stem}", path) for path in others] + [(name, APPLICATION)]


def deployed(cloudformation, stack):
    """Returns the description of a stack, None if it does not exist."""
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise Unreadable(error.response["Error"]["Code"]) from error
    return found


def until(finished):
    """Polls until `finished` returns a value."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if (value := finished()) is not None:
            return value
        time.sleep(POLL_S)
    raise Unfinished(f"not finished within {WAIT_S} s")


def with_deployed_code(cloudformation, stack, text):
    """Returns the template with the code that each function has now instead of a local folder."""
    processed = cloudformation.get_template(StackName=stack, TemplateStage="Processed")
    body = processed["TemplateBody"]
    resources = (yaml.safe_load(body) if isinstance(body, str) else body)["Resources"]
    code = {
        name: f"s3://{found['S3Bucket']}/{found['S3Key']}"
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Function"
        and "S3Key" in (found := resource["Properties"]["Code"])
    }

    def location(match):
        # A function that is new has no code yet: any code is enough for a plan.
        return f"CodeUri: {code.get(match[1].capitalize()) or next(iter(code.values()))}"

    return CODE.sub(location, text) if code else text


def parameters(template, current):
    """Returns (values for a change set, names that have no value yet)."""
    known = {parameter["ParameterKey"] for parameter in current.get("Parameters", [])}
    declared = yaml.load(template, Loader).get("Parameters", {})
    values = [
        {"ParameterKey": name, "UsePreviousValue": True} for name in declared if name in known
    ]
    missing = [
        name for name, each in declared.items() if name not in known and "Default" not in each
    ]
    return values, missing


def change_set(cloudformation, stack, template_url, values):
    """Returns the changes that CloudFormation would make; creates nothing that remains."""
    name = f"plan-{hashlib.sha256(f'{template_url}{time.time_ns()}'.encode()).hexdigest()[:12]}"
    of_this = {"StackName": stack, "ChangeSetName": name}
    cloudformation.create_change_set(
        **of_this, ChangeSetType="UPDATE", TemplateURL=template_url, Parameters=values,
        Capabilities=CAPABILITIES,
    )  # fmt: skip

    def finished():
        found = cloudformation.describe_change_set(**of_this)
        return found if found["Status"] in ("CREATE_COMPLETE", "FAILED") else None

    try:
        found = until(finished)
        if found["Status"] == "FAILED":
            reason = found.get("StatusReason", "no reason given")
            if any(text in reason.lower() for text in UNCHANGED):
                return []
            raise SystemExit(f"{stack}: {reason}")
        pages = cloudformation.get_paginator("describe_change_set").paginate(**of_this)
        return [change["ResourceChange"] for page in pages for change in page["Changes"]]
    finally:
        cloudformation.delete_change_set(**of_this)


def described(change):
    """Returns the row of the table for one change. A replacement is in bold type."""
    action = change["Action"]
    if change.get("Replacement") in ("True", "Conditional"):
        maybe = "" if change["Replacement"] == "True" else " perhaps"
        action = f"**Replace{maybe}**"
    targets = (detail["Target"] for detail in change.get("Details", []))
    names = {target.get("Name") or target["Attribute"] for target in targets}
    what = ", ".join(f"`{name}`" for name in sorted(names))
    kind = change["ResourceType"].removeprefix("AWS::")
    return f"| {action} | `{change['LogicalResourceId']}` | {kind} | {what} |"


def plan(cloudformation, s3, bucket, name):
    """Yields the lines of the plan of each stack."""
    for stack, path in stacks(name):
        yield f"### {stack}"
        try:
            current = deployed(cloudformation, stack)
        except Unreadable as reason:
            yield f"Not compared: {reason}."
            continue
        if current is None:
            yield "Not deployed: everything would be created."
            continue
        text = path.read_text()
        values, missing = parameters(text, current)
        if missing:
            yield f"New parameters without a default, to be set first: {', '.join(missing)}."
            continue
        if path == APPLICATION:
            text = with_deployed_code(cloudformation, stack, text)
        key = f"{FOLDER}/{hashlib.sha256(text.encode()).hexdigest()}.yaml"
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
        url = f"https://{bucket}.s3.{s3.meta.region_name}.amazonaws.com/{key}"
        changes = change_set(cloudformation, stack, url, values)
        if not changes:
            yield "No change."
            continue
        yield "| action | resource | type | properties |\n|---|---|---|---|"
        yield from map(described, changes)


def differences(cloudformation, stack):
    """Returns the rows of what differs between a stack and its template."""
    detection = cloudformation.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]

    def finished():
        found = cloudformation.describe_stack_drift_detection_status(
            StackDriftDetectionId=detection
        )
        return None if found["DetectionStatus"] == "DETECTION_IN_PROGRESS" else found

    result = until(finished)
    if result["DetectionStatus"] != "DETECTION_COMPLETE":
        reason = result.get("DetectionStatusReason", "no reason given")
        return [f"| not detected | | | {reason} |"]
    rows, token = [], {}
    while True:
        page = cloudformation.describe_stack_resource_drifts(
            StackName=stack, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"], **token
        )
        for drift in page["StackResourceDrifts"]:
            found = (
                f"`{difference['PropertyPath']}` ({difference['DifferenceType']})"
                for difference in drift.get("PropertyDifferences", [])
            )
            kind = drift["ResourceType"].removeprefix("AWS::")
            rows.append(
                f"| {drift['StackResourceDriftStatus']} | `{drift['LogicalResourceId']}` "
                f"| {kind} | {', '.join(found)} |"
            )
        if "NextToken" not in page:
            return rows
        token = {"NextToken": page["NextToken"]}


def drift(cloudformation, name):
    """Returns (lines, whether each deployed stack is as its template says)."""
    lines, found, same = [], False, True
    for stack, _ in stacks(name):
        lines.append(f"### {stack}")
        try:
            if deployed(cloudformation, stack) is None:
                lines.append("Not deployed.")
                continue
            rows = differences(cloudformation, stack)
        except (Unreadable, Unfinished) as reason:
            rows = [f"| not compared | | | {reason} |"]
        found = True
        if rows:
            same = False
            lines += ["| status | resource | type | properties |\n|---|---|---|---|", *rows]
        else:
            lines.append("As the template says.")
    if not found:
        return [*lines, f"No stack of {name} is deployed."], False
    return lines, same


def main():
    """Prints the plan or the drift of one environment."""
    match sys.argv[1:]:
        case ["plan" | "drift" as command, environment]:
            settings = profile(environment)
        case _:
            raise SystemExit("usage: stacks.py plan | drift ENVIRONMENT")
    session = boto3.Session(region_name=settings["region"])
    cloudformation = session.client("cloudformation")
    print(f"## {environment}: {command}")
    if command == "plan":
        bucket = settings.get("s3_bucket")
        if not bucket:
            managed = deployed(cloudformation, BUCKET_STACK) or {}
            outputs = {
                each["OutputKey"]: each["OutputValue"] for each in managed.get("Outputs", [])
            }
            bucket = outputs.get(BUCKET_OUTPUT)
        if not bucket:
            raise SystemExit(f"{BUCKET_STACK} has no bucket: nothing was deployed with SAM yet")
        for line in plan(cloudformation, session.client("s3"), bucket, settings["stack_name"]):
            print(line)
        return
    lines, same = drift(cloudformation, settings["stack_name"])
    print("\n".join(lines))
    raise SystemExit(0 if same else 1)


if __name__ == "__main__":
    main()
