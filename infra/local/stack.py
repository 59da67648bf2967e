"""The local stack: `up`, `down`, `status`, `logs`, `database` (only that), `version`, `restart-database`, `admin` (a person who may do
everything). Called by the Makefile, and by test, demo, chaos and security.

`up` brings what is wanted and what runs together: nothing running → all is started; half of it dead → the rest is; a healthy
stack → only what changed since is built and deployed. Everything lives in the folder STATE (default .local), so two stacks
with two folders don't know of each other. FAULTS=1 adds what faults.py has.
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
from database import FAST, FAST_AND_KILLED, NAME, Database, with_name
from faults import Faults
from processes import Processes, alone, free_port, listening

ROOT = Path(__file__).resolve().parents[2]
BEGUN = time.monotonic()
# The simulator as a demo wants it: some latency, a delivery that takes a while, and messages that fail. SIMULATOR_SETTINGS={} is a
# perfect carrier, which the tests take.
LIFELIKE = json.dumps({
    "latency_ms": 40, "latency_jitter_ms": 40, "delivery_delay_ms_min": 500, "delivery_delay_ms_max": 4000,
    "undeliv": 0.02, "expired": 0.005, "odd": 0.01,
})
USAGE = "stack.py up | down | status | logs | version | restart-database | database NAME | admin NAME"


def say(text):
    """A line of progress, with the seconds since the start."""
    print(f"{time.monotonic() - BEGUN:6.1f} s  {text}", flush=True)


def health(api):
    """Our own GET /health's body, if it answers 200 with one."""
    with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(f"{api}/health", timeout=5) as answer:
        body = json.load(answer)
        # The emulator answers some paths of this name itself; ours says "ok" and names its commit.
        return body if body.get("status") == "ok" and "commit" in body else None
    return None


class Stack:
    """What runs, or should, for one state folder."""

    def __init__(self, state):
        self.state = state
        self.processes = Processes(state)
        self.file = state / "stack.json"
        # What an earlier `up` decided (which database, which ports) holds until `down`.
        self.facts = json.loads(self.file.read_text()) if self.file.exists() else {}
        if "given" in self.facts:
            os.environ["DATABASE_URL"] = self.facts["given"]
        elif self.facts:
            os.environ.pop("DATABASE_URL", None)
        kind = self.facts.get("database") or os.environ.get("DB") or "mariadb"
        self.kind = kind
        wanted = bool(os.environ.get("FAULTS"))
        self.faults = Faults(self) if self.facts.get("faults", wanted) else None
        flags = (FAST_AND_KILLED if self.faults else FAST) if os.environ.get("FAST_DATABASE") else []
        self.database = Database(self.processes, kind, flags)
        self.profile = os.environ.get("PROFILE") or self.facts.get("profile") or "dev"

    def refuse_what_cannot_be(self, wanted_kind, wanted_url):
        """A running stack keeps its database; anything else that is asked for is said to be impossible before it is begun."""
        if wanted_kind not in (None, "", "mariadb", "mysql"):
            raise SystemExit(f"DB={wanted_kind}: expected mariadb or mysql")
        if self.profile not in build.FOLDERS:
            raise SystemExit(f"PROFILE={self.profile}: expected {' or '.join(build.FOLDERS)}")
        if self.facts and (wanted_kind or self.kind) != self.kind:
            raise SystemExit(f"this stack runs on {self.kind}: `make down` first")
        if self.facts and wanted_url and wanted_url != self.facts.get("given"):
            raise SystemExit("this stack runs on another database than DATABASE_URL: `make down` first")
        if os.environ.get("FAULTS") and not self.faults:
            raise SystemExit("this stack runs without FAULTS: `make down` first")

    def remember(self, **facts):
        """Keep decisions for the next call."""
        self.facts |= facts
        access.private(self.file, json.dumps(self.facts, indent=1))

    def start_database(self):
        """Start the database server only; returns its administrator's URL."""
        admin = self.database.start()
        self.remember(database=self.kind, faults=bool(self.faults), **({"given": admin} if self.database.kind == "given" else {}))
        return admin

    def with_database(self, name):
        """Start the database server only, with a database of this name; returns the administrator's URL of it."""
        if not name.startswith("sms_"):
            raise SystemExit(f"{name}: only databases named sms_* are ours")
        admin = self.start_database()
        if self.database.create(name):
            self.remember(created=[*self.facts.get("created", []), name])
        return with_name(admin, name)

    def up(self):
        """Bring all up, and end when GET /health answered through API_URL and there is a key for the rest."""
        self.with_database(NAME)
        self.remember(profile=self.profile)
        say(f"database   {self.database.version()}")
        fresh = emulator.start(self.processes, self.faults.functions_environment() if self.faults else {})
        say(f"emulator   {emulator.endpoint(self.processes.known['emulator']['port'])}")
        build.run(self.profile, bool(self.faults))
        say(f"build      profile {self.profile}{' with fault points' if self.faults else ''}")
        carrier = self.carrier()
        say(f"carrier    {carrier}")
        outputs = self.deploy(carrier, fresh)
        api = self.gateway(outputs["ApiId"])
        self.wait_for_health(api)
        key = access.api_key(self, api, outputs["MigrateFunction"])
        self.write_environment(carrier, api, key, outputs)
        say(f"ready      {api}  {json.dumps(health(api))}")
        say(f"           its settings: {self.state / 'stack.env'}")

    def wait_for_health(self, api):
        """Until our own body comes through gateway, emulator and function."""
        deadline = time.monotonic() + 30
        while health(api) is None:
            if time.monotonic() > deadline or not self.processes.running("gateway"):
                what = f"GET {api}/health did not answer as it should"
                raise SystemExit("\n".join([what, logs.tail(self.processes, "api"), *map(self.processes.tail, ("emulator", "gateway"))]))
            time.sleep(0.1)

    def carrier(self):
        """The carrier's URL: the one given, else the simulator's, started here."""
        given = os.environ.get("CARRIER_URL") or self.facts.get("carrier")
        if given:
            self.processes.stop("simulator")
            self.remember(carrier=given)
            return given
        port = self.keep_running("simulator", os.environ.get("SIMULATOR_PORT"), lambda port: [])
        return f"http://127.0.0.1:{port}/api"

    def restart_database(self):
        """Kill the database's server and start it again: what is committed is there, what is open is lost."""
        say(f"database   {self.database.restart()} again")

    def keep_running(self, name, wanted_port, arguments, program=None):
        """Start our own program on a port that it keeps, and again when it was built anew; returns the port."""
        binary = build.FOLDERS[self.profile] / (program or name)
        built = [str(binary), binary.stat().st_mtime_ns, *arguments(0)]
        entry = self.processes.known.get(name, {})
        port = entry.get("port") or free_port(wanted_port)
        if not self.processes.running(name) or entry.get("built") != built:
            self.processes.stop(name)
            env = {"SIMULATOR_SETTINGS": LIFELIKE, **os.environ, "SIMULATOR_PORT": str(port)}
            self.processes.start(name, [binary, *arguments(port)], env=env, port=port, built=built)
            self.processes.wait_until(name, lambda: listening(port), 20)
        return port

    def deploy(self, carrier, fresh):
        """Deploy and migrate if anything differs from what runs; returns the stack's outputs."""
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip() or "none"
        # Settings hold until `down`, as a database and a carrier do: `make demo` runs on what `make up SEND_IN_FLIGHT=5` made.
        self.remember(settings=self.facts.get("settings", {}) | deploy.given_settings())
        urls = self.database.urls()
        if self.faults:
            urls, carrier = self.faults.database(urls[0], urls), self.faults.carrier(carrier)
        keys = {name: self.facts.get(name) or access.signing_keys() for name in ("jwt_keys", "webhook_keys")}
        keys["callback_secrets"] = self.facts.get("callback_secrets") or access.callback_secrets()
        self.remember(**keys)
        values = deploy.parameters(urls, self.database.app_user(), keys, carrier, commit, self.facts["settings"])
        deployment = deploy.Deployment(self.processes, values, build.functions_folder(bool(self.faults)))
        if fresh:
            deployment.forget()
        there = deployment.deployed()
        if there.get("digest") == deployment.wanted():
            say("deployment unchanged")
            return there["outputs"]
        outputs = deployment.run()
        say(f"deployment template.yaml as {deploy.STACK}")
        answer = emulator.client(self.processes, "lambda").invoke(FunctionName=outputs["MigrateFunction"], Payload=b"{}")
        body = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            raise SystemExit(f"the migration failed: {body}\n{logs.tail(self.processes, 'migrate')}")
        deployment.confirm()
        say(f"migrate    {body}")
        return outputs

    def gateway(self, api_id):
        """The proxy in front of the HTTP API: a fixed port, and no path in its URL."""
        target = f"{emulator.endpoint(self.processes.known['emulator']['port'])}/_aws/execute-api/{api_id}/%24default"
        wanted = os.environ.get("API_PORT") or ("8480" if self.state == ROOT / ".local" else None)
        port = self.keep_running("gateway", wanted, lambda port: [str(port), target] if port else [target])
        if wanted and str(port) != wanted:
            say(f"port {wanted} was taken")
        return f"http://127.0.0.1:{port}"

    def write_environment(self, carrier, api, key, outputs):
        """<state>/stack.env: what a client, a test or a person needs; readable by a shell, and by its owner alone."""
        admin = self.database.urls()[0]
        values = {
            "API_URL": api,
            "API_KEY": key,
            "JWT_KEYS": self.facts["jwt_keys"],  # for tests, which forge tokens with them
            "CALLBACK_SECRETS": self.facts["callback_secrets"],  # for tests, and for a simulator that pushes receipts
            "WEBHOOK_KEYS": self.facts["webhook_keys"],  # for tests, which verify what is signed with them
            "DATABASE_URL": admin,  # the administrator's: it reads everything
            "CARRIER_URL": carrier,
            "PROFILE": self.profile,
            "AWS_ENDPOINT_URL": emulator.endpoint(self.processes.known["emulator"]["port"]),
            **emulator.CREDENTIALS,
            "DISPATCH_LEAD_S": self.facts["settings"].get("DISPATCH_LEAD_S", deploy.LOCAL["DISPATCH_LEAD_S"][1]),
            **{name: self.facts["settings"].get(name, "") for name in ("OIDC_ISSUER", "OIDC_AUDIENCE")},
            **{deploy.shouted(name): value for name, value in outputs.items() if name not in ("ApiUrl", "ApiId")},
            **{f"{name.upper().replace('-', '_')}_PID": str(entry["pid"]) for name, entry in self.processes.known.items()},
            **(self.faults.environment() if self.faults else {}),
        }
        access.private(self.state / "stack.env", "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))

    def admin(self, name):
        """Make somebody an admin of the running stack, or one again; says the password with which to log in first."""
        deployed = self.state / "deployed.json"
        if not deployed.exists() or not self.processes.running("emulator"):
            raise SystemExit("nothing runs: `make up` first")
        made = access.person(self.processes, json.loads(deployed.read_text())["outputs"]["MigrateFunction"], name)
        print(f"username            {made['username']}\ntemporary password  {made['temporary_password']}")

    def down(self):
        """End every process, and remove all that was made, a database on a given server included."""
        for name in ("gateway", "emulator", "proxy-carrier", "proxy-database", "simulator"):
            self.processes.stop(name)
        for name in self.facts.get("created", []) if self.database.kind == "given" else []:
            self.database.drop(name)
        self.processes.stop("database")
        shutil.rmtree(self.state)

    def status(self):
        """A line for each process; whether all is well."""
        for name, entry in self.processes.known.items():
            state = "running" if self.processes.running(name) else "dead"
            print(f"{name:14} {state:8} pid {entry['pid']:<8} port {entry.get('port', '')}")
        api = self.processes.known.get("gateway")
        answer = api and health(f"http://127.0.0.1:{api['port']}")
        print(f"health         {json.dumps(answer) if answer else 'no answer'}")
        return bool(answer) and all(map(self.processes.running, self.processes.known))


def main():
    """Run the one command that was named."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost", "127.0.0.1"]))
    state = ROOT / os.environ.get("STATE", ".local")
    command, *names = sys.argv[1:] or [None]
    if command == "status" and not state.exists():
        raise SystemExit("nothing runs")
    if command == "status":
        raise SystemExit(0 if Stack(state).status() else 1)
    if command == "logs":
        with contextlib.suppress(KeyboardInterrupt):
            logs.follow(Processes(state))
        return
    known = ("up", "down", "database", "version", "restart-database", "admin")
    if command not in known or len(names) != (command in ("database", "admin")):
        raise SystemExit(USAGE)
    with alone(state):
        wanted = os.environ.get("DB"), os.environ.get("DATABASE_URL")
        stack = Stack(state)
        if command in ("up", "database"):
            stack.refuse_what_cannot_be(*wanted)
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
