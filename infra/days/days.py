"""Carries out the users' days (`make days`), one after the other.

ONLY selects days, SMOKE=1 makes them small. Exits with the first difference.
"""

import os
import time

import campaign
import on_call
import reminders
from processes import bypass_proxy
from stack import FAULTLESS, Stack

# The day, and the number of people in full and in a smoke run.
DAYS = {
    "campaign": (campaign.run, 50_000, 2_000),
    "reminders": (reminders.run, 3_000, 400),
    "on-call": (on_call.run, 1_000, 200),
}


def main():
    """Carries out the days that ONLY names, or all."""
    bypass_proxy()
    chosen = os.environ.get("ONLY") or ",".join(DAYS)
    unknown = set(chosen.split(",")) - DAYS.keys()
    if unknown:
        raise SystemExit(f"ONLY: expected some of {', '.join(DAYS)}, not {', '.join(unknown)}")
    stack = Stack()
    with stack.carrier_settings(**FAULTLESS):
        for name in chosen.split(","):
            run, full, smoke = DAYS[name]
            started = time.monotonic()
            summary = run(stack, smoke if os.environ.get("SMOKE") else full)
            print(f"{name:10} {time.monotonic() - started:5.0f} s  {summary}", flush=True)


if __name__ == "__main__":
    main()
