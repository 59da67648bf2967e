"""Tests `make invoke` without a stack and without a Docker engine.

infra/local/python infra/local/test_invoke.py
"""

import contextlib
import http.server
import io
import json
import os
import socket
import stat
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import docker_engine
import invoke
import sam_local
import sample_events
import template as templates
from forwarder import Forwarder, is_foreign

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT = "http://localhost:4566"
# What a developer's shell may contain, and must never reach SAM or a function.
SHELL = {
    "AWS_ACCESS_KEY_ID": "AKIAUSER",
    "AWS_SECRET_ACCESS_KEY": "user",
    "AWS_SESSION_TOKEN": "user",
    "AWS_PROFILE": "production",
    "AWS_DEFAULT_PROFILE": "production",
    "AWS_REGION": "ap-southeast-1",
    "AWS_ENDPOINT_URL": "https://sqs.ap-southeast-1.amazonaws.com",
    "AWS_ENDPOINT_URL_SQS": "https://sqs.ap-southeast-1.amazonaws.com",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
    "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/user",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
    "AWS_CONFIG_FILE": "/home/user/.aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/home/user/.aws/credentials",
    "HTTPS_PROXY": "http://proxy.example.com:3128",
}
USUAL = {"PATH": "/usr/bin", "HOME": "/home/user", "DOCKER_HOST": "unix:///run/docker.sock"}
ON_STACK = {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def configurations(template):
    """Returns a configuration of each function, as the emulator answers."""
    variables = {"DATABASE_URL": "mysql://a:b@127.0.0.1:3307/sms_local", "AWS_PROFILE": "user"}
    one = {"Timeout": 60, "MemorySize": 256, "Environment": {"Variables": variables}}
    return dict.fromkeys(templates.local_functions(template), one)


class Stack:
    """What SamLocal needs of a running stack."""

    endpoint = ENDPOINT

    def __init__(self, folder):
        self.state, self.binaries, self.programs = folder, folder, folder

    def client(self, _):
        """Returns the emulator's client for functions."""
        one = configurations(templates.load())["Send"]
        return SimpleNamespace(get_function_configuration=lambda FunctionName: one)

    def function(self, name):
        """Returns a function's name in the emulator."""
        return name


class Credentials(unittest.TestCase):
    """Neither SAM nor a function has the caller's credentials, or reaches AWS."""

    def test_nothing_of_the_shell_s_aws_settings_reaches_sam(self):
        found = sam_local.environment(SHELL | USUAL, ENDPOINT)
        for name, value in SHELL.items():
            self.assertNotEqual(found.get(name), value, name)
        self.assertEqual({name: found[name] for name in USUAL}, USUAL)
        self.assertEqual(found["AWS_ENDPOINT_URL"], ENDPOINT)
        self.assertEqual(found["AWS_ACCESS_KEY_ID"], "test")
        self.assertEqual(found["AWS_SHARED_CREDENTIALS_FILE"], os.devnull)
        self.assertEqual(found["AWS_CONFIG_FILE"], os.devnull)
        self.assertNotIn("AWS_SESSION_TOKEN", found)

    def test_the_process_itself_forgets_the_shell_s_aws_settings(self):
        environment = SHELL | USUAL
        invoke.clear_aws(environment)
        kept = {name for name in environment if name.startswith("AWS_")}
        files = {"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}
        self.assertEqual(kept, files | {"AWS_EC2_METADATA_DISABLED"})
        self.assertTrue(all(environment[name] == os.devnull for name in files))

    def test_each_call_of_sam_gives_every_function_the_emulator_s_endpoint(self):
        for call in (lambda sam: sam.invoke("Send", {}), lambda sam: sam.start_api(3000)):
            seen = run_sam(call)
            self.assertEqual(seen["env"]["AWS_ACCESS_KEY_ID"], "test")
            self.assertEqual(seen["env"]["AWS_ENDPOINT_URL"], ENDPOINT)
            self.assertFalse({*SHELL} & {*seen["env"]} - ON_STACK - {*seen["clean"]})
            for name in templates.local_functions(templates.load()):
                given = seen["variables"][name]
                declared = seen["template"]["Resources"][name]["Properties"]["Environment"]
                self.assertEqual(given["AWS_ENDPOINT_URL"], "http://host.docker.internal:4566")
                self.assertIn("AWS_ENDPOINT_URL", declared["Variables"])
                self.assertLessEqual({*given}, {*declared["Variables"]})
                self.assertNotIn("AWS_PROFILE", given)

    def test_only_the_owner_can_read_the_files_and_they_do_not_stay(self):
        seen = run_sam(lambda sam: sam.invoke("Send", {"a": 1}))
        self.assertEqual(seen["modes"], {name: 0o600 for name in seen["modes"]})
        self.assertIn("variables.json", seen["modes"])
        self.assertEqual(seen["folder_mode"], 0o700)
        self.assertEqual(seen["left"], [])


def run_sam(call):
    """Calls `sam local` with a shell full of AWS settings; returns what it would have seen."""
    seen = {}

    def instead(command, env, **_):
        folder = Path(command[command.index("--template") + 1]).parent
        mode = lambda path: stat.S_IMODE(path.stat().st_mode)  # noqa: E731
        seen.update(
            env=env,
            modes={path.name: mode(path) for path in folder.iterdir()},
            folder_mode=mode(folder),
            template=json.loads((folder / "template.json").read_text()),
            variables=json.loads((folder / "variables.json").read_text()),
        )
        return SimpleNamespace(communicate=lambda: ("{}", None), returncode=0)

    engine = SimpleNamespace(bridge=lambda: None, has_image=lambda _: True)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as patched:
        patched.enter_context(mock.patch.dict(os.environ, SHELL | USUAL, clear=True))
        patched.enter_context(mock.patch.object(sam_local, "SAM", Path(__file__)))
        patched.enter_context(mock.patch.object(subprocess, "Popen", instead))
        call(sam_local.SamLocal(Stack(Path(name)), engine))
        seen["left"] = list(Path(name).iterdir())
    seen["clean"] = sam_local.environment({}, ENDPOINT)
    return seen


class Copy(unittest.TestCase):
    """The copy of the template, and the variables of a container."""

    def test_loopback_becomes_the_host_of_the_container(self):
        table = (
            ("DATABASE_URL", "mysql://a:b@127.0.0.1:15511/sms", "mysql://a:b@{}:15511/sms", 15511),
            ("DATABASE_URL", "mysql://a:b@localhost/sms", "mysql://a:b@{}:3306/sms", 3306),
            ("SEND_QUEUE_URL", "http://localhost:4566/0/send", "http://{}:4566/0/send", 4566),
            ("DEAD_LETTER_QUEUES", "a=http://localhost:7/a,b=http://127.0.0.1:7/b",
             "a=http://{0}:7/a,b=http://{0}:7/b", 7),
            ("CARRIER_URL", "http://[::1]:99/api", "http://{}:99/api", 99),
            ("CARRIER_URL", "http://127.0.0.1/api", "http://{}:80/api", 80),
            ("CARRIER_URL", "https://carrier.example.com/localhost", None, None),
            ("CARRIER_URL", "http://localhost.example.com/", None, None),
            ("CORS_ORIGINS", "http://localhost:3000", None, None),
            ("OIDC_ISSUER", "http://127.0.0.1:9000/realms/a", None, None),
        )  # fmt: skip
        for name, value, expected, port in table:
            found, ports = sam_local.for_container({name: value}, "https://emulator.example.com")
            wanted = expected.format(sam_local.HOST) if expected else value
            self.assertEqual(found[name], wanted)
            self.assertEqual(ports, {port} if port else set(), value)

    def test_the_copy_has_every_function_and_route_and_needs_no_reference_of_production(self):
        template = templates.load()
        names = list(templates.local_functions(template))
        folders = {name: Path("/code") / name.lower() for name in names}
        copied = sam_local.reduced(template, configurations(template), folders)["Resources"]
        self.assertEqual(len(names), 6)
        for name in names:
            self.assertEqual(copied[name]["Properties"]["CodeUri"], f"/code/{name.lower()}")
        kinds = [resource["Type"] for resource in copied.values()]
        self.assertEqual(kinds.count("AWS::ApiGatewayV2::Route"), 2)
        text = json.dumps(copied)
        for unresolved in ("Api.Alias", "GatewayLogs", "amazonaws.com"):
            self.assertNotIn(unresolved, text)
        self.assertTrue(copied["GatewayToApi"]["Properties"]["IntegrationUri"].startswith("arn:"))

    def test_the_template_of_production_stays_as_it_is(self):
        template = templates.load()
        folders = dict.fromkeys(templates.local_functions(template), "")
        sam_local.reduced(template, configurations(template), folders)
        self.assertEqual(template, templates.load())
        self.assertNotIn("AWS_ENDPOINT_URL", (ROOT / "template.yaml").read_text())


class Events(unittest.TestCase):
    """The sample events and their placeholders."""

    values = {
        "SCHEDULE_ID": "1-2", "VERSION": 3, "BATCH_NO": 4, "WEBHOOK_ID": "5", "EVENT_ID": "6",
        "API_KEY": "key", "RUN_AT": "2027-01-01T00:00:00Z",
    }  # fmt: skip

    def test_every_sample_is_filled_completely(self):
        for file in sorted((ROOT / "infra/events").glob("*.json")):
            event = sample_events.fill(json.loads(file.read_text()), self.values)
            self.assertEqual(sample_events.placeholders(event), set(), file.name)
            self.assertNotIn("$", json.dumps(event).replace("$default", ""), file.name)
            for record in event.get("Records", []):
                json.loads(record["body"])

    def test_a_number_stays_a_number(self):
        event = sample_events.fill({"version": "${VERSION}", "body": "{${BATCH_NO}}"}, self.values)
        self.assertEqual(event, {"version": 3, "body": "{4}"})

    def test_an_unknown_placeholder_is_an_error(self):
        with self.assertRaises(SystemExit) as raised:
            sample_events.fill(["${BATCH}"], self.values)
        self.assertIn("BATCH", str(raised.exception))

    def test_an_event_of_the_caller_without_placeholders_is_not_changed(self):
        event = {"a": ["$default", 1, None, True], "b": {"c": "${lower}"}}
        self.assertEqual(sample_events.fill(event, {}), event)


class Answers(unittest.TestCase):
    """Which requests are refused, and which answers are failures."""

    def test_a_request_that_cannot_be_right_is_refused(self):
        table = (
            {}, {"FN": "sender"}, {"FN": "send", "BATCH": "0"}, {"FN": "send", "BATCH": "x"},
            {"FN": "send", "EVENT": "/nowhere.json"}, {"FN": "send", "ENGINE": "podman"},
            {"FN": "send", "EVENT": __file__},
        )  # fmt: skip
        for given in table:
            with self.assertRaises(SystemExit, msg=given):
                invoke.Request.read(given)

    def test_each_function_has_a_sample_event_of_its_own(self):
        for name in invoke.FUNCTIONS:
            request = invoke.Request.read({"FN": name, "ID": "", "BATCH": ""})
            self.assertEqual(request.function, name.capitalize())
            self.assertIn(request.function, templates.local_functions(templates.load()))
        self.assertEqual(len(invoke.FUNCTIONS), 6)

    def test_an_empty_answer_or_an_error_is_a_failure(self):
        table = (
            ("", True),
            ("\n", True),
            ("no json", True),
            ('{"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"}', True),
            ('{"batchItemFailures": [{"itemIdentifier": "1"}]}', True),
            ('{"statusCode": 500}', True),
            ('{"statusCode": 422}', False),
            ('{"batchItemFailures": []}', False),
            ("null", False),
            ('"done"', False),
        )
        for output, fails in table:
            self.assertEqual(invoke.failure(output) is not None, fails, output)

    def test_no_message_is_made_up_for_a_real_carrier(self):
        stack = SimpleNamespace(
            values={"DISPATCH_LEAD_S": "20", "API_KEY": "key"},
            sends_to_simulator=lambda: False,
            held=lambda _: contextlib.nullcontext(),
        )
        for given in (
            {"FN": "send"},
            {"FN": "recheck"},
            {"FN": "dispatch"},
            {"FN": "api", "EVENT": str(ROOT / "infra/events/schedule.json")},
        ):
            with (
                mock.patch.object(invoke, "runner", lambda *_: self.fail),
                self.assertRaises(SystemExit) as raised,
            ):
                invoke.invoke(stack, invoke.Request.read(given))
            self.assertIn("real carrier", str(raised.exception))

    def test_the_exit_status_says_whether_the_function_failed(self):
        request = invoke.Request.read({"FN": "migrate"})
        stack = SimpleNamespace(values={"API_KEY": "key"})
        for output, status in (("", 1), ('{"errorType": "x"}', 1), ('{"applied": 0}', 0)):
            with (
                mock.patch.object(invoke, "runner", lambda *_, answer=output: lambda *_: answer),
                contextlib.redirect_stdout(io.StringIO()) as printed,
                contextlib.redirect_stderr(io.StringIO()),
            ):
                self.assertEqual(invoke.invoke(stack, request), status)
            self.assertEqual(printed.getvalue().strip(), output)


class Network(unittest.TestCase):
    """The forwarder, and the search for an engine."""

    def setUp(self):
        """Starts a server on loopback that answers with what it got, and an engine's answers."""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tearDown(self):
        """Stops the server."""
        self.server.shutdown()
        self.server.server_close()

    def test_a_port_is_forwarded_only_during_the_call_and_only_to_its_network(self):
        def ask():
            with socket.create_connection(("127.0.0.2", self.port), 5) as client:
                client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return client.makefile("rb").read()

        with Forwarder("127.0.0.2", "127.0.0.0/8", {self.port}):
            self.assertTrue(ask().endswith(b"OK"))
            with Forwarder("127.0.0.2", "127.0.0.0/8", {self.port}):  # of another call
                self.assertTrue(ask().endswith(b"OK"))
            self.assertTrue(ask().endswith(b"OK"))
        with self.assertRaises(ConnectionRefusedError):
            ask()
        with Forwarder("127.0.0.2", "10.0.0.0/8", {self.port}):
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(ask(), b"")

    def test_an_address_of_another_machine_is_no_reason_to_fail(self):
        with self.assertRaises(OSError) as raised, Forwarder("192.0.2.1", "192.0.2.0/24", {1234}):
            pass
        self.assertTrue(is_foreign(raised.exception))

    def test_an_engine_is_found_if_it_answers(self):
        engine, _ = docker_engine.find({"DOCKER_HOST": f"tcp://127.0.0.1:{self.port}"})
        self.assertEqual(engine.bridge(), docker_engine.Bridge("172.17.0.1", "172.17.0.0/16"))
        self.assertFalse(engine.has_image("missing"))
        for host in ("unix:///nowhere", "ssh://somewhere", "tcp://127.0.0.1:1"):
            engine, reason = docker_engine.find({"DOCKER_HOST": host})
            self.assertIsNone(engine)
            self.assertIn(host, reason)


class Engine(http.server.BaseHTTPRequestHandler):
    """Answers like a Docker engine."""

    answers = {
        "/_ping": b"OK",
        "/networks/bridge": b'{"IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}}',
    }

    def do_GET(self):
        """Answers with 404 to every other path."""
        body = self.answers.get(self.path)
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body or b"{}")

    def log_message(self, *_):
        """Prints nothing."""


if __name__ == "__main__":
    unittest.main()
