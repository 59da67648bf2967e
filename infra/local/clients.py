"""Generates clients of the API and checks them (`make clients`).

    infra/local/python infra/local/clients.py [first-schedule]

The document is docs/openapi.json, which a test of the API keeps current. The programs that use the
clients are in infra/clients. With `first-schedule` they run on the stack of STATE, whose simulated
carrier fails no message meanwhile.
"""

import ast
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

from processes import bypass_proxy
from running_stack import RunningStack

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/openapi.json"
SOURCES = ROOT / "infra/clients"
TOOLS = ROOT / "target/tools/clients"
PACKAGES = TOOLS / "npm/node_modules"
CLIENTS = ROOT / "target/clients"
PYTHON_PACKAGE = "bulk_sms_scheduler_client"
# The programs of the environment come first, also Node.js.
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(CLIENTS / "python"),
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "REDOCLY_TELEMETRY": "off",
}
# The generator of the Python client knows only JSON, forms and `application/octet-stream`. A list in
# one of these types can be sent as the last one too, which has the same effect.
NOT_IN_PYTHON = {
    "application/gzip",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/x-ndjson",
    "text/csv",
}
LISTS = {
    "POST /v1/schedules/{id}/recipients",
    "POST /v1/spreadsheets/convert",
    "POST /v1/suppressions/import",
    "PUT /v1/prices",
}
VERBS = {
    "activate", "append", "approve", "begin", "cancel", "change", "confirm", "convert", "create",
    "delete", "dry", "erase", "get", "import", "list", "log", "pause", "put", "receive", "redrive",
    "refresh", "reject", "remove", "repeat", "resend", "resolve", "resume", "retry", "revoke",
    "rotate", "send", "stop",
    "test",
}  # fmt: skip
OPERATION_ID = re.compile(r"([a-z]+)((?:[A-Z][a-z]+)+)")
WARNING = re.compile(r"WARNING parsing (\S+ \S+) within \S+?\.(.*)")
UNSUPPORTED = re.compile(r"Unsupported content type (\S+)")
# A name that the generator makes from a position, because the schema has none.
POSITION = re.compile(r"_type_\d+|_item$")
# A carrier without delays or failures: a recipient that is not DELIVRD is a defect of the client.
FAULTLESS = {
    "delivery_delay_ms_min": 0, "delivery_delay_ms_max": 0, "undeliv": 0, "expired": 0, "odd": 0,
}  # fmt: skip


def operations(document):
    """Yields (method and path, operation) of a document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def snake_case(name):
    """Returns the name of a function in Python for a name in camel case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def check_names(document):
    """Yields each operation whose name is not a verb and what it is applied to."""
    for what, operation in operations(document):
        name = OPERATION_ID.fullmatch(operation["operationId"])
        if not name or name[1] not in VERBS:
            yield f"{what}: the name {operation['operationId']} is not verbNoun"


def check_warnings(output):
    """Yields each warning of the generator of the Python client that is not accepted."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not any(line.startswith("Generating ") for line in lines):
        yield f"openapi-python-client generated nothing: {output.strip()}"
    for at, line in enumerate(lines):
        if line.startswith(("Error", "Skipping ")):
            yield f"openapi-python-client: {line} {' '.join(lines[at + 1 : at + 2])}"
        elif warning := WARNING.match(line):
            reason = " ".join([warning[2].strip(), *lines[at + 1 : at + 2]]).strip()
            unsupported = UNSUPPORTED.match(reason)
            accepted = unsupported and unsupported[1] in NOT_IN_PYTHON and warning[1] in LISTS
            if not accepted:
                yield f"openapi-python-client: {warning[1]}: {reason}"
        elif line.startswith("WARNING"):
            yield f"openapi-python-client: {line}"


def check_python(document, package):
    """Yields what is missing in a Python client."""
    for what, operation in operations(document):
        tag = operation["tags"][0].replace("-", "_")
        file = package / "api" / tag / f"{snake_case(operation['operationId'])}.py"
        if not file.exists():
            yield f"Python: {what}: there is no {file.relative_to(package)}"
            continue
        functions = {
            each.name: {argument.arg for argument in each.args.args + each.args.kwonlyargs}
            for each in ast.parse(file.read_text()).body
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        for name in ("sync_detailed", "asyncio_detailed"):
            if name not in functions:
                yield f"Python: {what}: {file.name} has no {name}"
            elif "requestBody" in operation and "body" not in functions[name]:
                yield f"Python: {what}: {name} has no argument for the body"
    for model in sorted((package / "models").glob("*.py")):
        if POSITION.search(model.stem):
            yield f"Python: the model {model.stem} has no name of its own: add a `title`"


def check_typescript(document, text):
    """Yields what is missing in the types of a TypeScript client."""
    _, _, described = text.partition("export interface operations {")
    described = set(re.findall(r"^ {4}(\w+): \{$", described, re.MULTILINE))
    used = set(re.findall(r'operations\["(\w+)"\]', text))
    for what, operation in operations(document):
        name = operation["operationId"]
        if name not in described or name not in used:
            yield f"TypeScript: {what}: there is no operation {name}"


def run(*command, **options):
    """Runs a program of the environment; returns its output, or exits with it."""
    options = {"env": ENVIRONMENT, "cwd": ROOT, "text": True, **options}
    program = [str(part) for part in command]
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(program, check=False, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(program)}\n{done.stdout}")
    return done.stdout


def generate_python():
    """Generates the Python client; returns the output of the generator."""
    output = run(
        TOOLS / "bin/openapi-python-client", "generate", "--path", DOCUMENT, "--meta", "none",
        "--output-path", CLIENTS / "python" / PYTHON_PACKAGE,
    )  # fmt: skip
    run(TOOLS / "bin/python", "-m", "compileall", "-q", CLIENTS / "python" / PYTHON_PACKAGE)
    return output


def generate_typescript():
    """Generates the TypeScript client beside its first program, and compiles both."""
    folder = CLIENTS / "typescript"
    run(
        "node", PACKAGES / "openapi-typescript/bin/cli.js", DOCUMENT,
        "--output", folder / "api.ts", "--default-non-nullable", "false",
    )  # fmt: skip
    for name in ("first-schedule.ts", "tsconfig.json", "package.json"):
        shutil.copy(SOURCES / name, folder)
    (folder / "node_modules").symlink_to(PACKAGES)
    run("node", PACKAGES / "typescript/bin/tsc", "--project", folder)
    return (folder / "api.ts").read_text()


def generate():
    """Generates and checks both clients; exits with all violations."""
    shutil.rmtree(CLIENTS, ignore_errors=True)
    (CLIENTS / "python").mkdir(parents=True)
    (CLIENTS / "typescript").mkdir()
    document = json.loads(DOCUMENT.read_text())
    redocly = PACKAGES / "@redocly/cli/bin/cli.js"
    run("node", redocly, "lint", DOCUMENT, "--config", SOURCES / "redocly.yaml", cwd=SOURCES)
    violations = [
        *check_names(document),
        *check_warnings(generate_python()),
        *check_python(document, CLIENTS / "python" / PYTHON_PACKAGE),
        *check_typescript(document, generate_typescript()),
    ]
    if violations:
        raise SystemExit("\n".join(violations))
    count = sum(1 for _ in operations(document))
    print(f"clients: {count} operations in Python and in TypeScript; redocly: no warning")


def simulator(url, patch=None):
    """Returns the settings of the simulated carrier, after a change."""
    data = json.dumps(patch).encode() if patch else None
    request = urllib.request.Request(
        f"{url.removesuffix('/api')}/settings", data, method="PATCH" if patch else "GET"
    )
    with urllib.request.urlopen(request, timeout=35) as response:
        return json.load(response)


@contextlib.contextmanager
def faultless_carrier(stack):
    """Lets the simulated carrier fail no message meanwhile."""
    url = stack.values["CARRIER_URL"]
    before = simulator(url)
    try:
        simulator(url, FAULTLESS)
        yield
    finally:
        simulator(url, {name: before[name] for name in FAULTLESS})


def first_schedule():
    """Lets each client carry out the first schedule on the running stack."""
    stack = RunningStack(ROOT / os.environ.get("STATE", ".local"))
    if not stack.sends_to_simulator():
        raise SystemExit("the stack does not send to the simulated carrier")
    account = json.loads((stack.state / "admin.json").read_text())
    environment = {
        **ENVIRONMENT,
        "API_URL": stack.values["API_URL"],
        "USERNAME": account["username"],
        "PASSWORD": account["password"],
        "NO_PROXY": "*",
    }
    with faultless_carrier(stack):
        for command in (
            (TOOLS / "bin/python", SOURCES / "first_schedule.py"),
            ("node", CLIENTS / "typescript/first-schedule.ts"),
        ):
            print(run(*command, env=environment).strip())


def main(arguments):
    """Carries out the command."""
    if arguments not in ([], ["first-schedule"]):
        raise SystemExit("usage: clients [first-schedule]")
    bypass_proxy()
    generate()
    if arguments:
        first_schedule()


if __name__ == "__main__":
    main(sys.argv[1:])
