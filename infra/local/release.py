"""Deploys an environment to AWS, returns to the version before, stops and resumes sending.

    infra/local/python infra/local/release.py preflight | deploy | rollback | stop-sending |
                                              resume-sending | restored

The Makefile calls it. ENV names a section of samconfig.toml; there is no default. BUILT=1 deploys
the binaries in target/lambda as they are. COMMIT selects the version of a rollback. REASON and
SINCE are what migrate records. All calls honour AWS_ENDPOINT_URL.
"""

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import environments
import preflight
from deploy import zipped
from stacks import deployed

ALIAS = "live"
# A rollback moves these. migrate only moves forward, as the tables do.
MOVED = ("api", "dispatch", "send", "recheck", "notify")
SETTINGS = Config(connect_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})
# A migration may take as long as its function. It is not invoked twice if the answer is late.
PATIENT = Config(
    connect_timeout=10, read_timeout=900, tcp_keepalive=True, retries={"total_max_attempts": 1}
)
SMOKE_S, POLL_S = 60, 3
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LONGEST_REASON = 500  # characters


def say(text):
    """Prints the step that begins. The commands that follow write to the same terminal."""
    print(f"== {text}", flush=True)


class Release:
    """The steps of a release to one environment, each of which can be repeated."""

    def __init__(self, environment):
        self.environment = environment
        self.root = environment.root
        self.session = boto3.Session(region_name=environment.region)

    def client(self, service, config=SETTINGS):
        """Returns a client of a service in the region of the environment."""
        return self.session.client(service, config=config)

    def commit(self):
        """Returns the short hash of HEAD, which is the parameter Commit."""
        command = ["git", "rev-parse", "--short", "HEAD"]
        return subprocess.check_output(command, cwd=self.root, text=True).strip()

    def stack(self):
        """Returns the application's stack, None if it was never created."""
        found = deployed(self.client("cloudformation"), self.environment.stack)
        # REVIEW_IN_PROGRESS: a first change set that was not executed.
        return None if found and found["StackStatus"] == "REVIEW_IN_PROGRESS" else found

    def exists(self):
        """Returns whether the application's stack exists; exits if it cannot be changed now."""
        found = self.stack()
        name, status = self.environment.stack, found["StackStatus"] if found else ""
        if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
            raise SystemExit(
                f"{name} is {status}, so it was never complete: read its events, delete it, and "
                "deploy again"
            )
        if status.endswith("_IN_PROGRESS") and "CLEANUP" not in status:
            raise SystemExit(
                f"{name} is {status}: wait until it has ended. A canary returns with "
                "`aws deploy stop-deployment --auto-rollback-enabled`"
            )
        return found is not None

    def output(self, name):
        """Returns an output of the application's stack, also while a deployment runs."""
        if not (stack := self.stack()):
            raise SystemExit(f"{self.environment.stack} is not deployed")
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
        if name not in outputs:
            raise SystemExit(f"{self.environment.stack} has no output {name}")
        return outputs[name]

    def check(self, built):
        """Runs preflight, and exits if it finds anything."""
        say("preflight")
        if not preflight.run(self.environment, self.client, built):
            raise SystemExit(1)

    def build(self):
        """Builds the functions, and checks the binaries."""
        say("build")
        subprocess.run([self.root / "infra/local/lambda"], cwd=self.root, check=True)
        report = preflight.Report()
        preflight.binaries(self.environment, report)
        preflight.tree(self.root, report)
        report.show()
        if report.findings:
            raise SystemExit(1)

    def migrate_ahead(self):
        """Publishes the new code of migrate alone and runs it, before code that needs its tables.

        The version has the environment variables of the deployment before. CloudFormation deploys
        the same code again.
        """
        say("migration, with the new code of migrate")
        name, functions = self.output("MigrateFunction"), self.client("lambda")
        published = functions.update_function_code(
            FunctionName=name,
            ZipFile=zipped(self.root / preflight.FOLDER / "migrate" / "bootstrap"),
            Architectures=[self.environment.value("Architecture")],
            Publish=True,
        )
        version = published["Version"]
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)
        functions.get_waiter("published_version_active").wait(FunctionName=name, Qualifier=version)
        self.invoke({}, version)

    def migrate(self):
        """Runs migrate as it is deployed."""
        say("migration")
        self.invoke({})

    def invoke(self, payload, qualifier=ALIAS):
        """Invokes migrate and prints its answer; exits if it failed."""
        answer = self.client("lambda", PATIENT).invoke(
            FunctionName=self.output("MigrateFunction"),
            Qualifier=qualifier,
            Payload=json.dumps(payload).encode(),
        )
        print(answer["Payload"].read().decode(), flush=True)
        if "FunctionError" in answer:
            raise SystemExit(
                f"migrate failed ({answer['FunctionError']}): its log says why. What to do is in "
                "docs/runbooks/failed-migration.md"
            )

    def sam_deploy(self, event_sources):
        """Runs `sam deploy` with all parameters of the profile."""
        say(f"sam deploy, event sources {event_sources.lower()}")
        file = self.root / "target" / "samconfig.toml"
        file.parent.mkdir(exist_ok=True)
        given = self.environment.parameters(Commit=self.commit(), EventSources=event_sources)
        file.write_text(config(self.environment, given))
        command = [
            self._sam(), "deploy", "--config-env", self.environment.name, "--config-file", file,
            "--template", self.root / "template.yaml",
        ]  # fmt: skip
        if not sys.stdin.isatty():  # nobody is there to confirm
            command.append("--no-confirm-changeset")
        if self.execute(command):
            raise SystemExit("sam deploy failed; repeat `make deploy` when the cause is corrected")

    def execute(self, command):
        """Runs a command on this terminal, and returns its exit status."""
        variables = os.environ | {"SAM_CLI_TELEMETRY": "0"}
        return subprocess.run(command, cwd=self.root, env=variables, check=False).returncode

    def _sam(self):
        own = self.root / "target/tools/sam/bin/sam"
        if found := shutil.which("sam") or (own.exists() and own):
            return found
        subprocess.run([self.root / "infra/local/setup", "sam"], cwd=self.root, check=True)
        return own

    def protect(self):
        """Enables termination protection of the stack."""
        self.client("cloudformation").update_termination_protection(
            StackName=self.environment.stack, EnableTerminationProtection=True
        )

    def smoke_test(self, commit=None):
        """GET /health answers 200 with the commit. An alias takes some seconds to move."""
        commit, url = commit or self.commit(), f"{self.output('ApiUrl')}/health?deep=true"
        say(f"smoke test: {url} shows {commit}")
        deadline = time.monotonic() + SMOKE_S
        while (found := health(url)) != (200, commit):
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"{url} answers {found[0]} and shows {found[1]}: see docs/runbooks/rollback.md"
                )
            time.sleep(POLL_S)
        print("deployed" if commit == self.commit() else f"{commit} answers")

    def versions(self, function):
        """Returns {number: commit} of a function's published versions."""
        pages = self.client("lambda").get_paginator("list_versions_by_function")
        return {
            int(each["Version"]): each.get("Description", "")
            for page in pages.paginate(FunctionName=function)
            for each in page["Versions"]
            if each["Version"].isdecimal()
        }

    def earlier(self, function, commit):
        """Returns (current, earlier) version of a function: the one before, or that of a commit."""
        alias = self.client("lambda").get_alias(FunctionName=function, Name=ALIAS)
        weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        current = max(int(number) for number in (alias["FunctionVersion"], *weights))
        found = self.versions(function)
        fitting = [n for n in found if n < current and commit in ("", found[n])]
        if not fitting:
            of = f" of the commit {commit}" if commit else ""
            raise SystemExit(f"{function}: there is no version{of} before {current}; nothing moved")
        return (current, found.get(current, "?")), (max(fitting), found[max(fitting)])

    def rollback(self, commit):
        """Points the alias of each function at its version before; returns the commit of it."""
        say("rollback")
        self.exists()
        names = {name: self.output(f"{name.capitalize()}Function") for name in MOVED}
        moves = {function: self.earlier(function, commit) for function in names.values()}
        commits = {earlier[1] for _, earlier in moves.values()}
        for function, (current, earlier) in moves.items():
            print(f"{function}: {current[0]} ({current[1]}) -> {earlier[0]} ({earlier[1]})")
        if len(commits) > 1:
            raise SystemExit("the versions before are of several commits: select one with COMMIT")
        for function, (_, earlier) in moves.items():
            self.client("lambda").update_alias(
                FunctionName=function,
                Name=ALIAS,
                FunctionVersion=str(earlier[0]),
                RoutingConfig={"AdditionalVersionWeights": {}},
            )
        return commits.pop()

    def caller(self):
        """Returns the ARN of who runs this, which migrate records."""
        return self.client("sts").get_caller_identity()["Arn"]


def config(environment, parameters):
    """Returns the text of a samconfig.toml with one section. JSON values are TOML values too."""
    section = f'"{environment.name}".deploy.parameters'
    lines = ["version = 0.1", f"[{section}]"]
    lines += [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in environment.settings.items()
        if name != "parameter_overrides"
    ]
    lines.append(f"[{section}.parameter_overrides]")
    lines += [
        f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in parameters.items()
    ]
    return "\n".join(lines) + "\n"


def health(url):
    """Returns (status, commit) of GET /health, or (reason, None)."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer).get("commit")
    except urllib.error.HTTPError as error:
        return error.code, None
    except (OSError, ValueError) as error:
        return f"no answer ({error})", None


def deploy(steps, built):
    """Deploys an environment: nothing starts before the tables that it needs are there."""
    steps.check(built)
    if not built:
        steps.build()
    if steps.exists():
        steps.migrate_ahead()
    else:
        steps.sam_deploy("Disabled")
        steps.migrate()
    steps.sam_deploy("Enabled")
    steps.protect()
    steps.smoke_test()


def reason(variables):
    """Returns REASON, which an operator reads later."""
    text = variables.get("REASON", "").strip()
    if not 0 < len(text) <= LONGEST_REASON:
        raise SystemExit(
            f"REASON is missing or too long: state why, in up to {LONGEST_REASON} characters"
        )
    return text


def since(variables, now=None):
    """Returns SINCE, the time to which the database was restored."""
    text = variables.get("SINCE", "")
    now = now or datetime.datetime.now(datetime.UTC)
    try:
        valid = TIME.fullmatch(text) and datetime.datetime.fromisoformat(text) <= now
    except ValueError:
        valid = False
    if not valid:
        raise SystemExit(
            "SINCE is missing or wrong: expected a past time such as 2026-11-28T10:00:00Z"
        )
    return text


def run(command, steps, variables):
    """Runs one command on the steps of an environment."""
    built = variables.get("BUILT", "") not in ("", "0")
    match command:
        case "preflight":
            steps.check(built)
        case "deploy":
            deploy(steps, built)
        case "rollback":
            steps.smoke_test(steps.rollback(variables.get("COMMIT", "")))
        case "stop-sending" | "resume-sending":
            change = {"reason": reason(variables), "by": steps.caller()}
            steps.invoke({command.replace("-", "_"): change})
        case "restored":
            steps.invoke({"restored": {"since": since(variables), "by": steps.caller()}})
        case _:
            raise SystemExit(f"unknown command {command!r}\n\n{__doc__}")


def main():
    """Runs the command of the arguments for the environment ENV."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    environment = environments.load(os.environ.get("ENV", ""))
    try:
        run(command, Release(environment), os.environ)
    except (BotoCoreError, ClientError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{command}: {error}") from error


if __name__ == "__main__":
    main()
