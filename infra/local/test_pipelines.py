"""Checks rules of the workflows and the Dockerfile that the linters do not cover.

Each rule yields its findings. One test applies all rules to the files. The other tests break a file
and check that the rule reports it.

    infra/local/python infra/local/test_pipelines.py
"""

import re
import tomllib
import unittest
from dataclasses import dataclass, field

import yaml

import build
import containers
from template import ROOT

PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
OWN = "$/"  # a workflow of this repository, at the commit that runs
USES = re.compile(r"^\s*(?:- )?uses: (\S+)(.*)$", re.MULTILINE)
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
RUST_IMAGE = re.compile(r"\brust:(\d+\.\d+)\.\d+-")
AWS_KEY = re.compile(
    r"aws[-_](access[-_]key|secret[-_]access|session[-_]token)|AKIA", re.IGNORECASE
)
SECRET = re.compile(r"\bsecrets\b")
CREDENTIALS = "aws-actions/configure-aws-credentials@"
CHECKOUT = "actions/checkout@"
# Workflows with these triggers run with the rights of the repository on code of strangers.
FOREIGN_TRIGGERS = {"pull_request_target", "workflow_run", "issue_comment"}
FROM = re.compile(r"^FROM (\S+)(?: AS (\S+))?$", re.MULTILINE)


@dataclass
class Pipelines:
    """The texts of the files, by name."""

    workflows: dict
    dockerfile: str
    rust_version: str
    dependabot: dict
    parsed: dict = field(init=False)

    def __post_init__(self):
        self.parsed = {name: yaml.safe_load(text) for name, text in self.workflows.items()}

    def jobs(self):
        """Yields (workflow/job, job) of all workflows."""
        for name, workflow in self.parsed.items():
            for job, content in workflow["jobs"].items():
                yield f"{name}/{job}", content

    def steps(self):
        """Yields (workflow/job, step) of all workflows."""
        for name, job in self.jobs():
            for step in job.get("steps", []):
                yield name, step


def load():
    """Returns the files of the repository."""
    folder = ROOT / ".github"
    return Pipelines(
        {path.name: path.read_text() for path in sorted((folder / "workflows").glob("*.y*ml"))},
        (ROOT / "Dockerfile").read_text(),
        tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"],
        yaml.safe_load((folder / "dependabot.yml").read_text()),
    )


def triggers(workflow):
    """Returns the names of the triggers; YAML 1.1 reads the key `on` as true."""
    return set(workflow[True])


def pinned(pipelines):
    """Each action is pinned by a commit, and a comment names the version of that commit."""
    for name, text in pipelines.workflows.items():
        for action, comment in USES.findall(text):
            if action.startswith(OWN):
                continue
            if not PINNED.fullmatch(action) or not re.fullmatch(r" # v\d+\.\d+\.\d+", comment):
                yield f"{name}: {action} is not pinned by a commit with its version behind it"


def least_permissions(pipelines):
    """A workflow may read the repository at most. Jobs have more, but none may do everything."""
    for name, workflow in pipelines.parsed.items():
        if workflow.get("permissions") not in ({}, {"contents": "read"}):
            yield f"{name} has no `permissions`, or more than `contents: read`"
    for name, job in pipelines.jobs():
        if isinstance(job.get("permissions", {}), str):
            yield f"{name} has the permissions {job['permissions']}"


def no_aws_keys(pipelines):
    """AWS is reached with roles by OIDC only, and their names are no secrets."""
    for name, text in pipelines.workflows.items():
        if AWS_KEY.search(text) or SECRET.search(text):
            yield f"{name} mentions a key of AWS or a secret"
    for name, step in pipelines.steps():
        if step.get("uses", "").startswith(CREDENTIALS) and "vars." not in step["with"].get(
            "role-to-assume", ""
        ):
            yield f"{name} assumes no role of a variable"


def no_foreign_code(pipelines):
    """Code of a fork gets neither a role nor the right to write, and no token stays in a work tree."""
    for name, workflow in pipelines.parsed.items():
        for trigger in sorted(triggers(workflow) & FOREIGN_TRIGGERS):
            yield f"{name} has the trigger {trigger}"
    for name, step in pipelines.steps():
        if step.get("uses", "").startswith(CHECKOUT):
            if step.get("with", {}).get("persist-credentials") is not False:
                yield f"{name} leaves its token in the work tree"
    for name, job in pipelines.jobs():
        if "pull_request" not in triggers(pipelines.parsed[name.partition("/")[0]]):
            continue
        allowed = job.get("permissions", {})
        own = "head.repo.full_name == github.repository" in str(job.get("if", ""))
        if allowed.get("id-token") == "write" and not own:
            yield f"{name} gives a role to pull requests from forks"
        runs_code = any(step.get("uses", "").startswith(CHECKOUT) for step in job.get("steps", []))
        if runs_code and any(
            right == "write" for what, right in allowed.items() if what != "id-token"
        ):
            yield f"{name} runs the code of a pull request with the right to write"


def failures_are_seen(pipelines):
    """A failed command of a pipe fails its step, and a job ends some time."""
    for name, workflow in pipelines.parsed.items():
        if workflow.get("defaults", {}).get("run", {}).get("shell") != "bash":
            yield f"{name} does not set the shell, and GitHub's default has no pipefail"
    for name, job in pipelines.jobs():
        if "uses" not in job and "timeout-minutes" not in job:
            yield f"{name} has no time limit"


def deployments(pipelines):
    """Only an environment of GitHub deploys, one deployment at a time, through `make deploy`."""
    for name, job in pipelines.jobs():
        commands = " ".join(step.get("run", "") for step in job.get("steps", []))
        workflow = pipelines.parsed[name.partition("/")[0]]
        if "make deploy" in commands:
            if (
                "environment" not in job
                or workflow["concurrency"]["cancel-in-progress"] is not False
            ):
                yield f"{name} deploys without an environment, or can be interrupted"
        elif re.search(r"\bsam deploy\b|cloudformation (deploy|create|update)", commands):
            yield f"{name} deploys without `make deploy`"


def images(pipelines):
    """Each image is pinned by its digest, and all use the Rust version of Cargo.toml."""
    found = [(name, str(job["container"])) for name, job in pipelines.jobs() if "container" in job]
    stages = set()
    for image, stage in FROM.findall(pipelines.dockerfile):
        if image not in stages:
            found.append(("Dockerfile", image))
        stages.add(stage)
    for name, image in found:
        if not DIGEST.search(image):
            yield f"{name}: {image} has no digest"
        version = RUST_IMAGE.search(image)
        if version and version[1] != pipelines.rust_version:
            yield f"{name}: {image} is not Rust {pipelines.rust_version}"


def targets(pipelines):
    """The Dockerfile has an image for each function and one for developers."""
    stages = [stage for _, stage in FROM.findall(pipelines.dockerfile)]
    for name in build.FUNCTIONS:
        copied = f"COPY --from=build /functions/{name}/bootstrap /var/runtime/bootstrap"
        if name not in stages or copied not in pipelines.dockerfile:
            yield f"the Dockerfile has no target {name}"
    if containers.DEVELOPER not in stages:
        yield f"the Dockerfile has no target {containers.DEVELOPER}"


def updates(pipelines):
    """Dependencies of every kind are updated, in groups and after some days."""
    found = {each["package-ecosystem"]: each for each in pipelines.dependabot["updates"]}
    for kind in ("cargo", "pip", "npm", "github-actions", "docker"):
        each = found.get(kind, {})
        if each.get("cooldown", {}).get("default-days", 0) < 7:
            yield f"{kind} is not updated, or without waiting for a week"


RULES = (
    pinned, least_permissions, no_aws_keys, no_foreign_code, failures_are_seen, deployments, images,
    targets, updates,
)  # fmt: skip

WORKFLOW = """
name: w
on: [push]
permissions: {}
concurrency: {group: w, cancel-in-progress: false}
defaults: {run: {shell: bash}}
jobs:
  j:
    timeout-minutes: 5
    steps: []
"""
ACTION = f"actions/checkout@{'0' * 40}"


class Files(unittest.TestCase):
    """Applies the rules to the files and to broken ones."""

    def found(self, rule, old="", new="", **others):
        """Returns what a rule finds in a small workflow in which `old` is replaced."""
        self.assertIn(old, WORKFLOW)
        files = {
            "workflows": {"w.yml": WORKFLOW.replace(old, new) if old else WORKFLOW},
            "dockerfile": "", "rust_version": "1.2", "dependabot": {"updates": []},
        } | others  # fmt: skip
        return list(rule(Pipelines(**files)))

    def steps(self, rule, step, trigger="push", extra=""):
        """Returns what a rule finds in a workflow with one step."""
        text = WORKFLOW.replace("[push]", f"[{trigger}]")
        text = text.replace("    steps: []", f"{extra}    steps:\n      - {step}")
        return self.found(rule, workflows={"w.yml": text})

    def test_the_files_follow_every_rule(self):
        for rule in RULES:
            with self.subTest(rule=rule.__name__):
                self.assertEqual([], list(rule(load())))

    def test_an_action_without_commit_or_version_is_found(self):
        for uses in ("actions/checkout@v4", "actions/checkout@v4 # v4.2.2", ACTION, "./local",
                     f"{ACTION} # v4"):  # fmt: skip
            self.assertTrue(self.steps(pinned, f"uses: {uses}"), uses)
        for uses in (f"{ACTION} # v4.2.2", "$/.github/workflows/deploy.yml"):
            self.assertFalse(self.steps(pinned, f"uses: {uses}"), uses)

    def test_missing_and_wide_permissions_are_found(self):
        for permissions in ("", "permissions: write-all", "permissions: {contents: write}"):
            self.assertTrue(self.found(least_permissions, "permissions: {}", permissions))
        everything = "    timeout-minutes: 5\n    permissions: write-all"
        self.assertTrue(self.found(least_permissions, "    timeout-minutes: 5", everything))
        self.assertFalse(self.found(least_permissions))

    def test_keys_of_aws_and_secrets_are_found(self):
        for name in ("AWS_ACCESS_KEY_ID", "aws-secret-access-key", "secrets.TOKEN"):
            self.assertTrue(self.steps(no_aws_keys, f"run: echo {name}"), name)
        role = f"uses: {CREDENTIALS}{'0' * 40}\n        with: {{role-to-assume: %s}}"
        self.assertTrue(self.steps(no_aws_keys, role % "arn:aws:iam::1:role/x"))
        self.assertFalse(self.steps(no_aws_keys, role % "'${{ vars.ROLE }}'"))

    def test_code_of_strangers_with_rights_is_found(self):
        safe = f"uses: {ACTION}\n        with: {{persist-credentials: false}}"
        self.assertTrue(self.steps(no_foreign_code, safe, "pull_request_target"))
        self.assertTrue(self.steps(no_foreign_code, f"uses: {ACTION}"))
        self.assertFalse(self.steps(no_foreign_code, safe))
        role, write = "    permissions: {id-token: write}\n", "    permissions: {issues: write}\n"
        own = "    if: github.event.pull_request.head.repo.full_name == github.repository\n"
        self.assertTrue(self.steps(no_foreign_code, safe, "pull_request", role))
        self.assertTrue(self.steps(no_foreign_code, safe, "pull_request", write))
        self.assertFalse(self.steps(no_foreign_code, safe, "pull_request", role + own))
        self.assertFalse(self.steps(no_foreign_code, "run: x", "pull_request", write))

    def test_hidden_failures_and_endless_jobs_are_found(self):
        self.assertTrue(self.found(failures_are_seen, "defaults: {run: {shell: bash}}", ""))
        self.assertTrue(self.found(failures_are_seen, "    timeout-minutes: 5\n", ""))
        self.assertFalse(self.found(failures_are_seen))

    def test_a_deployment_without_environment_is_found(self):
        self.assertTrue(self.steps(deployments, "run: make deploy ENV=prod"))
        self.assertTrue(self.steps(deployments, "run: sam deploy"))
        environment = "    environment: prod\n"
        self.assertFalse(self.steps(deployments, "run: make deploy ENV=prod", extra=environment))

    def test_images_without_digest_or_of_another_rust_are_found(self):
        digest = f"@sha256:{'0' * 64}"
        for image, findings in (
            ("debian:12", 1), (f"debian:12{digest}", 0), ("rust:1.2.0-bookworm", 1),
            (f"rust:1.2.0-bookworm{digest}", 0), (f"rust:1.3.0-bookworm{digest}", 1),
        ):  # fmt: skip
            dockerfile = f"FROM {image} AS first\nFROM first AS second\n"
            self.assertEqual(findings, len(self.found(images, dockerfile=dockerfile)), image)
            container = f"    timeout-minutes: 5\n    container: {image}"
            found = self.found(images, "    timeout-minutes: 5", container)
            self.assertEqual(findings, len(found), image)

    def test_a_missing_target_is_found(self):
        complete = load().dockerfile
        self.assertEqual([], self.found(targets, dockerfile=complete))
        for target in (*build.FUNCTIONS, containers.DEVELOPER):
            other = complete.replace(f" AS {target}\n", " AS other\n")
            self.assertEqual(1, len(self.found(targets, dockerfile=other)), target)

    def test_an_ecosystem_that_is_not_updated_is_found(self):
        self.assertEqual(5, len(self.found(updates)))
        soon = {"package-ecosystem": "cargo", "cooldown": {"default-days": 1}}
        self.assertEqual(5, len(self.found(updates, dependabot={"updates": [soon]})))


if __name__ == "__main__":
    unittest.main()
