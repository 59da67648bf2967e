"""Runs the faults of the lab, and evaluates the alarms over the metrics that the functions emitted.

    make alarms [FAULT=carrier,quiet] [SEED=7] [RUNS=1]

Each fault must raise the alarms of its line in infra/chaos/alarms.toml and no others, and a quiet
run none. Needs DATABASE_URL of an administrator; without it, it starts a database of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import alarm_state
from template import ROOT, load

EXPECTED = ROOT / "infra/chaos/alarms.toml"
# The table of the alarms that no fault raises.
NOT_RAISED = "not-raised"
COMMAND = [
    "cargo", "test", "--quiet", "--workspace", "--features", "chaos/fault-points",
    "--test", "lab", "--", "--nocapture",
]  # fmt: skip


def expected():
    """Returns {fault: (alarms that each run raises, alarms that a run may raise)}."""
    table = tomllib.loads(EXPECTED.read_text())
    table.pop(NOT_RAISED)
    return {
        name: ({f"{each}Alarm" for each in fault["raises"]},
               {f"{each}Alarm" for each in fault.get("may_raise", [])})
        for name, fault in table.items()
    }  # fmt: skip


def unproven(alarms, faults, not_raised):
    """Yields the alarms that neither a fault raises in each run nor a reason names, and the like."""
    raised = {alarm for must, _ in faults.values() for alarm in must}
    excused = {f"{name}Alarm" for name in not_raised}
    yield from (f"no fault raises {name}" for name in sorted(alarms - raised - excused))
    yield from (f"{name} is raised, and excused" for name in sorted(raised & excused))
    named = raised | excused | {alarm for _, may in faults.values() for alarm in may}
    yield from (f"the template has no {name}" for name in sorted(named - alarms))
    yield from (f"{name} has no reason" for name, text in not_raised.items() if len(text) < 20)


def not_raised():
    """Returns {alarm: reason} of the alarms that no fault of the lab raises."""
    return tomllib.loads(EXPECTED.read_text())[NOT_RAISED]


def problems(name, raised, fault):
    """Yields how the alarms of a run differ from what is expected of its fault."""
    must, may = fault
    yield from (f"{name}: {alarm} was not raised" for alarm in sorted(must - raised))
    yield from (f"{name}: {alarm} was raised" for alarm in sorted(raised - must - may))


def evaluate(folder):
    """Prints what each run has raised; yields the problems."""
    template, faults = load(), expected()
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        yield "no run has emitted a metric"
    for file in files:
        fault = file.stem.rpartition("-SEED=")[0]
        bounds, *lines = file.read_text().splitlines()
        bounds = json.loads(bounds)
        found = alarm_state.points(lines)
        raised = alarm_state.raised(template, found, bounds["began"], bounds["ended"])
        short = ", ".join(sorted(name.removesuffix("Alarm") for name in raised))
        print(f"{file.stem:45} {short or '-'}")
        if fault in faults:
            yield from problems(file.stem, raised, faults[fault])
        else:
            yield f"{fault} has no line in {EXPECTED.name}"


def main():
    """Runs the lab and evaluates; exits with 1 if an alarm is missing or wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.environ.get("METRICS_DIR") or name)
        folder.mkdir(parents=True, exist_ok=True)
        if "--evaluate" not in sys.argv:
            environment = os.environ | {
                "METRICS_DIR": str(folder),
                "SQLX_OFFLINE": "true",
            }
            subprocess.run(COMMAND, cwd=ROOT, env=environment, check=True)
        found = list(evaluate(folder))
    for problem in found:
        print(f"PROBLEM {problem}")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
