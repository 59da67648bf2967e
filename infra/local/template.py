"""Reads template.yaml and the templates of infra/aws for their tests."""

import copy
import functools
import logging
import operator
import os
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
logging.getLogger("samtranslator").setLevel(logging.CRITICAL)  # it warns about its own metrics


class Loader(yaml.SafeLoader):
    """Reads `!Ref X` as {"Ref": "X"} and `!Sub …` as {"Fn::Sub": …}."""


def _tag(loader, name, node):
    sequence = isinstance(node, yaml.SequenceNode)
    value = (
        loader.construct_sequence(node, deep=True) if sequence else loader.construct_scalar(node)
    )
    if name == "GetAtt":
        value = value.split(".", 1)
    return {name if name == "Ref" else f"Fn::{name}": value}


Loader.add_multi_constructor("!", _tag)


def resources(template, kind):
    """Returns {logical name: properties} of all resources of a type."""
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def functions(template):
    """Returns the functions' properties by logical name."""
    return resources(template, "AWS::Serverless::Function")


def local_functions(template):
    """Returns the properties of the functions that the local stack has, by logical name.

    A function with a condition exists only on AWS.
    """
    return {
        name: properties
        for name, properties in functions(template).items()
        if "Condition" not in template["Resources"][name]
    }


def sources(template):
    """Yields (function name, its properties, queue name, event properties) per event source."""
    for name, function in functions(template).items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                yield (
                    name,
                    function,
                    event["Properties"]["Queue"]["Fn::GetAtt"][0],
                    event["Properties"],
                )


def variables(template, name):
    """Returns the environment variables of a function, including the global ones."""
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    return common | functions(template)[name]["Environment"]["Variables"]


def listed(value):
    """Returns a list of one or many values."""
    return value if isinstance(value, list) else [value]


def statements(properties):
    """Yields the statements of a role or a policy that apply on AWS."""
    for policy in [*properties.get("Policies", []), properties]:
        for statement in policy.get("PolicyDocument", {}).get("Statement", []):
            choices = [statement, *statement.get("Fn::If", [])[1:]]
            yield from (choice for choice in choices if "Action" in choice)


def secrets_of(template, name):
    """Returns the ARNs of the secrets of a function's variables on AWS."""
    return [
        value["Fn::If"][1] if "Fn::If" in value else value
        for variable, value in variables(template, name).items()
        if variable.endswith(("SECRET_ARN", "SECRETS_ARN"))
    ]


def number(template, value):
    """Returns the value, or the default of the parameter to which it refers."""
    return template["Parameters"][value["Ref"]]["Default"] if isinstance(value, dict) else value


def load(path="template.yaml"):
    """Returns a parsed template."""
    return parse((ROOT / path).read_text())


def parse(text):
    """Returns the parsed text of a template."""
    return yaml.load(text, Loader)


class _NoManagedPolicies:
    """Stands for the list of AWS's policies, which the transform would fetch."""

    def load(self):
        return {}


def translated(template, **values):
    """Returns the template after SAM's transform, with these values of parameters."""
    copied = copy.deepcopy(template)
    for function in functions(copied).values():
        function["CodeUri"] = f"s3://code/{function['CodeUri']}"
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    # Not every environment that reads the template has SAM: that of the browser has not.
    from samtranslator.translator.transform import transform

    return transform(copied, values, _NoManagedPolicies())


def broken(template, path, value):
    """Returns a copy of the template with another value at a path below its resources."""
    copied = copy.deepcopy(template)
    *parents, last = path
    functools.reduce(operator.getitem, parents, copied["Resources"])[last] = value
    return copied
