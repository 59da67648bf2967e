"""Reads an environment's profile from samconfig.toml, and checks it without an account.

A profile is the section [NAME.deploy.parameters]. Each check yields its findings. preflight.py adds
the checks that need an AWS account, the binaries or the git tree.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import yaml

from template import ROOT, Loader

FILE = "samconfig.toml"
REQUIRED = ("stack_name", "region")
# What make deploy sets by itself: {parameter: the value that a profile may have}.
OWN = {"Commit": ("HEAD",), "EventSources": ()}
CONCURRENCIES = (
    "SendConcurrency", "RecheckConcurrency", "NotifyConcurrency", "DispatchConcurrency",
    "ApiConcurrency",
)  # fmt: skip
SECRETS = (
    "DatabaseSecretArn", "MigrationSecretArn", "CarrierSecretArn", "CallbackSecretsArn",
    "OriginProofSecretArn",
)  # fmt: skip
# What each way to log in to the database needs.
LOGINS = {
    "password": ("DatabaseSecretArn",),
    "iam": ("DatabaseHost", "DatabaseResourceId", "DatabaseUser"),
}
PRODUCTION = "prod"
REGIONAL = (*SECRETS, "AlarmTopicArn", "KmsKeyArn")
PLACEHOLDERS = (
    (re.compile(r"-0?([0-9a-f])\1{7,}\b"), "an id of one repeated digit"),
    (re.compile(r"\b111122223333\b|\b123456789012\b"), "the account of AWS's examples"),
    (re.compile(r"\bexample\.(com|net|org)\b"), "a domain of examples"),
    (re.compile(r"-AbCdEf\b"), "the suffix of AWS's examples"),
    (re.compile(r"…|\bTODO\b|[<>]"), "text to be replaced"),
    (re.compile(r"^XX$"), "the code of no country"),
)


@dataclass
class Environment:
    """A profile: settings of `sam deploy`, given parameters, and the template's declarations."""

    name: str
    settings: dict
    given: dict
    declared: dict
    root: Path

    @property
    def stack(self):
        """Returns the name of the application's stack."""
        return self.settings["stack_name"]

    @property
    def region(self):
        """Returns the region of the environment."""
        return self.settings["region"]

    def value(self, name):
        """Returns the value of a parameter as text: the given one, or the template's default."""
        declared = self.declared.get(name, {})
        return str(self.given.get(name, declared.get("Default", "")))

    def number(self, name):
        """Returns the value of a parameter as a number, 0 if it is none."""
        value = self.value(name)
        return int(value) if value.isdecimal() else 0

    def parameters(self, **changed):
        """Returns the value of every parameter.

        With a parameter left out, `sam deploy` keeps the deployed value, so a line that is removed
        from the profile would stay in force.
        """
        return {name: self.value(name) for name in self.declared} | changed


def names(root=ROOT):
    """Returns the environments that samconfig.toml has."""
    sections = tomllib.loads((root / FILE).read_text())
    return sorted(
        name
        for name, section in sections.items()
        if isinstance(section, dict) and "parameters" in section.get("deploy", {})
    )


def load(name, root=ROOT):
    """Returns an environment. Exits and names the existing ones if it is missing or unknown."""
    known = names(root)
    if name not in known:
        problem = f"unknown ENV={name}" if name else "ENV is missing"
        raise SystemExit(f"{problem}: expected one of {', '.join(known)} ({FILE})")
    settings = tomllib.loads((root / FILE).read_text())[name]["deploy"]["parameters"]
    missing = [key for key in REQUIRED if not settings.get(key)]
    if missing:
        raise SystemExit(f"{FILE}: [{name}.deploy.parameters] has no {' and no '.join(missing)}")
    declared = yaml.load((root / "template.yaml").read_text(), Loader)["Parameters"]
    return Environment(name, settings, _overrides(settings, name), declared, root)


def _overrides(settings, name):
    """Returns the given parameters. SAM also accepts other forms, of which one is enough here."""
    given = {}
    for line in settings.get("parameter_overrides", []):
        key, separator, value = line.partition("=")
        if not separator or not key.isalnum():
            raise SystemExit(f"{FILE}: [{name}]: expected NAME=VALUE, not {line!r}")
        if key in given:
            raise SystemExit(f"{FILE}: [{name}]: {key} is there twice")
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        given[key] = value[1:-1] if quoted else value
    return given


def placeholders(environment):
    """Every value that was copied from an example is named."""
    for name, value in {**environment.settings, **environment.given}.items():
        if name == "parameter_overrides" or not isinstance(value, str):
            continue
        for pattern, kind in PLACEHOLDERS:
            if found := pattern.search(value):
                yield f"{name} is a placeholder: {found[0].strip('-')} is {kind}"


def declarations(environment):
    """Only parameters of the template are given, and each required one is."""
    for name in environment.given:
        if name not in environment.declared:
            yield f"{name} is not a parameter of template.yaml"
        elif name in OWN and environment.given[name] not in OWN[name]:
            yield f"{name} is set by make deploy: remove it" + "".join(
                f", or write {name}={value}" for value in OWN[name]
            )
    for name, declared in environment.declared.items():
        if "Default" not in declared and not environment.given.get(name):
            yield f"{name} is missing: {declared['Description']}"


def values(environment):
    """Each value has the type, the pattern and the bounds that the template declares."""
    for name, value in environment.given.items():
        declared = environment.declared.get(name)
        if declared and not ("Default" not in declared and not value):
            yield from _value(name, value, declared)


def _value(name, value, declared):
    parts = value.split(",") if declared["Type"] == "CommaDelimitedList" else [value]
    pattern = declared.get("AllowedPattern")
    allowed = [str(each) for each in declared.get("AllowedValues", [])]
    for part in parts:
        if pattern and not re.fullmatch(pattern, part):
            yield f"{name}: {part!r} does not match {pattern}"
        if allowed and part not in allowed:
            yield f"{name}: {part!r} is none of {', '.join(allowed)}"
    if declared["Type"] != "Number":
        return
    if not re.fullmatch(r"-?\d+", value):
        yield f"{name}: {value!r} is not a whole number"
        return
    if int(value) < declared.get("MinValue", int(value)):
        yield f"{name}: {value} is below the minimum of {declared['MinValue']}"
    if int(value) > declared.get("MaxValue", int(value)):
        yield f"{name}: {value} is above the maximum of {declared['MaxValue']}"


def only_aws(environment):
    """The profile deploys to AWS, and nothing that only the local stack reads is in it."""
    if environment.value("Where") != "aws":
        yield "Where is not aws"
    for name, value in environment.given.items():
        described = environment.declared.get(name, {}).get("Description", "")
        default = str(environment.declared.get(name, {}).get("Default", ""))
        if described.startswith("(local)") and value != default:
            yield f"{name} is only for the local stack, and does not belong into a profile"


def arns(environment):
    """All ARNs are of one account, of the region, and of the service that the name says."""
    accounts = {}
    for name in (*REGIONAL, "PermissionsBoundaryArn"):
        parts = environment.value(name).split(":")
        if len(parts) < 6:
            continue
        accounts.setdefault(parts[4], []).append(name)
        if name in REGIONAL and parts[3] != environment.region:
            yield f"{name} is in {parts[3] or 'no region'}, and the profile in {environment.region}"
        if name in SECRETS and (parts[2], parts[5]) != ("secretsmanager", "secret"):
            yield f"{name} is not the ARN of a secret"
        if name == "AlarmTopicArn" and parts[2] != "sns":
            yield f"{name} is not the ARN of a topic"
    if len(accounts) > 1:
        where = "; ".join(f"{account}: {', '.join(each)}" for account, each in accounts.items())
        yield f"the ARNs are of several accounts ({where})"
    if environment.value("DatabaseSecretArn") == environment.value("MigrationSecretArn"):
        yield "DatabaseSecretArn and MigrationSecretArn are the same user"


def login(environment):
    """The profile has what the functions need to log in to the database."""
    way = environment.value("DatabaseLogin")
    for name in LOGINS.get(way, ()):
        if not environment.value(name):
            yield f"DatabaseLogin={way} needs {name}"


def account(environment):
    """Returns the account that the secrets name, or None."""
    parts = environment.value("MigrationSecretArn").split(":")
    return parts[4] if len(parts) > 5 else None


def carrier(environment):
    """The carrier is reached with a login, if its API has one, and over TLS."""
    adapter, secret = environment.value("CarrierAdapter"), environment.value("CarrierSecretArn")
    if adapter == "alaris" and not secret:
        yield "CarrierAdapter=alaris needs CarrierSecretArn"
    if not environment.value("CarrierUrl").startswith("https://"):
        yield "CarrierUrl is not https, so the login and the texts would be readable on the way"


def pairs(environment):
    """What is only useful together is given together."""
    for one, other in (
        ("OidcIssuer", "OidcAudience"),
        ("OidcAudience", "OidcIssuer"),
        ("OriginProofSecretArn", "EdgeUrl"),
    ):
        if environment.value(one) and not environment.value(other):
            yield f"{one} needs {other}"
    if environment.value("OidcIssuer").startswith("http://"):
        yield "OidcIssuer is not https, so its keys could be replaced on the way"
    if environment.settings.get("role_arn") and not environment.value("PermissionsBoundaryArn"):
        yield "role_arn needs PermissionsBoundaryArn: that role creates no roles without a boundary"
    subnets = environment.value("Subnets")
    if subnets and len(set(subnets.split(","))) < 2:
        yield "Subnets is only one: the functions stop if its zone fails"


def times(environment):
    """A worker can record the carrier's answer, and no message is visible while it is worked on."""
    number = environment.number
    needed = number("CarrierTimeoutS") + number("RecordingShareS")
    if needed >= number("WorkerTimeoutS"):
        yield (
            f"WorkerTimeoutS is {number('WorkerTimeoutS')} and must exceed {needed}, the sum of "
            "CarrierTimeoutS and RecordingShareS"
        )
    for kind in ("Dispatch", "Worker"):
        least = 6 * number(f"{kind}TimeoutS")
        if number(f"{kind}VisibilityS") < least:
            yield (
                f"{kind}VisibilityS is {number(f'{kind}VisibilityS')} and must be at least {least},"
                f" six times {kind}TimeoutS"
            )


def concurrency(environment):
    """Returns the sum of the concurrencies, which is also the number of database connections."""
    return sum(environment.number(name) for name in CONCURRENCIES)


def api_limit(environment):
    """Production limits the API, so that a flood of requests leaves executions and connections."""
    if environment.name == PRODUCTION and not environment.number("ApiConcurrency"):
        yield (
            f"ApiConcurrency is 0 in {PRODUCTION}: nothing limits the executions and the database "
            "connections of the API. An account with a quota of 100 or less cannot reserve any: "
            "raise it first (docs/runbooks/quota.md)"
        )


def runbook(environment):
    """The runbook's place is named: otherwise the alarms would link to an example."""
    if "RunbookUrl" not in environment.given:
        yield (
            "RunbookUrl is missing: alarms would link to the example of the template; name the page "
            "on which operators read docs/runbook.md, in the web interface of your repository or on "
            "your wiki"
        )


def countries(environment):
    """A country is named: otherwise the API would refuse each number."""
    if not environment.value("AllowedCountries").strip():
        yield "AllowedCountries names no country: name those to which you send, or * for all"


CHECKS = (
    placeholders, declarations, values, only_aws, arns, login, carrier, pairs, times, api_limit,
    runbook, countries,
)  # fmt: skip


def findings(environment):
    """Yields what is wrong in the profile itself."""
    for check in CHECKS:
        yield from check(environment)
