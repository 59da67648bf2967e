"""Invokes all six functions on the running stack with `make invoke`, and checks the rows.

    infra/local/python infra/local/invocations.py

With a Docker engine it does so twice, in containers and in the emulator; without one, only in the
emulator, and it prints NOT TESTED WITH DOCKER. The caller has credentials and an endpoint of its
own meanwhile; nothing may call that endpoint.
"""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request

import access
import docker_engine
import invoke_subject
from invoke import FUNCTIONS, ROOT
from processes import bypass_proxy, free_port
from running_stack import RunningStack
from sam_local import HOST

HELD = ("Dispatch", "Send", "Recheck", "Notify")
SETTINGS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")
CHOICES = ("EVENT", "ID", "BATCH")  # of the caller, for another invocation
ROUTE_WAIT_S = 60


def check(what, found, expected):
    """Exits unless a value is as expected."""
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, expected {expected!r}")


@contextlib.contextmanager
def trap():
    """Yields the environment of a shell with its own AWS settings; nothing may use them."""
    calls = []

    class Caught(http.server.BaseHTTPRequestHandler):
        def handle_one_request(self):
            calls.append(self.client_address)
            self.close_connection = True

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Caught)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    yield {
        **{name: value for name, value in os.environ.items() if name not in CHOICES},
        "AWS_ACCESS_KEY_ID": "AKIANOTATEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-test",
        "AWS_SESSION_TOKEN": "not-a-test",
        "AWS_PROFILE": "there-is-no-such-profile",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_SQS": endpoint,
    }
    server.shutdown()
    check("calls with the settings of the shell", calls, [])


@contextlib.contextmanager
def reliable_carrier(stack):
    """Lets the simulator deliver every message at once; restores its settings."""
    url = stack.values["CARRIER_URL"].removesuffix("/api") + "/settings"
    perfect = {"undeliv": 0, "expired": 0, "odd": 0}
    perfect |= {"delivery_delay_ms_min": 0, "delivery_delay_ms_max": 0}
    before = access.request(url, method="GET")
    access.request(url, None, perfect, "PATCH")
    try:
        yield
    finally:
        access.request(url, None, {name: before[name] for name in perfect}, "PATCH")


class Run:
    """One run of all functions with one engine."""

    def __init__(self, stack, environment, engine):
        self.stack = stack
        self.environment = environment | {"ENGINE": engine}
        self.engine = engine

    def invoke(self, function, **variables):
        """Runs `make invoke`; returns (the answer, what it printed beside)."""
        given = [f"{name}={value}" for name, value in variables.items()]
        started = time.monotonic()
        done = subprocess.run(
            ["make", "--silent", "invoke", f"FN={function}", *given],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{function} failed\n{done.stdout}\n{done.stderr}")
        print(f"{self.engine:8} {function:8} {time.monotonic() - started:4.1f} s", flush=True)
        return json.loads(done.stdout), done.stderr

    def row(self, sql):
        """Returns the columns of the only row of a query."""
        rows = self.stack.rows(sql)
        check(f"rows of {sql}", len(rows), 1)
        return rows[0]

    def statuses(self, key):
        """Returns [number, status] of the recipients of a schedule."""
        counted = "SELECT COUNT(*), status FROM recipients WHERE schedule_id ="
        return self.stack.rows(f"{counted} {key} GROUP BY status")

    def named(self):
        """Invokes each function for one schedule, while the stack itself does nothing with it."""
        with contextlib.ExitStack() as until_end:
            until_end.enter_context(invoke_subject.webhook(self.stack))
            for name in HELD:
                until_end.enter_context(self.stack.held(name))
            lead = int(self.stack.values["DISPATCH_LEAD_S"])
            made = invoke_subject.new_schedule(self.stack, lead)
            key = invoke_subject.as_key(made)
            self.cut(made, key)
            self.deliver(made, key)
            self.send(made, key)
            self.recheck(made, key)

    def cut(self, made, key):
        """Dispatch cuts the schedule."""
        columns = "status, COALESCE(batch_count, 0), COALESCE(dispatched_by, 'nobody')"
        rows = f"SELECT {columns} FROM schedules WHERE id = {key}"
        check("before dispatch", self.row(rows), ["scheduled", "0", "nobody"])
        self.invoke("dispatch", ID=made)
        check("after dispatch", self.row(rows), ["running", "1", "eventbridge"])

    def deliver(self, made, key):
        """Notify posts the event of the start to a webhook."""
        columns = "status, tries, COALESCE(http_status, 0)"
        rows = f"SELECT {columns} FROM webhook_deliveries WHERE schedule_id = {key}"
        check("before notify", self.row(rows), ["pending", "0", "0"])
        self.invoke("notify", ID=made)
        check("after notify", self.row(rows), ["delivered", "1", "204"])

    def send(self, made, key):
        """Send sends the batch."""
        due = f"SELECT 1 FROM batches WHERE schedule_id = {key}"
        self.stack.wait_for(f"{due} AND send_at <= UTC_TIMESTAMP(3) + INTERVAL 2 SECOND")
        check("before send", self.statuses(key), [["2", "PENDING"]])
        self.invoke("send", ID=made, BATCH=1)
        check("after send", self.statuses(key), [["2", "ACCEPTD"]])

    def recheck(self, made, key):
        """Recheck asks for the statuses."""
        rows = f"SELECT checks FROM batches WHERE schedule_id = {key}"
        self.stack.wait_for(f"{rows} AND check_at <= UTC_TIMESTAMP(3)")
        check("before recheck", self.row(rows), ["0"])
        self.invoke("recheck", ID=made)
        check("after recheck", self.row(rows), ["1"])
        check("after recheck", self.statuses(key), [["2", "DELIVRD"]])

    def api_and_migrate(self):
        """The API answers and creates a schedule; migrate names the applied migrations."""
        answer, _ = self.invoke("api")
        check("health", answer["statusCode"], 200)
        answer, _ = self.invoke("api", EVENT="infra/events/schedule.json")
        check("POST /v1/schedules", answer["statusCode"], 201)
        made = json.loads(answer["body"])["id"]
        key = invoke_subject.as_key(made)
        rows = f"SELECT status, recipient_count FROM schedules WHERE id = {key}"
        check("the new schedule", self.row(rows), ["scheduled", "2"])
        self.stack.call("POST", f"/v1/schedules/{made}/cancel")
        answer, _ = self.invoke("migrate")
        applied = self.stack.rows("SELECT version FROM _sqlx_migrations WHERE success ORDER BY 1")
        check("migrations", [[str(version)] for version in answer["versions"]], applied)

    def made_for_the_call(self):
        """Without ID, each sample has something to do as well."""
        for name in map(str.lower, HELD):
            _, printed = self.invoke(name)
            if "invoke: before:" not in printed or "invoke: after:" not in printed:
                raise SystemExit(f"{name} did nothing without ID\n{printed}")

    def start_api(self, engine):
        """`make start-api` serves the API, in a container that knows only the emulator."""
        port = free_port()
        server = subprocess.Popen(
            ["make", "--silent", "start-api", f"PORT={port}"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            answer = first_answer(f"http://127.0.0.1:{port}/health")
            found = self.aws_settings(engine)
        finally:
            os.killpg(server.pid, 2)  # like Ctrl-C
            printed = server.communicate(timeout=60)[1]
        if not answer or json.loads(answer)["status"] != "ok":
            raise SystemExit(f"make start-api: {answer!r} from /health\n{printed}")
        endpoint = self.stack.endpoint.replace("localhost", HOST)
        settings = ("test", "test", endpoint)
        check("the settings of the container", found, [settings])
        print(f"{self.engine:8} start-api", flush=True)

    def aws_settings(self, engine):
        """Returns the credentials and the endpoint in each container of the function Api."""
        found = []
        for container in json.loads(engine.get("/containers/json")[1]):
            inspected = json.loads(engine.get(f"/containers/{container['Id']}/json")[1])
            variables = dict(entry.split("=", 1) for entry in inspected["Config"]["Env"])
            if variables.get("JWT_KEYS") == self.stack.values["JWT_KEYS"]:
                found.append(tuple(variables.get(name) for name in SETTINGS))
        return found


def first_answer(url):
    """Returns the body of the first answer with 200; None if there is none for a minute."""
    deadline = time.monotonic() + ROUTE_WAIT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read()
        time.sleep(0.5)
    return None


def main():
    """Runs everything with each engine that there is."""
    started = time.monotonic()
    bypass_proxy()
    stack = RunningStack(ROOT / (os.environ.get("STATE") or ".local"))
    engine, reason = docker_engine.find()
    with trap() as environment, reliable_carrier(stack):
        for name in ["docker", "emulator"] if engine else ["emulator"]:
            run = Run(stack, environment, name)
            run.api_and_migrate()
            run.named()
            run.made_for_the_call()
            if name == "docker":
                run.start_api(engine)
    seconds = time.monotonic() - started
    print(f"{len(FUNCTIONS)} functions invoked, their rows are as expected ({seconds:.0f} s)")
    if not engine:
        print(f"NOT TESTED WITH DOCKER: {reason}")


if __name__ == "__main__":
    sys.exit(main())
