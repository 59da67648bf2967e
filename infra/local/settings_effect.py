"""Changes a run-time setting of the running stack, and checks that the API applies it in time.

    STATE=.local infra/local/python infra/local/settings_effect.py

The setting is a limit of status queries that nothing reaches. An environment of a function reads the
settings once a minute.
"""

import os
import time

import settings
from running_stack import ROOT, RunningStack

NAME, VALUE = "carrier_queries_per_second", 654_321
WAIT_S = 100  # a minute, and what a change and a call take


def applied(stack, token):
    """Returns the limit that the API applies as that of the deployment."""
    carrier = stack.call("GET", "/v1/carriers/main", None, token)
    return carrier["queries_per_second"]["default"]


def main():
    """Sets the value, waits until the API applies it, and removes it."""
    state = os.environ.get("STATE", ".local")
    stack = RunningStack(ROOT / state)
    token = stack.administrator()
    before = applied(stack, token)
    if before == VALUE:
        raise SystemExit(f"{NAME} is {VALUE} already: repeat this after UNSET={NAME}")
    begin = time.monotonic()
    settings.run(settings.opened({"STATE": state}), {"SET": f"{NAME}={VALUE}"})
    try:
        while (found := applied(stack, token)) != VALUE:
            if time.monotonic() - begin > WAIT_S:
                raise SystemExit(f"{NAME} is {found} after {WAIT_S} s, expected {VALUE}")
            time.sleep(1)
        print(f"{NAME}: {before} became {VALUE} after {time.monotonic() - begin:.0f} s")
    finally:
        settings.run(settings.opened({"STATE": state}), {"UNSET": NAME})


if __name__ == "__main__":
    main()
