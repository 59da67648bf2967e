"""Shows and changes the run-time settings of an environment, without a deployment.

    infra/local/python infra/local/settings.py

ENV names a section of samconfig.toml; without it, the running local stack of STATE is meant. SET
('name=value …') and UNSET (names, separated by commas) change the document in AppConfig: a new
version of it is validated against the schema of the deployed profile, stored and deployed to all
functions at once. Without SET and UNSET nothing is changed.
"""

import json
import os
import re
import shlex
import time

import boto3
import jsonschema  # a requirement of aws-sam-translator
from botocore.exceptions import BotoCoreError, ClientError

import deploy
import environments
from running_stack import RunningStack
from stacks import deployed
from template import ROOT

WAIT_S, POLL_S = 120, 1
TEXTS = {"log_level": "a RUST_LOG", "allowed_countries": "such as MY,SG; or *",
         "approval_roles": "such as operator,key"}
IN_PROGRESS = ("BAKING", "VALIDATING", "DEPLOYING", "ROLLING_BACK")


def parameter(name):
    """Returns the parameter of template.yaml whose value a setting overrides."""
    return "".join(word.capitalize() for word in name.split("_"))


def changed(document, schema, given, removed):
    """Returns a document with the properties of SET, without those of UNSET; exits if one is wrong.

    A value becomes a number if the schema wants one.
    """
    known, result = schema["properties"], dict(document)
    names = [name for name in re.split(r"[,\s]+", removed) if name]
    for part in _words(given):
        name, separator, value = part.partition("=")
        if not separator:
            raise SystemExit(f"SET: expected name=value, not {part!r}")
        if name in names:
            raise SystemExit(f"{name} is in SET and in UNSET")
        number = known.get(name, {}).get("type") == "integer" and re.fullmatch(r"-?\d+", value)
        result[name] = int(value) if number else value
    for name in names:
        if name not in known:
            raise SystemExit(f"UNSET: {name} is none of {', '.join(known)}")
        result.pop(name, None)
    errors = list(jsonschema.Draft4Validator(schema).iter_errors(result))
    if errors:
        lines = [
            ": ".join([*map(str, error.path), error.message.replace("\n", " ")]) for error in errors
        ]
        raise SystemExit("\n".join(["nothing was changed:", *lines, _expected(known)]))
    return result


def _words(text):
    try:
        return shlex.split(text)
    except ValueError as error:  # a quotation mark without its pair
        raise SystemExit(f"SET: {error}") from error


def _expected(known):
    """Returns a line per setting with what is expected of it."""
    lines = ["expected:"]
    for name, each in known.items():
        bounds = f"{each['minimum']} to {each['maximum']}" if "minimum" in each else TEXTS[name]
        lines.append(f"  {name}: {bounds}")
    return "\n".join(lines)


class Settings:
    """The run-time settings of one stack. `client` returns a client of boto3 for a service."""

    def __init__(self, name, stack, client):
        self.name = name
        self.appconfig = client("appconfig")
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
        if "RunTimeSettings" not in outputs:
            raise SystemExit(f"{name} has no run-time settings: deploy it first")
        self.application, self.environment, self.profile = outputs["RunTimeSettings"].split("/")
        self.strategy = outputs["RunTimeSettingsStrategy"]
        self.defaults = {
            each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])
        }

    def schema(self):
        """Returns the schema of the deployed profile, by which AppConfig validates too."""
        profile = self.appconfig.get_configuration_profile(
            ApplicationId=self.application, ConfigurationProfileId=self.profile
        )
        return json.loads(profile["Validators"][0]["Content"])

    def version(self):
        """Returns the version in force; exits while another one is being deployed."""
        pages = self.appconfig.get_paginator("list_deployments").paginate(
            ApplicationId=self.application, EnvironmentId=self.environment
        )
        found = [each for page in pages for each in page["Items"]]
        found.sort(key=lambda each: each["DeploymentNumber"])
        if found and found[-1]["State"] in IN_PROGRESS:
            raise SystemExit(f"a change of {self.name} is {found[-1]['State']}: repeat this later")
        complete = [each for each in found if each["State"] == "COMPLETE"]
        if not complete:
            raise SystemExit(f"{self.name} has no deployed settings")
        return int(complete[-1]["ConfigurationVersion"])

    def document(self, version):
        """Returns the document of a version."""
        found = self.appconfig.get_hosted_configuration_version(
            ApplicationId=self.application,
            ConfigurationProfileId=self.profile,
            VersionNumber=version,
        )
        return json.load(found["Content"])

    def show(self, version, document, known):
        """Prints each setting, and the deployed value that applies without it."""
        print(f"run-time settings of {self.name}, version {version}:")
        print(f"  {'setting':30} {'value':12} deployed")
        for name in known:
            value = json.dumps(document[name]) if name in document else "-"
            print(f"  {name:30} {value:12} {self.defaults.get(parameter(name), '')}")

    def change(self, document, description):
        """Stores a document and deploys it; returns its version when the functions can read it."""
        profile = {"ApplicationId": self.application, "ConfigurationProfileId": self.profile}
        pages = self.appconfig.get_paginator("list_hosted_configuration_versions")
        versions = [each for page in pages.paginate(**profile) for each in page["Items"]]
        created = self.appconfig.create_hosted_configuration_version(
            **profile,
            Content=json.dumps(document).encode(),
            ContentType="application/json",
            Description=description[:1024],
            # Refused if somebody else has created a version meanwhile.
            LatestVersionNumber=max(each["VersionNumber"] for each in versions),
        )
        version = created["VersionNumber"]
        started = self.appconfig.start_deployment(
            **profile,
            EnvironmentId=self.environment,
            DeploymentStrategyId=self.strategy,
            ConfigurationVersion=str(version),
        )
        self._wait(started["DeploymentNumber"])
        return version

    def _wait(self, number):
        deadline = time.monotonic() + WAIT_S
        while True:
            found = self.appconfig.get_deployment(
                ApplicationId=self.application,
                EnvironmentId=self.environment,
                DeploymentNumber=number,
            )
            if found["State"] == "COMPLETE":
                return
            if found["State"] not in IN_PROGRESS or time.monotonic() > deadline:
                raise SystemExit(f"deployment {number} of the settings is {found['State']}")
            time.sleep(POLL_S)


def run(settings, variables):
    """Changes the settings as SET and UNSET say, and prints them."""
    given, removed = variables.get("SET", ""), variables.get("UNSET", "")
    schema, version = settings.schema(), settings.version()
    document = settings.document(version)
    if given or removed:
        wanted = changed(document, schema, given, removed)
        if wanted == document:
            print("nothing to change")
        else:
            description = f"make settings SET='{given}' UNSET='{removed}'"
            version, document = settings.change(wanted, description), wanted
    settings.show(version, document, schema["properties"])


def opened(variables):
    """Returns the settings of the environment ENV, or those of the running local stack."""
    if name := variables.get("ENV", ""):
        environment = environments.load(name)
        client = boto3.Session(region_name=environment.region).client
        name, stack = environment.name, environment.stack
    else:
        try:
            client = RunningStack(ROOT / variables.get("STATE", ".local")).client
        except SystemExit as error:
            raise SystemExit(f"{error}, or name an environment: ENV=…") from error
        name = stack = deploy.STACK
    found = deployed(client("cloudformation"), stack)
    if not found:
        raise SystemExit(f"{stack} is not deployed")
    return Settings(name, found, client)


def main():
    """Shows or changes the settings."""
    try:
        run(opened(os.environ), os.environ)
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"settings: {error}") from error


if __name__ == "__main__":
    main()
