"""Checks what a deployment needs besides its profile: account, database, binaries, git tree.

It changes nothing and reads the value of no secret. What cannot be checked, because no account can
be reached or a role may not read something, is listed and is no finding.
"""

import re
import subprocess
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

import build
import environments
from binaries import findings as binary_findings

FOLDER = "target/lambda"
UNRESERVED = 100  # executions that remain: Lambda requires as many without a reservation
CONNECTIONS_SHARE = 0.7  # of max_connections: the rest is for operators, migrate, failovers
# Memory in GB by the size of an instance, for classes t and m, and for class r.
SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge")
MEMORY_GB = {"micro": 1, "small": 2, "medium": 4} | dict(
    zip(SIZES, (8, 16, 32, 64, 128, 192, 256, 384), strict=True)
)
DEFAULT_CONNECTIONS = "{DBInstanceClassMemory/12582880}"
# RDS divides the memory that is left for the database, which is about seven eighths of the nominal.
LEFT = 0.88
ABSENT = re.compile(r"NotFound|Malformed")


@dataclass
class Report:
    """Findings, each of which prevents a deployment, and what was not checked."""

    findings: list = field(default_factory=list)
    unchecked: list = field(default_factory=list)

    def show(self):
        """Prints both."""
        for text in self.findings:
            print(f"  wrong: {text}")
        for text in self.unchecked:
            print(f"  not checked: {text}")


def reason(error):
    """Returns the code of an error of AWS, or its first line."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"]
    return str(error).splitlines()[0]


def tree(root, report):
    """The deployed files are those of a commit."""
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        report.findings.append("this is no git tree, so there is no commit to deploy")
    elif changed := done.stdout.splitlines():
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        listed = ", ".join(line[3:] for line in changed[:3])
        report.findings.append(f"files are not committed: {listed}{more}")


def binaries(environment, report, required=True):
    """Each function has a binary for its architecture, for the glibc of Lambda, made for AWS.

    Without `required` this is only a preview, because `make deploy` builds before it deploys.
    """
    target = report.findings if required else report.unchecked
    for name in build.FUNCTIONS:
        folder = environment.root / FOLDER / name
        if not (folder / "bootstrap").is_file():
            target.append(f"{FOLDER}/{name}/bootstrap is not built")
        elif (folder / "made-from").exists():
            target.append(f"{FOLDER}/{name}/bootstrap is of the local stack, not of `make lambda`")
        else:
            found = binary_findings(folder / "bootstrap", environment.value("Architecture"))
            report.findings += [f"{FOLDER}/{name}/bootstrap {text}" for text in found]


class Account:
    """The checks that need the account. `client` returns a client of boto3 for a service."""

    def __init__(self, environment, client, report):
        self.environment = environment
        self.client = client
        self.report = report

    def check(self):
        """Runs all checks, or records that the account cannot be reached."""
        try:
            identity = self.client("sts").get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            self.report.unchecked.append(f"the account and all that is in it ({reason(error)})")
            return
        expected = environments.account(self.environment)
        if expected and identity["Account"] != expected:
            self.report.findings.append(
                f"the credentials are of account {identity['Account']}, the secrets of {expected}"
            )
            return
        checks = {
            "Subnets": self.subnets,
            "SecurityGroup": self.security_group,
            "AlarmTopicArn": self.topic,
            "the quota of Lambda": self.quota,
            "max_connections of the database": self.connections,
            "the login to the database": self.login,
        }
        checks |= {name: lambda name=name: self.secret(name) for name in environments.SECRETS}
        for what, check in checks.items():
            self._attempt(what, check)

    def _attempt(self, what, check):
        try:
            check()
        except ClientError as error:
            if ABSENT.search(reason(error)) and what in self.environment.declared:
                value = self.environment.value(what)
                self.report.findings.append(f"{what} does not exist: {value}")
            else:
                self.report.unchecked.append(f"{what} ({reason(error)})")
        except BotoCoreError as error:
            self.report.unchecked.append(f"{what} ({reason(error)})")

    def subnets(self):
        """The subnets exist, in two zones, and in the network of the security group."""
        ids = self.environment.value("Subnets").split(",")
        found = self.client("ec2").describe_subnets(SubnetIds=ids)["Subnets"]
        missing = set(ids) - {subnet["SubnetId"] for subnet in found}
        if missing:
            self.report.findings.append(f"Subnets does not exist: {', '.join(sorted(missing))}")
            return
        if len({subnet["AvailabilityZone"] for subnet in found}) < 2:
            self.report.findings.append("Subnets are in one zone: the functions stop if it fails")
        self.networks = {subnet["VpcId"] for subnet in found}
        if len(self.networks) > 1:
            self.report.findings.append("Subnets are in several networks")

    def security_group(self):
        """The security group exists, in the network of the subnets."""
        group = self.environment.value("SecurityGroup")
        found = self.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
        if not found:
            self.report.findings.append(f"SecurityGroup does not exist: {group}")
        elif found[0]["VpcId"] not in getattr(self, "networks", {found[0]["VpcId"]}):
            self.report.findings.append("SecurityGroup is in another network than Subnets")

    def topic(self):
        """The topic of the alarms exists."""
        if arn := self.environment.value("AlarmTopicArn"):
            self.client("sns").get_topic_attributes(TopicArn=arn)
        else:
            self.report.findings.append("AlarmTopicArn is missing: alarms would notify nobody")

    def secret(self, name):
        """A secret exists, is not about to be deleted, and has the key of the profile."""
        if not (arn := self.environment.value(name)):
            return
        found = self.client("secretsmanager").describe_secret(SecretId=arn)
        if found.get("DeletedDate"):
            self.report.findings.append(f"{name} is scheduled for deletion")
        key, expected = found.get("KmsKeyId"), self.environment.value("KmsKeyArn")
        if key and "alias/aws/" not in key and key.split("/")[-1] != expected.split("/")[-1]:
            self.report.findings.append(
                f"{name} is encrypted with {key}, which the functions may not use: set KmsKeyArn"
            )

    def quota(self):
        """The account may run as many executions as the profile needs, and 100 more.

        Lambda does not let anybody reserve the last 100. They are also what dispatch (which its
        schedules invoke besides its queue), migrate and functions of others run in.
        """
        limit = self.client("lambda").get_account_settings()["AccountLimit"]
        most, needed = limit["ConcurrentExecutions"], environments.concurrency(self.environment)
        if needed > most - UNRESERVED:
            self.report.findings.append(
                f"the concurrencies sum up to {needed}, and the account's quota of {most} leaves "
                f"{max(most - UNRESERVED, 0)} besides {UNRESERVED} that stay unreserved"
            )

    def connections(self):
        """The functions leave 30 % of the database's connections to others."""
        if not self.environment.number("ApiConcurrency"):
            self.report.unchecked.append(
                "the API's connections: ApiConcurrency=0 does not limit them"
            )
        limit = self._max_connections()
        needed = environments.concurrency(self.environment)
        if limit is None:
            self.report.unchecked.append("max_connections of the database (its class is not known)")
        elif needed > CONNECTIONS_SHARE * limit:
            self.report.findings.append(
                f"the concurrencies sum up to {needed} connections, and 70 % of max_connections is"
                f" {int(CONNECTIONS_SHARE * limit)}"
            )

    def login(self):
        """If the functions log in with tokens of IAM, the database accepts them."""
        given = self.environment.value("DatabaseResourceId")
        if self.environment.value("DatabaseLogin") != "iam" or given.startswith("prx-"):
            return
        instance = self._instance()
        if not instance.get("IAMDatabaseAuthenticationEnabled"):
            self.report.findings.append(
                "the database accepts no tokens of IAM: deploy infra/aws/database.yaml with"
                " IamAuthentication=true, or set DatabaseLogin=password"
            )
        if given != instance["DbiResourceId"]:
            self.report.findings.append(
                f"DatabaseResourceId is {given}, and that of the database {instance['DbiResourceId']}"
            )

    def _instance(self):
        """Returns the description of the instance of the stack <stack>-database."""
        name = f"{self.environment.stack}-database"
        (stack,) = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
        (instance,) = self.client("rds").describe_db_instances(
            DBInstanceIdentifier=outputs["DatabaseInstance"]
        )["DBInstances"]
        return instance

    def _max_connections(self):
        """Returns max_connections of that instance, or None."""
        instance = self._instance()
        group = instance["DBParameterGroups"][0]["DBParameterGroupName"]
        pages = (
            self.client("rds")
            .get_paginator("describe_db_parameters")
            .paginate(DBParameterGroupName=group)
        )
        for page in pages:
            for each in page["Parameters"]:
                if each["ParameterName"] == "max_connections":
                    return max_connections(each.get("ParameterValue"), instance["DBInstanceClass"])
        return max_connections(None, instance["DBInstanceClass"])


def max_connections(value, instance_class):
    """Returns the number of connections by the parameter's value and the instance's memory."""
    if value and value.isdecimal():
        return int(value)
    formula = re.fullmatch(r"\{DBInstanceClassMemory/(\d+)\}", value or DEFAULT_CONNECTIONS)
    _, family, size = (*instance_class.split("."), "", "")[:3]
    if not formula or size not in MEMORY_GB or family[:1] not in "tmr":
        return None
    memory = MEMORY_GB[size] * (2 if family.startswith("r") else 1)
    return int(memory * 2**30 * LEFT / int(formula[1]))


def run(environment, client, built):
    """Checks a profile, and prints the result; returns whether it can be deployed.

    `built` says whether the binaries must be there already.
    """
    report = Report(list(environments.findings(environment)))
    tree(environment.root, report)
    binaries(environment, report, required=built)
    Account(environment, client, report).check()
    print(f"preflight of {environment.name} (stack {environment.stack}, {environment.region}):")
    report.show()
    print("  nothing is wrong" if not report.findings else f"  {len(report.findings)} findings")
    return not report.findings
