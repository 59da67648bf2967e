"""Runs `sam local` against the local stack: functions in containers that use only the stack.

A function gets the environment that it has in the emulator. `sam local` overrides only variables
that the template declares and resolves some references wrongly, so it reads a reduced copy of
template.yaml: the functions, with the names of all variables, and the routes of the API. In a
container, loopback is the container itself, so that each loopback address becomes
`host.docker.internal`.

Neither SAM nor a function ever uses credentials of the caller: SAM gets a new environment with test
credentials, and both get the emulator's endpoint.
"""

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import access
import emulator
import template as templates
from forwarder import Forwarder, is_foreign

ROOT = Path(__file__).resolve().parents[2]
SAM = ROOT / "target/tools/sam/bin/sam"
HOST = "host.docker.internal"
ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
IMAGE = f"public.ecr.aws/lambda/provided:al2023-{ARCHITECTURE}"
LOOPBACK = re.compile(r"(?:(?<=//)|(?<=@))(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?(?=[/?,]|$)")
ADDRESSES = ("_URL", "_QUEUES")  # the ends of names of variables that contain addresses
KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "TERM", "TMPDIR", "TZ", "USER")
ROUTES = [f"AWS::ApiGatewayV2::{kind}" for kind in ("Api", "Integration", "Route", "Stage")]
# SAM finds the function by its logical name in this URI, but not by `!Ref Api.Alias`.
INTEGRATION = (
    "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
    "arn:aws:lambda:us-east-1:000000000000:function:Api/invocations"
)
# Starts infra/proxy in the container, so that a webhook on loopback leads to this machine.
WITH_WEBHOOK = """#!/bin/sh
while read -r address name; do
  if [ "$name" = {host} ]; then ./proxy {port} "$address:{port}" 0 >/dev/null & fi
done </etc/hosts
exec ./function
"""


def environment(given, endpoint):
    """Returns the environment of SAM: none of the caller's AWS settings, test credentials."""
    kept = {
        name: value for name, value in given.items() if name in KEPT or name.startswith("DOCKER_")
    }
    return {
        **kept,
        **emulator.CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
    }


def for_container(variables, endpoint):
    """Returns (the variables as a container needs them, the loopback ports that they name)."""
    ports = set()

    def replace(usual_port):
        def replaced(found):
            port = found[1] or usual_port
            ports.add(int(port))
            return f"{HOST}:{port}"

        return replaced

    given = {name: value for name, value in variables.items() if not name.startswith("AWS_")}
    given["AWS_ENDPOINT_URL"] = endpoint
    for name, value in given.items():
        if name.endswith(ADDRESSES):
            usual = "3306" if name.endswith("DATABASE_URL") else "80"
            given[name] = LOOPBACK.sub(replace(usual), value)
    return given, ports


def _route(properties):
    """Returns the properties of a part of the HTTP API without references to what is left out."""
    kept = {name: value for name, value in properties.items() if name != "AccessLogSettings"}
    return kept | ({"IntegrationUri": INTEGRATION} if "IntegrationUri" in kept else {})


def reduced(template, configurations, folders):
    """Returns the copy of the template that `sam local` reads.

    `configurations` are those of the functions in the emulator and `folders` the folders of their
    binaries, both by logical name.
    """
    # The routes come first: by the first resource, SAM decides whether it reads these routes or
    # the events of the functions.
    resources = {
        name: {"Type": resource["Type"], "Properties": _route(resource["Properties"])}
        for name, resource in template["Resources"].items()
        if resource["Type"] in ROUTES
    }
    for name, configuration in configurations.items():
        names = configuration["Environment"]["Variables"]
        resources[name] = {
            "Type": "AWS::Serverless::Function",
            "Metadata": {"SkipBuild": True},
            "Properties": {
                "CodeUri": str(folders[name]),
                "Handler": "bootstrap",
                "Runtime": "provided.al2023",
                "Architectures": [ARCHITECTURE],
                "Timeout": configuration["Timeout"],
                "MemorySize": configuration["MemorySize"],
                "Environment": {"Variables": dict.fromkeys([*names, "AWS_ENDPOINT_URL"], "")},
            },
        }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": resources,
    }


class SamLocal:
    """The SAM CLI with the settings of one running stack, and a Docker engine."""

    def __init__(self, stack, engine):
        self.stack = stack
        self.engine = engine
        self.template = templates.load()
        client = stack.client("lambda")
        self.configurations = {
            name: client.get_function_configuration(FunctionName=stack.function(name))
            for name in templates.local_functions(self.template)
        }

    @contextlib.contextmanager
    def _files(self, webhook_port=None):
        """Writes the template and the variables, readable by their owner only; removes them."""
        with tempfile.TemporaryDirectory(prefix="invoke-", dir=self.stack.state) as name:
            folder = Path(name).resolve()
            folders = {name: self.stack.binaries / name.lower() for name in self.configurations}
            if webhook_port:
                folders["Notify"] = self._with_webhook(folder, folders["Notify"], webhook_port)
            copied = reduced(self.template, self.configurations, folders)
            variables, ports = {}, set()
            for function, configuration in self.configurations.items():
                given = configuration["Environment"]["Variables"]
                variables[function], found = for_container(given, self.stack.endpoint)
                ports |= found
            access.write_private(folder / "template.json", json.dumps(copied))
            access.write_private(folder / "variables.json", json.dumps(variables))
            yield folder, ports | ({webhook_port} if webhook_port else set())

    def _with_webhook(self, folder, binaries, port):
        """Returns a folder with the function, and a proxy for the port of a webhook."""
        code = folder / "notify"
        code.mkdir()
        shutil.copy(binaries / "bootstrap", code / "function")
        shutil.copy(self.stack.programs / "proxy", code / "proxy")
        (code / "bootstrap").write_text(WITH_WEBHOOK.format(host=HOST, port=port))
        (code / "bootstrap").chmod(0o755)
        return code

    @contextlib.contextmanager
    def _reachable(self, ports):
        """Makes loopback ports of this machine reachable for containers, if that is needed."""
        bridge = self.engine.bridge()
        with contextlib.ExitStack() as open_until_end:
            if bridge:
                forwarder = Forwarder(bridge.gateway, bridge.network, ports)
                try:
                    open_until_end.enter_context(forwarder)
                except OSError as error:
                    if not is_foreign(error):
                        raise SystemExit(f"forwarding from {bridge.gateway}: {error}") from error
                    # The engine runs in a virtual machine, in which this name leads to loopback.
            yield

    def _command(self, folder, *arguments):
        if not SAM.exists():
            subprocess.run([ROOT / "infra/local/setup", "sam"], check=True, stdout=sys.stderr)
        command = [SAM, "local", *arguments, "--template", folder / "template.json"]
        command += ["--env-vars", folder / "variables.json", "--add-host", f"{HOST}:host-gateway"]
        return command + (["--skip-pull-image"] if self.engine.has_image(IMAGE) else [])

    def _run(self, command, **options):
        """Runs SAM; returns (exit status, stdout). If interrupted, lets it remove its container."""
        env = environment(os.environ, self.stack.endpoint)
        process = subprocess.Popen(command, env=env, text=True, **options)
        try:
            output, _ = process.communicate()
        except KeyboardInterrupt:  # the terminal sends it to SAM as well
            process.wait()
            raise
        except SystemExit:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        return process.returncode, output

    def invoke(self, name, event, webhook_port=None):
        """Invokes a function with an event; returns what it answered, "" if it did not."""
        with self._files(webhook_port) as (folder, ports), self._reachable(ports):
            access.write_private(folder / "event.json", json.dumps(event))
            command = self._command(folder, "invoke", name, "--event", folder / "event.json")
            status, output = self._run(command, stdout=subprocess.PIPE)
        return output if status == 0 else ""

    def start_api(self, port):
        """Serves the API until it is interrupted; returns SAM's exit status."""
        with self._files() as (folder, ports), self._reachable(ports):
            command = self._command(folder, "start-api", "--port", str(port))
            command += ["--warm-containers", "LAZY", "--no-watch"]
            return self._run(command)[0]
