"""Fills the placeholders of the sample events (infra/events), such as `${SCHEDULE_ID}`."""

import re

PLACEHOLDER = re.compile(r"\$\{([A-Z_]+)\}")
# Each placeholder, and what its value is taken from.
SCHEDULE = {"SCHEDULE_ID", "VERSION", "BATCH_NO"}
DELIVERY = {"WEBHOOK_ID", "EVENT_ID"}
CALL = {"API_KEY", "RUN_AT"}


def placeholders(event):
    """Returns the names of all placeholders of an event."""
    if isinstance(event, dict):
        return set().union(*map(placeholders, event.values()))
    if isinstance(event, list):
        return set().union(*map(placeholders, event))
    return set(PLACEHOLDER.findall(event)) if isinstance(event, str) else set()


def fill(event, values):
    """Returns the event with values instead of placeholders.

    A string that is nothing but a placeholder becomes the value itself, which may be a number.
    """
    if isinstance(event, dict):
        return {key: fill(value, values) for key, value in event.items()}
    if isinstance(event, list):
        return [fill(value, values) for value in event]
    if not isinstance(event, str):
        return event
    whole = PLACEHOLDER.fullmatch(event)
    if whole:
        return _value(values, whole[1])
    return PLACEHOLDER.sub(lambda found: str(_value(values, found[1])), event)


def _value(values, name):
    if name not in values:
        known = ", ".join(sorted(SCHEDULE | DELIVERY | CALL))
        raise SystemExit(f"the event has the placeholder {name}: expected one of {known}")
    return values[name]
