"""Tests the run-time settings: their schema, their documentation, and the command.

The command runs against an emulator of its own, with the resources of template.yaml.

    infra/local/python infra/local/test_settings.py
"""

import contextlib
import functools
import io
import json
import re
import shutil
import tempfile
import time
import unittest
from pathlib import Path

import jsonschema
import yaml

import emulator
import settings
from deploy import STACK
from processes import Processes, bypass_proxy
from template import ROOT, functions, load, resources, variables
from test_template_access import statements

READERS = ("Api", "Dispatch", "Send", "Recheck", "Notify")
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \|", re.MULTILINE)
RANGE = re.compile(r"([\d,]+) to ([\d,]+)")


@functools.cache
def schema():
    """Returns the schema of the template."""
    (profile,) = resources(load(), "AWS::AppConfig::ConfigurationProfile").values()
    return json.loads(profile["Validators"][0]["Content"])


def documented():
    """Returns {setting: its values} of the table in docs/configuration.md."""
    text = (ROOT / "docs/configuration.md").read_text()
    section = text.partition("## Run-time settings")[2].partition("\n## ")[0]
    return dict(ROW.findall(section))


class Declared(unittest.TestCase):
    """Compares the schema with the documentation and with the rest of the template."""

    def test_the_documentation_has_exactly_the_settings_of_the_schema(self):
        known, rows = schema()["properties"], documented()
        self.assertEqual(list(rows), list(known))
        for name, each in known.items():
            if each["type"] == "integer":
                low, high = (
                    int(part.replace(",", "")) for part in RANGE.match(rows[name]).groups()
                )
                self.assertEqual((low, high), (each["minimum"], each["maximum"]), name)
            else:
                self.assertIn(f"{each['maxLength']} characters", rows[name])

    def test_each_setting_overrides_a_parameter_and_admits_its_default(self):
        declared = load()["Parameters"]
        for name in schema()["properties"]:
            default = {name: declared[settings.parameter(name)]["Default"]}
            jsonschema.Draft4Validator(schema()).validate(default)

    def test_the_schema_means_the_same_in_the_drafts_4_and_7(self):
        self.assertFalse(schema()["additionalProperties"])
        for validator in (jsonschema.Draft4Validator, jsonschema.Draft7Validator):
            validator.check_schema(schema())
            for wrong in ({"x": 1}, {"bulk_above": -1}, {"bulk_above": "1"}, {"log_level": "inof"}):
                self.assertFalse(validator(schema()).is_valid(wrong), wrong)
            for level in ("info", "off", "warn,send=debug", "shared::batch=trace,error"):
                self.assertTrue(validator(schema()).is_valid({"log_level": level}), level)

    def test_a_change_is_deployed_at_once_and_can_be_corrected_at_once(self):
        (strategy,) = resources(load(), "AWS::AppConfig::DeploymentStrategy").values()
        times = [strategy[f"{name}InMinutes"] for name in ("DeploymentDuration", "FinalBakeTime")]
        self.assertEqual(([0, 0], 100), (times, strategy["GrowthFactor"]))

    def test_five_functions_may_read_the_configuration_and_nothing_else(self):
        template, parts = load(), ("Settings", "SettingsEnvironment", "SettingsProfile")
        configuration = "application/${%s}/environment/${%s}/configuration/${%s}" % parts
        for name in functions(template):
            allowed = [
                each
                for each in statements(template["Resources"][f"{name}Role"]["Properties"])
                if "appconfig" in json.dumps(each["Action"])
            ]
            value = variables(template, name).get("RUN_TIME_SETTINGS")
            if name not in READERS:
                self.assertEqual((value, allowed), (None, []), name)
                continue
            self.assertEqual(value, {"Fn::Sub": "${%s}/${%s}/${%s}" % parts}, name)
            (statement,) = allowed
            calls = ["appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration"]
            self.assertEqual(statement["Action"], calls)
            self.assertTrue(statement["Resource"]["Fn::Sub"].endswith(f":{configuration}"), name)


class Changes(unittest.TestCase):
    """Checks what SET and UNSET make of a document."""

    def test_properties_are_added_replaced_and_removed(self):
        before = {"bulk_above": 5, "log_level": "info"}
        after = settings.changed(
            before, schema(), "carrier_parts_per_second=500 log_level=info,send=debug", "bulk_above"
        )
        self.assertEqual(after, {"log_level": "info,send=debug", "carrier_parts_per_second": 500})
        self.assertEqual(before, {"bulk_above": 5, "log_level": "info"})

    def test_what_the_schema_refuses_changes_nothing(self):
        for given, removed, problem in (
            ("carrier_parts_per_second=-1", "", "less than the minimum of 0"),
            ("carrier_parts_per_second=1000001", "", "greater than the maximum of 1000000"),
            ("requests_per_minute=many", "", "'many' is not of type 'integer'"),
            ("requests_per_minute=1.5", "", "'1.5' is not of type 'integer'"),
            ("send_concurrency=0", "", "0 is less than the minimum of 1"),
            ("send_concurrency=1001", "", "1001 is greater than the maximum of 1000"),
            ("log_level=inof", "", "does not match"),
            ("allowed_countries=MY,Singapore", "", "does not match"),
            ("allowed_countries=my", "", "does not match"),
            ("carier_parts_per_second=5", "", "'carier_parts_per_second' was unexpected"),
            ("log_level", "", "expected name=value"),
            ("log_level='info", "", "No closing quotation"),
            ("", "loglevel", "is none of carrier_parts_per_second"),
            ("bulk_above=1", "bulk_above", "in SET and in UNSET"),
        ):
            with self.subTest(given=given), self.assertRaisesRegex(SystemExit, problem):
                settings.changed({}, schema(), given, removed)


class Deployed(unittest.TestCase):
    """Runs the command as for the local stack, and reads the result like a function."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="sms-settings-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        bypass_proxy()
        cls.processes = Processes(cls.folder)
        cls.addClassCleanup(cls.processes.stop, "emulator")
        emulator.start(cls.processes, {"DOCKER_HOST": "tcp://127.0.0.1:1"})
        cls.cloudformation = cls.client("cloudformation")
        cls.deploy(cls.cloudformation.create_stack)
        endpoint = emulator.endpoint(cls.processes.known["emulator"]["port"])
        file = cls.folder / "stack.env"  # which `make up` writes
        file.write_text(f"AWS_ENDPOINT_URL={endpoint}\nPROFILE=dev\n")

    @classmethod
    def client(cls, service):
        """Returns a client of the emulator."""
        return emulator.client(cls.processes, service)

    @classmethod
    def deploy(cls, call, **outputs):
        """Deploys the resources of AppConfig and their parameters, and waits."""
        template = load()
        kept = {
            "AWSTemplateFormatVersion": template["AWSTemplateFormatVersion"],
            "Parameters": {
                name: template["Parameters"][name]
                for name in map(settings.parameter, schema()["properties"])
            },
            "Resources": {
                name: each
                for name, each in template["Resources"].items()
                if each["Type"].startswith("AWS::AppConfig::")
            },
            "Outputs": outputs
            | {name: each for name, each in template["Outputs"].items() if "RunTime" in name},
        }
        call(StackName=STACK, TemplateBody=yaml.safe_dump(kept))
        while cls.stack()["StackStatus"].endswith("IN_PROGRESS"):
            time.sleep(0.05)

    @classmethod
    def stack(cls):
        """Returns the description of the stack."""
        return cls.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]

    def run_command(self, **given):
        """Runs the command; returns what it prints."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            settings.run(settings.opened({"STATE": str(self.folder)}), given)
        return output.getvalue()

    def read(self):
        """Returns the document that a function reads."""
        data = self.client("appconfigdata")
        outputs = {each["OutputKey"]: each["OutputValue"] for each in self.stack()["Outputs"]}
        names = ("Application", "Environment", "ConfigurationProfile")
        ids = dict(zip(names, outputs["RunTimeSettings"].split("/"), strict=True))
        session = data.start_configuration_session(
            **{f"{name}Identifier": value for name, value in ids.items()}
        )
        found = data.get_latest_configuration(
            ConfigurationToken=session["InitialConfigurationToken"]
        )
        return json.load(found["Configuration"])

    def test_a_change_reaches_the_functions_and_survives_a_deployment(self):
        self.assertEqual(self.read(), {})
        printed = self.run_command()
        self.assertIn("version 1", printed)
        self.assertRegex(printed, r"bulk_above +- +20000")

        printed = self.run_command(SET="bulk_above=7 log_level=debug")
        self.assertRegex(printed, r"version 2.*\n.*\n(.*\n)*  bulk_above +7 +20000")
        self.assertEqual(self.read(), {"bulk_above": 7, "log_level": "debug"})

        self.deploy(self.cloudformation.update_stack, Another={"Value": "x"})
        self.assertIn("Another", json.dumps(self.stack()["Outputs"]))
        self.assertEqual(self.read(), {"bulk_above": 7, "log_level": "debug"})

        self.run_command(UNSET="bulk_above,log_level")
        self.assertEqual(self.read(), {})
        self.assertIn("nothing to change", self.run_command(UNSET="bulk_above"))

    def test_a_refused_change_creates_no_version(self):
        before = self.run_command()
        with self.assertRaises(SystemExit):
            self.run_command(SET="bulk_above=-1")
        self.assertEqual(self.run_command(), before)

    def test_without_env_and_without_a_stack_both_ways_are_named(self):
        with self.assertRaisesRegex(SystemExit, "run `make up` first, or name an environment"):
            settings.opened({"STATE": str(self.folder / "another")})
        with self.assertRaisesRegex(SystemExit, "unknown ENV=live"):
            settings.opened({"ENV": "live"})

    def test_a_stack_without_settings_is_named(self):
        with self.assertRaisesRegex(SystemExit, "deploy it first"):
            settings.Settings("test", {}, self.client)


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # a process that still runs, until it is stopped
