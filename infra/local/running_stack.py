"""The running local stack as its clients see it: addresses, API, functions and rows."""

import contextlib
import json
import shlex
import time
from pathlib import Path
from urllib.parse import urlsplit

import access
import build
import database
import emulator
from processes import Processes

ROOT = Path(__file__).resolve().parents[2]


class RunningStack:
    """The stack of one state folder. Exits if it does not run."""

    def __init__(self, state):
        self.state = state
        self.processes = Processes(state)
        file = state / "stack.env"
        if not file.exists() or not self.processes.running("emulator"):
            raise SystemExit("the stack does not run: run `make up` first")
        words = shlex.split(file.read_text())
        self.values = dict(word.split("=", 1) for word in words)
        self.endpoint = self.values["AWS_ENDPOINT_URL"]
        self.binaries = build.functions_folder("FAULT_POINTS_PORT" in self.values)
        self.programs = build.FOLDERS[self.values["PROFILE"]]

    def client(self, service):
        """Returns a boto3 client for the emulator."""
        return emulator.client(self.processes, service)

    def function(self, name):
        """Returns the name in the emulator of a function of the template, such as Send."""
        return self.values[f"{name.upper()}_FUNCTION"]

    def sends_to_simulator(self):
        """Returns whether no message of this stack reaches a real carrier."""
        return self.processes.running("simulator")

    def call(self, method, path, body=None, token=None):
        """Calls the API with the stack's API key or a token; returns the answer."""
        url = f"{self.values['API_URL']}{path}"
        return access.request(url, token or self.values["API_KEY"], body, method)

    def administrator(self):
        """Returns an access token of the stack's administrator."""
        account = json.loads((self.state / "admin.json").read_text())
        url = f"{self.values['API_URL']}/v1/auth/login"
        return access.request(url, None, account, "POST")["access_token"]

    def rows(self, sql):
        """Returns the rows of a query on the stack's database, each a list of strings."""
        url = self.values["DATABASE_URL"]
        name = urlsplit(url).path.strip("/")
        output = database.query(url, f"USE `{name}`; {sql}")
        return [line.split("\t") for line in output.splitlines()]

    def wait_for(self, sql, seconds=40):
        """Waits until a query has a row; returns it."""
        deadline = time.monotonic() + seconds
        while not (found := self.rows(sql)):
            if time.monotonic() > deadline:
                raise SystemExit(f"no row after {seconds} s: {sql}")
            time.sleep(0.2)
        return found[0]

    @contextlib.contextmanager
    def deployed_with(self, name, **variables):
        """Runs a function with other environment variables, as a deployment would.

        It is a version of its own, to which the alias points meanwhile.
        """
        client, function = self.client("lambda"), self.function(name)
        alias = {"FunctionName": function, "Name": "live"}
        before = client.get_alias(**alias)["FunctionVersion"]
        configuration = client.get_function_configuration(FunctionName=function)
        known = configuration["Environment"]["Variables"]

        def configure(changed):
            client.update_function_configuration(
                FunctionName=function, Environment={"Variables": changed}
            )
            client.get_waiter("function_updated_v2").wait(FunctionName=function)

        configure({**known, **variables})
        try:
            version = client.publish_version(FunctionName=function)["Version"]
            client.update_alias(**alias, FunctionVersion=version)
            yield
        finally:
            client.update_alias(**alias, FunctionVersion=before)
            configure(known)

    @contextlib.contextmanager
    def held(self, name):
        """Keeps a function's queue from invoking it, so that its messages wait.

        A queue that is disabled already stays so.
        """
        client = self.client("lambda")
        mappings = client.list_event_source_mappings()["EventSourceMappings"]
        ours = [
            each["UUID"]
            for each in mappings
            if each["FunctionArn"].split(":")[6] == self.function(name)
            and each["State"] == "Enabled"
        ]
        try:
            for uuid in ours:
                client.update_event_source_mapping(UUID=uuid, Enabled=False)
            yield
        finally:
            for uuid in ours:
                client.update_event_source_mapping(UUID=uuid, Enabled=True)
