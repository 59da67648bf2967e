"""Manages the local stack: `up`, `down`, `status`, `logs`, `database` (starts only the database),
`version`, `restart-database` and `admin` (creates an administrator account). The Makefile and the
scripts test, demo, chaos, conformance and security call it.

`up` starts whatever does not run, then builds and deploys whatever changed. All files are in the
folder STATE (default .local), so that stacks with different folders are independent. FAULTS=1 adds
the fault injection of faults.py. AUTH=1 lets the emulator evaluate IAM policies (emulator_iam.py).
"""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from botocore.exceptions import ClientError

import access
import build
import deploy
import emulator
import logs
import status
from database import FAST, FAST_AND_KILLED, NAME, Database, with_name
from faults import Faults
from processes import Processes, alone, bypass_proxy, free_port, listening

ROOT = Path(__file__).resolve().parents[2]
STARTED = time.monotonic()
# The simulator's settings for a demo: some latency, delayed deliveries, and failed messages. The
# tests use SIMULATOR_SETTINGS={}, a carrier without delays or failures.
REALISTIC_CARRIER = json.dumps(
    {
        "latency_ms": 40,
        "latency_jitter_ms": 40,
        "delivery_delay_ms_min": 500,
        "delivery_delay_ms_max": 4000,
        "undeliv": 0.02,
        "expired": 0.005,
        "odd": 0.01,
    }
)
USAGE = (
    "usage: stack.py up | down | status | logs | version | restart-database"
    " | database NAME | admin NAME"
)


def progress(text):
    """Prints a line of progress, with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


def health(api):
    """Returns the body of GET /health if the API responds with 200, otherwise None."""
    with contextlib.suppress(OSError, ValueError):
        with urllib.request.urlopen(f"{api}/health?deep=true", timeout=5) as answer:
            body = json.load(answer)
        # The emulator has endpoints of the same name; only the body of the API contains a commit.
        return body if body.get("status") == "ok" and "commit" in body else None
    return None


def commit():
    """Returns the commit of the working tree, "none" outside of a repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "none"


class Stack:
    """The local stack of one state folder."""

    def __init__(self, state):
        self.state = state
        self.processes = Processes(state)
        self.file = state / "stack.json"
        # The choices of an earlier `up` (database, ports) apply until `down`.
        self.facts = json.loads(self.file.read_text()) if self.file.exists() else {}
        if "given" in self.facts:
            os.environ["DATABASE_URL"] = self.facts["given"]
        elif self.facts:
            os.environ.pop("DATABASE_URL", None)
        kind = self.facts.get("database") or os.environ.get("DB") or "mariadb"
        self.kind = kind
        requested = bool(os.environ.get("FAULTS"))
        self.faults = Faults(self) if self.facts.get("faults", requested) else None
        self.with_iam = self.facts.get("with_iam", bool(os.environ.get("AUTH")))
        flags = (
            (FAST_AND_KILLED if self.faults else FAST) if os.environ.get("FAST_DATABASE") else []
        )
        self.database = Database(self.processes, kind, flags)
        self.profile = os.environ.get("PROFILE") or self.facts.get("profile") or "dev"

    def reject_conflicts(self, wanted_kind, wanted_url):
        """Exits if the request is invalid or conflicts with the choices of an earlier `up`."""
        if wanted_kind not in (None, "", "mariadb", "mysql"):
            raise SystemExit(f"DB={wanted_kind}: expected mariadb or mysql")
        if self.profile not in build.FOLDERS:
            raise SystemExit(f"PROFILE={self.profile}: expected {' or '.join(build.FOLDERS)}")
        if self.faults and self.profile == build.DEPLOYED:
            raise SystemExit(f"PROFILE={self.profile}: a deployed binary has no fault points")
        if self.facts and (wanted_kind or self.kind) != self.kind:
            raise SystemExit(f"this stack runs on {self.kind}: run `make down` first")
        if self.facts and wanted_url and wanted_url != self.facts.get("given"):
            raise SystemExit(
                "this stack does not use the database of DATABASE_URL: run `make down` first"
            )
        if os.environ.get("FAULTS") and not self.faults:
            raise SystemExit("this stack runs without FAULTS: run `make down` first")
        if os.environ.get("AUTH") and not self.with_iam:
            raise SystemExit("this stack runs without AUTH: run `make down` first")

    def remember(self, **facts):
        """Saves choices for later calls."""
        self.facts |= facts
        access.write_private(self.file, json.dumps(self.facts, indent=1))

    def start_database(self):
        """Starts only the database server; returns the administrator's URL."""
        admin = self.database.start()
        given = {"given": admin} if self.database.kind == "given" else {}
        choices = {"faults": bool(self.faults), "with_iam": self.with_iam}
        self.remember(database=self.kind, **choices, **given)
        return admin

    def with_database(self, name):
        """Starts only the database server and creates a database; returns its URL."""
        if not name.startswith("sms_"):
            raise SystemExit(f"{name}: expected a database name that starts with sms_")
        admin = self.start_database()
        if self.database.create(name):
            self.remember(created=[*self.facts.get("created", []), name])
        return with_name(admin, name)

    def up(self):
        """Starts everything; returns when GET /health succeeds and an API key exists."""
        self.with_database(NAME)
        self.remember(profile=self.profile)
        progress(f"database   {self.database.version()}")
        inherited = self.faults.functions_environment() if self.faults else {}
        fresh = emulator.start(self.processes, inherited, self.with_iam)
        endpoint = emulator.endpoint(self.processes.known["emulator"]["port"])
        progress(f"emulator   {endpoint}{', evaluates IAM policies' if self.with_iam else ''}")
        build.run(self.profile, bool(self.faults))
        progress(f"build      profile {self.profile}{' with fault points' if self.faults else ''}")
        carrier = self.carrier()
        progress(f"carrier    {carrier}")
        outputs = self.deploy(carrier, fresh)
        api = self.gateway(outputs["ApiId"])
        self.wait_for_health(api)
        key = access.api_key(self, api, outputs["MigrateFunction"])
        self.write_environment(carrier, api, key, outputs)
        progress(f"ready      {api}  {json.dumps(health(api))}")
        progress(f"           settings: {self.state / 'stack.env'}")
        login = f"{access.ADMIN}, with the password in {self.state / 'admin.json'}"
        progress(f"console    {api}/console  log in as {login}")

    def wait_for_health(self, api):
        """Waits until GET /health succeeds through gateway, emulator and function."""
        deadline = time.monotonic() + 30
        while health(api) is None:
            if time.monotonic() > deadline or not self.processes.running("gateway"):
                error = f"GET {api}/health did not succeed"
                tails = map(self.processes.tail, ("emulator", "gateway"))
                raise SystemExit("\n".join([error, logs.tail(self.processes, "api"), *tails]))
            time.sleep(0.1)

    def carrier(self):
        """Returns the carrier's URL: the given one, or that of the simulator, which it starts."""
        given = os.environ.get("CARRIER_URL") or self.facts.get("carrier")
        if given:
            self.processes.stop("simulator")
            self.remember(carrier=given)
            return given
        requested = os.environ.get("SIMULATOR_PORT")
        port = self.keep_running("simulator", requested, lambda port: [])
        return f"http://127.0.0.1:{port}/api"

    def restart_database(self):
        """Kills the database server and starts it again; open transactions are lost."""
        progress(f"database   {self.database.restart()} restarted")

    def keep_running(self, name, wanted_port, arguments, program=None):
        """Starts a program of this workspace; restarts it after a new build. Returns its port."""
        binary = build.FOLDERS[self.profile] / (program or name)
        built = [str(binary), binary.stat().st_mtime_ns, *arguments(0)]
        entry = self.processes.known.get(name, {})
        port = entry.get("port") or free_port(wanted_port)
        if not self.processes.running(name) or entry.get("built") != built:
            self.processes.stop(name)
            env = {
                "SIMULATOR_SETTINGS": REALISTIC_CARRIER,
                **os.environ,
                "SIMULATOR_PORT": str(port),
            }
            self.processes.start(name, [binary, *arguments(port)], env=env, port=port, built=built)
            self.processes.wait_until(name, lambda: listening(port), 20)
        return port

    def deploy(self, carrier, fresh):
        """Deploys and migrates if the running stack differs; returns the stack's outputs."""
        # Settings apply until `down`, like the database and the carrier: `make demo` keeps the
        # settings of `make up SEND_IN_FLIGHT=500`.
        self.remember(settings=self.facts.get("settings", {}) | deploy.given_settings())
        urls = self.database.urls()
        if self.faults:
            urls, carrier = self.faults.database(urls[0], urls), self.faults.carrier(carrier)
        values = deploy.parameters(
            urls, self.database.app_user(), self.keys(), carrier, commit(), self.facts["settings"]
        )
        folder = build.functions_folder(bool(self.faults))
        deployment = deploy.Deployment(self.processes, values, folder)
        if fresh:
            deployment.forget()
        deployed = deployment.deployed()
        if deployed.get("digest") == deployment.digest():
            deployment.set_sources()
            progress("deployment unchanged")
            return deployed["outputs"]
        outputs = deployment.run()
        progress(f"deployment template.yaml as {deploy.STACK}")
        progress(f"migrate    {self.migrate(outputs['MigrateFunction'])}")
        deployment.confirm()
        return outputs

    def keys(self):
        """Returns the signing keys and the callback secret, which it creates once."""
        keys = {
            name: self.facts.get(name) or access.signing_keys()
            for name in ("jwt_keys", "webhook_keys")
        }
        secret = self.facts.get("callback_secrets") or access.callback_secrets()
        keys["callback_secrets"] = secret
        self.remember(**keys)
        return keys

    def migrate(self, function):
        """Invokes the function migrate; returns its response."""
        client = emulator.client(self.processes, "lambda")
        answer = client.invoke(FunctionName=function, Payload=b"{}")
        body = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            tail = logs.tail(self.processes, "migrate")
            raise SystemExit(f"the migration failed: {body}\n{tail}")
        return body

    def gateway(self, api_id):
        """Starts the proxy of the HTTP API, which has a fixed port and a URL without a path."""
        endpoint = emulator.endpoint(self.processes.known["emulator"]["port"])
        target = f"{endpoint}/_aws/execute-api/{api_id}/%24default"
        usual = "8480" if self.state == ROOT / ".local" else None
        wanted = os.environ.get("API_PORT") or usual

        def arguments(port):
            return [str(port), target] if port else [target]

        port = self.keep_running("gateway", wanted, arguments)
        if wanted and str(port) != wanted:
            progress(f"port {wanted} is in use")
        return f"http://127.0.0.1:{port}"

    def write_environment(self, carrier, api, key, outputs):
        """Writes <state>/stack.env, a file of shell variables for clients, tests and operators."""
        admin, settings = self.database.urls()[0], self.facts["settings"]
        values = {
            "API_URL": api,
            "API_KEY": key,
            "JWT_KEYS": self.facts["jwt_keys"],  # for tests, which forge tokens
            "CALLBACK_SECRETS": self.facts[
                "callback_secrets"
            ],  # for tests, and for a simulator that pushes receipts
            "WEBHOOK_KEYS": self.facts["webhook_keys"],  # for tests, which verify signatures
            "DATABASE_URL": admin,  # the administrator's, who may read all tables
            "CARRIER_URL": carrier,
            "PROFILE": self.profile,
            "AWS_ENDPOINT_URL": emulator.endpoint(self.processes.known["emulator"]["port"]),
            **emulator.CREDENTIALS,
            "DISPATCH_LEAD_S": settings.get("DISPATCH_LEAD_S", deploy.LOCAL["DISPATCH_LEAD_S"][1]),
            **{name: settings.get(name, "") for name in ("OIDC_ISSUER", "OIDC_AUDIENCE")},
        }
        for name, value in outputs.items():
            if name not in ("ApiUrl", "ApiId"):
                values[deploy.variable_name(name)] = value
        for name, entry in self.processes.known.items():
            values[f"{name.upper().replace('-', '_')}_PID"] = str(entry["pid"])
        if self.faults:
            values |= self.faults.environment()
        if self.with_iam:
            values["AUTH"] = "1"
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
        access.write_private(self.state / "stack.env", "".join(lines))

    def admin(self, name):
        """Creates or restores an administrator; prints the password for the first login."""
        deployed = self.state / "deployed.json"
        if not deployed.exists() or not self.processes.running("emulator"):
            raise SystemExit("the stack does not run: run `make up` first")
        function = json.loads(deployed.read_text())["outputs"]["MigrateFunction"]
        admin = access.create_admin(self.processes, function, name)
        print(f"username            {admin['username']}")
        print(f"temporary password  {admin['temporary_password']}")

    def down(self):
        """Stops every process and removes all data, also the databases on a given server."""
        for name in ("gateway", "emulator", "proxy-carrier", "proxy-database", "simulator"):
            self.processes.stop(name)
        for name in self.facts.get("created", []) if self.database.kind == "given" else []:
            self.database.drop(name)
        self.processes.stop("database")
        self.database.remove()
        shutil.rmtree(self.state)

    def status(self):
        """Prints one line per process; returns whether everything runs."""
        for name, entry in self.processes.known.items():
            state = "running" if self.processes.running(name) else "stopped"
            print(f"{name:14} {state:8} pid {entry['pid']:<8} port {entry.get('port', '')}")
        api = self.processes.known.get("gateway")
        answer = api and health(f"http://127.0.0.1:{api['port']}")
        print(f"health         {json.dumps(answer) if answer else 'no response'}")
        return bool(answer) and all(map(self.processes.running, self.processes.known))


def main():
    """Executes the command of the command line."""
    bypass_proxy()
    state = ROOT / os.environ.get("STATE", ".local")
    command, *names = sys.argv[1:] or [None]
    if command == "status" and not state.exists():
        raise SystemExit("the stack does not run")
    if command == "status":
        runs = Stack(state).status()
        if runs:
            status.show(state)
        raise SystemExit(0 if runs else 1)
    if command == "logs":
        if any(os.environ.get(name) for name in ("QUERY", "SCHEDULE", "WEBHOOK")):
            logs.query(Processes(state), os.environ)
            return
        with contextlib.suppress(KeyboardInterrupt):
            logs.follow(Processes(state))
        return
    known = ("up", "down", "database", "version", "restart-database", "admin")
    if command not in known or len(names) != (command in ("database", "admin")):
        raise SystemExit(USAGE)
    with alone(state):
        requested = os.environ.get("DB"), os.environ.get("DATABASE_URL")
        stack = Stack(state)
        if command in ("up", "database"):
            stack.reject_conflicts(*requested)
        if command == "database":
            print(stack.with_database(*names))
        elif command == "version":
            print(stack.database.version())
        else:
            try:
                getattr(stack, command.replace("-", "_"))(*names)
            except (ClientError, RuntimeError, OSError) as error:
                raise SystemExit(f"{type(error).__name__}: {error}") from error


if __name__ == "__main__":
    main()
