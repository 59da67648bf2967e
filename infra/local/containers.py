"""Builds the images of the Dockerfile and checks that each function answers in its image.

    DATABASE_URL=mysql://… infra/local/python infra/local/containers.py

infra/local/containers starts an empty database for it. Each function is started with the runtime
interface emulator that its base image contains. migrate creates the tables, and then each other
function gets one event with nothing to do. Without DATABASE_URL only migrate is started, which must
answer that it found no database: the other functions need one to start.

Without a Docker engine the binaries of target/lambda get the same events under the emulator that
the SAM CLI contains, and the output says that no image was built.
"""

import contextlib
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import build
import functions as described
import template as templates
from emulator import CREDENTIALS
from processes import free_port, listening

ROOT = Path(__file__).resolve().parents[2]
HEALTH = ROOT / "infra" / "events" / "health.json"
PATH = "/2015-03-31/functions/function/invocations"
START_S = 30
DEVELOPER = "dev"  # the target with the environment of a developer
KEYS = json.dumps({"kid": "image", "key": "a key that signs nothing, of 32 characters or more"})
NOWHERE = "127.0.0.1:9"  # nothing listens on this port, so that a connection is refused at once
GIVEN_DATABASE = os.environ.get("DATABASE_URL")
VALUES = {
    "{database}": GIVEN_DATABASE or f"mysql://nobody:none@{NOWHERE}/none",
    "{carrier}": f"http://{NOWHERE}/api",
    "{aws}": f"http://{NOWHERE}",
    "{keys}": KEYS,
    "{callbacks}": json.dumps({"image": "a secret that signs nothing, of 32 bytes"}),
}
EMULATOR_PORT = 8080  # of the emulator in the base image; it cannot be changed


@dataclass(frozen=True)
class Question:
    """An event, and whether an answer is the expected one."""

    event: dict
    expected: str
    accepts: object


def _healthy(answer):
    return answer.get("statusCode") == 200


def _migrated(answer):
    return len(answer.get("versions", [])) > 0


def _nothing_failed(answer):
    return answer == {"batchItemFailures": []}


def _no_database(answer):
    return "connecting to the database" in answer.get("errorMessage", "")


def question(function):
    """Returns what a function is asked."""
    if function == "api":
        return Question(json.loads(HEALTH.read_text()), "200 to GET /health", _healthy)
    if function == "migrate" and GIVEN_DATABASE:
        return Question({}, "the versions of the schema", _migrated)
    if function == "migrate":
        return Question({}, "the error that it reached no database", _no_database)
    return Question({"Records": []}, "no failed message", _nothing_failed)


def asked_functions():
    """Returns the functions that can start, migrate first."""
    others = [name for name in build.FUNCTIONS if name != "migrate"]
    return ["migrate", *(others if GIVEN_DATABASE else [])]


def environment(function):
    """Returns the variables of a function: those of the local stack, without a carrier."""
    values = described.Values(templates.load())
    found = values.function(function.capitalize())["environment"]
    for name, value in found.items():
        for placeholder, replacement in VALUES.items():
            value = value.replace(placeholder, replacement)
        found[name] = value
    one_user = {"APP_USER": ""} if "APP_USER" in found else {}  # all functions connect as one user
    return found | one_user | CREDENTIALS | {"AWS_ENDPOINT_URL": VALUES["{aws}"]}


def ask(function, port):
    """Posts the event to a runtime interface emulator; exits if the answer is not as expected."""
    asked = question(function)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{PATH}", json.dumps(asked.event).encode(), method="POST"
    )
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=START_S) as response:
                answer = response.read().decode()
            break
        except urllib.error.HTTPError as error:  # the function failed before it asked for events
            answer = error.read().decode()
            break
        except (urllib.error.URLError, ConnectionError) as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"{function}: no answer within {START_S} s: {error}") from error
            time.sleep(0.1)
    try:
        accepted = asked.accepts(json.loads(answer))
    except (ValueError, AttributeError):
        accepted = False
    if not accepted:
        raise SystemExit(f"{function}: expected {asked.expected}, but the answer is: {answer}")
    print(f"{function}: answered with {asked.expected}")


def engine():
    """Returns whether a Docker engine can be reached."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = ["docker", "info", "--format", "{{.ServerVersion}}"]
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)
        return done.returncode == 0
    return False


def docker(*arguments):
    """Runs a docker command; returns what it prints."""
    done = subprocess.run(
        ["docker", *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def build_images():
    """Builds every target of the Dockerfile."""
    for target in (*build.FUNCTIONS, DEVELOPER):
        started = time.monotonic()
        docker("build", "--quiet", "--target", target, "--tag", f"sms-{target}:check", ".")
        print(f"{target}: image built in {time.monotonic() - started:.0f} s", flush=True)


def ask_image(function):
    """Starts a function's image, asks it, and stops it.

    The container uses the network of the host, because the database listens on loopback only.
    """
    if listening(EMULATOR_PORT):
        raise SystemExit(f"port {EMULATOR_PORT} is in use, but the images need it")
    with tempfile.NamedTemporaryFile("w", suffix=".env") as file:
        file.write("".join(f"{name}={value}\n" for name, value in environment(function).items()))
        file.flush()
        container = docker(
            "run", "--detach", "--rm", "--network", "host", "--env-file", file.name,
            f"sms-{function}:check",
        )  # fmt: skip
    try:
        ask(function, EMULATOR_PORT)
    except SystemExit:
        subprocess.run(["docker", "logs", container], stdout=sys.stderr, check=False)
        raise
    finally:
        docker("stop", "--time", "1", container)


def interface_emulator():
    """Returns the runtime interface emulator of the SAM CLI for this machine, None if missing."""
    kind = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine())
    found = (ROOT / "target" / "tools" / "sam").glob(
        f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{kind}"
    )
    return next(found, None)


def ask_binary(emulator, function):
    """Starts a function's binary under the emulator as the base image does, and asks it."""
    binary = build.functions_folder(faults=False) / function / "bootstrap"
    port = free_port()
    command = [
        emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
        "--runtime-api-address", f"127.0.0.1:{free_port()}", binary,
    ]  # fmt: skip
    given = environment(function) | {"PATH": os.environ["PATH"], "_HANDLER": "bootstrap"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env=given, cwd=binary.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            ask(function, port)
        except SystemExit:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            process.terminate()
            process.wait()


def main():
    """Checks the images, or the binaries if there is no engine; exits with 1 if one fails."""
    if engine():
        build_images()
        ask_each, what = ask_image, "images"
    else:
        print("NOT TESTED WITH DOCKER: there is no engine, so no image was built", flush=True)
        emulator = interface_emulator()
        folder = build.functions_folder(faults=False)
        missing = [name for name in build.FUNCTIONS if not (folder / name / "bootstrap").exists()]
        if emulator is None or missing:
            wanted = "the SAM CLI (infra/local/setup sam)" if emulator is None else "target/lambda"
            print(f"NOT TESTED: {wanted} is missing, so no function was started")
            return
        ask_each, what = functools.partial(ask_binary, emulator), "binaries"
    for function in asked_functions():
        ask_each(function)
    count = len(asked_functions())
    print(f"{count} of {len(build.FUNCTIONS)} {what} answer under the runtime interface emulator")
    if not GIVEN_DATABASE:
        print("NOT TESTED: the other functions were not started, because there is no DATABASE_URL")


if __name__ == "__main__":
    main()
