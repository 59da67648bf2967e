"""template.yaml as the tests of it read it."""

import copy
import functools
import operator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """Reads `!Ref X` as {"Ref": "X"} and `!Sub …` as {"Fn::Sub": …}."""


def _tag(loader, name, node):
    sequence = isinstance(node, yaml.SequenceNode)
    value = loader.construct_sequence(node, deep=True) if sequence else loader.construct_scalar(node)
    if name == "GetAtt":
        value = value.split(".", 1)
    return {name if name == "Ref" else f"Fn::{name}": value}


Loader.add_multi_constructor("!", _tag)


def resources(template, kind):
    """{logical name: properties} of every resource of a type."""
    return {name: resource["Properties"] for name, resource in template["Resources"].items() if resource["Type"] == kind}


def functions(template):
    """The functions' properties, by logical name."""
    return resources(template, "AWS::Serverless::Function")


def sources(template):
    """(function's name, its properties, queue's name, event's properties) of each queue that starts a function."""
    for name, function in functions(template).items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                yield name, function, event["Properties"]["Queue"]["Fn::GetAtt"][0], event["Properties"]


def variables(template, name):
    """The environment variables of a function, those of all functions included."""
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    return common | functions(template)[name]["Environment"]["Variables"]


def number(template, value):
    """A number, or the default of the parameter that stands for it."""
    return template["Parameters"][value["Ref"]]["Default"] if isinstance(value, dict) else value


def load():
    """The template, parsed."""
    return yaml.load((ROOT / "template.yaml").read_text(), Loader)


def broken(template, path, value):
    """A copy of the template in which the value at a path below its resources is another."""
    copied = copy.deepcopy(template)
    *way, last = path
    functools.reduce(operator.getitem, way, copied["Resources"])[last] = value
    return copied
