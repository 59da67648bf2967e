"""Invokes one function with one event on the running local stack, and prints what it answers.

    make invoke FN=send [EVENT=infra/events/send.json] [ID=<schedule id>] [BATCH=<n>]

With a Docker engine, `sam local invoke` runs the function in a container; without one, the emulator
runs the same binary with the same environment. ENGINE=docker or ENGINE=emulator decides. The answer
goes to stdout, everything else to stderr. The exit status is 1 if the function failed.
"""

import base64
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import docker_engine
import invoke_subject
import sample_events
from processes import alone, bypass_proxy
from running_stack import RunningStack
from sam_local import SamLocal

ROOT = Path(__file__).resolve().parents[2]
# Each function, and its sample event.
FUNCTIONS = {
    "api": "health", "dispatch": "due", "send": "send", "recheck": "recheck", "notify": "notify",
    "migrate": "migrate",
}  # fmt: skip
ENGINES = ("docker", "emulator")
AN_HOUR = 3600


def progress(text):
    """Prints a line for the caller, apart from the function's answer."""
    print(f"invoke: {text}", file=sys.stderr, flush=True)


@dataclass
class Request:
    """What the caller asked for."""

    function: str  # logical name in the template, such as Send
    event: dict
    schedule_id: str | None
    batch_no: str
    engine: str | None

    @classmethod
    def read(cls, given):
        """Reads the variables FN, EVENT, ID, BATCH and ENGINE."""
        name, engine = given.get("FN") or "", given.get("ENGINE") or None
        if name not in FUNCTIONS:
            raise SystemExit(f"FN={name}: expected {', '.join(FUNCTIONS)}")
        if engine not in (None, *ENGINES):
            raise SystemExit(f"ENGINE={engine}: expected {' or '.join(ENGINES)}")
        batch = given.get("BATCH") or "1"
        if not batch.isdecimal() or int(batch) < 1:
            raise SystemExit(f"BATCH={batch}: expected a number from 1")
        file = Path(given.get("EVENT") or ROOT / f"infra/events/{FUNCTIONS[name]}.json")
        try:
            event = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise SystemExit(f"EVENT={file}: {error}") from error
        return cls(name.capitalize(), event, given.get("ID") or None, batch, engine)


def failure(output):
    """Returns why an answer is a failure of the function, None if it is none."""
    if not output.strip():
        return "it answered nothing"
    try:
        answer = json.loads(output)
    except ValueError:
        return "its answer is not JSON"
    if not isinstance(answer, dict):
        return None
    if "errorType" in answer:
        return f"{answer['errorType']}: {answer.get('errorMessage', '')}"
    if answer.get("batchItemFailures"):
        return "it failed to process the message"
    status = answer.get("statusCode", 200)
    return f"the API answered {status}" if status >= 500 else None


def clear_aws(environment):
    """Removes every AWS setting of the caller, also those in files."""
    for name in [name for name in environment if name.startswith("AWS_")]:
        del environment[name]
    environment["AWS_CONFIG_FILE"] = environment["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    environment["AWS_EC2_METADATA_DISABLED"] = "true"


def in_emulator(stack, request, event):
    """Invokes the function in the emulator; returns what it answered."""
    answer = stack.client("lambda").invoke(
        FunctionName=stack.function(request.function),
        Payload=json.dumps(event).encode(),
        LogType="Tail",
    )
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace").strip("\n")
    if log:
        print(log, file=sys.stderr, flush=True)
    return answer["Payload"].read().decode()


@contextlib.contextmanager
def subject(stack, request):
    """Yields what the event needs to name: a batch, a delivery, or None."""
    needed = sample_events.placeholders(request.event)
    if not needed & (sample_events.SCHEDULE | sample_events.DELIVERY):
        yield None
        return
    with stack.held(request.function), contextlib.ExitStack() as until_end:
        if needed & sample_events.SCHEDULE:
            named = request.schedule_id or invoke_subject.made_for(stack, request.function)
            found = invoke_subject.Batch(stack, named, request.batch_no)
            if "BATCH_NO" in needed:
                found.require_batch()
            yield found
        elif request.schedule_id:
            yield invoke_subject.delivery_of(stack, request.schedule_id)
        else:
            yield until_end.enter_context(invoke_subject.test_delivery(stack))


def filled(stack, request, found):
    """Returns the event with the ids of what was found, the API key, and a time to come."""
    values = {"API_KEY": stack.values["API_KEY"], **(found.values if found else {})}
    if "RUN_AT" in sample_events.placeholders(request.event):
        if not stack.sends_to_simulator():
            raise SystemExit(invoke_subject.NOT_INVENTED)
        values["RUN_AT"] = invoke_subject.soon(AN_HOUR)
    return sample_events.fill(request.event, values)


def runner(stack, request):
    """Returns the function (event, webhook port) that invokes, by the engine that there is."""
    engine, reason = docker_engine.find()
    if request.engine == "docker" and not engine:
        raise SystemExit(f"no Docker engine: {reason}")
    if engine and request.engine != "emulator":
        progress(f"{request.function} with `sam local invoke`, in a container")
        sam = SamLocal(stack, engine)
        return lambda event, port: sam.invoke(request.function, event, port)
    why = "ENGINE=emulator" if engine else f"no Docker engine ({reason})"
    progress(f"{request.function} in the emulator: {why}")
    return lambda event, _: in_emulator(stack, request, event)


def invoke(stack, request):
    """Invokes the function; returns the exit status."""
    run = runner(stack, request)
    with subject(stack, request) as found:
        event = filled(stack, request, found)
        before = found and found.state()
        output = run(event, found and found.webhook_port)
        after = found and found.state()
    print(output.strip())
    if found and before == after:
        progress(f"nothing to do: {after}")
    elif found:
        progress(f"before: {before}")
        progress(f"after:  {after}")
    reason = failure(output)
    if reason:
        progress(f"{request.function} failed: {reason}")
    return 1 if reason else 0


def main():
    """Invokes the function that the environment names."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that held queues are released
    clear_aws(os.environ)
    bypass_proxy()
    request = Request.read(os.environ)
    state = ROOT / (os.environ.get("STATE") or ".local")
    if not state.exists():
        raise SystemExit("the stack does not run: run `make up` first")
    try:
        with alone(state):
            sys.exit(invoke(RunningStack(state), request))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
