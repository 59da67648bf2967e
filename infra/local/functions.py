"""Prints the functions of template.yaml with their environment, as JSON, for the benchmark.

    infra/local/python infra/local/functions.py

The values are those of the local stack (deploy.py). The benchmark replaces the placeholders: {aws}
is the URL of its queues and schedules, {database}, {carrier} and {keys} are its own.
"""

import json
import re

import deploy
import template as templates

STACK = "sms-bench"
UNSET = ("RUN_TIME_SETTINGS",)  # the benchmark has no AppConfig
REFERENCE = re.compile(r"\$\{([\w.:]+)\}")


class Values:
    """Resolves the values of the template as for the local stack."""

    def __init__(self, template):
        self.template = template
        keys = {"jwt_keys": "{keys}", "webhook_keys": "{keys}", "callback_secrets": "{callbacks}"}
        self.given = deploy.parameters(
            ("{database}",) * 3, "", keys, "{carrier}", "bench", deploy.given_settings()
        )

    def reference(self, name):
        """Returns the value of `!Ref name`: a parameter, the URL of a queue, or an ARN."""
        if name in self.template["Parameters"]:
            value = self.given.get(name, self.template["Parameters"][name].get("Default", ""))
            return str(value)
        if name == "AWS::StackName":
            return STACK
        kind = self.template["Resources"].get(name, {}).get("Type")
        return f"{{aws}}/queues/{name}" if kind == "AWS::SQS::Queue" else f"arn:aws:bench:{name}"

    def value(self, value):
        """Returns the value of a variable, None for AWS::NoValue."""
        if not isinstance(value, dict):
            return str(value)
        ((kind, argument),) = value.items()
        if kind == "Fn::If":  # every condition of a variable holds on AWS only
            return self.value(argument[2])
        if kind == "Fn::GetAtt":
            return f"arn:aws:bench:{'.'.join(argument)}"
        if kind == "Fn::Sub":
            return REFERENCE.sub(lambda found: self.reference(found[1]), argument)
        return None if argument == "AWS::NoValue" else self.reference(argument)

    def function(self, name):
        """Returns what the benchmark needs to know about a function."""
        properties = templates.functions(self.template)[name]
        variables = {
            variable: self.value(value)
            for variable, value in templates.variables(self.template, name).items()
            if variable not in UNSET
        }
        return {
            "timeout_s": int(self.value(properties["Timeout"])),
            "memory_mb": int(self.value(properties["MemorySize"])),
            "environment": {key: value for key, value in variables.items() if value is not None},
        }


def main():
    """Prints {functions, sources}: a source is a queue and the function that it invokes."""
    template = templates.load()
    values = Values(template)
    names = templates.local_functions(template)
    sources = [
        {
            "queue": queue,
            "function": name.lower(),
            "concurrency": int(values.value(event["ScalingConfig"]["MaximumConcurrency"])),
        }
        for name, _, queue, event in templates.sources(template)
    ]
    found = {name.lower(): values.function(name) for name in names}
    print(json.dumps({"functions": found, "sources": sources}, indent=1))


if __name__ == "__main__":
    main()
