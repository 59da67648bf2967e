"""Compares what the API says of a schedule with the database and the carrier's ledger, number by
number.
"""

from collections import Counter

from stack import equal

COLUMNS = ("seq", "phone", "status", "attempt", "resends", "message_id")


def database_rows(stack, schedule):
    """Returns the rows of a schedule in the database, by their places in the list."""
    columns = ", ".join(f"IFNULL({column}, '')" for column in COLUMNS)
    key = f"UNHEX('{schedule.replace('-', '')}')"
    rows = stack.running.rows(f"SELECT {columns} FROM recipients WHERE schedule_id = {key}")
    # The client ends its output without the last field if that is empty.
    padded = [[*row, ""][: len(COLUMNS)] for row in rows]
    return {row[0]: tuple(row) for row in padded}


def reported_rows(stack, schedule):
    """Returns the same rows as the API reports them."""
    rows = stack.report(f"/v1/schedules/{schedule}/recipients")
    found = {}
    for row in rows:
        values = ["" if row[name] is None else str(row[name]) for name in COLUMNS]
        found[values[0]] = tuple(values)
    return found


def check(stack, schedule, expected, since):
    """Exits unless the API, the database and the carrier agree on a schedule.

    `expected` has the texts that the carrier accepted, by number, in their order; an empty list for
    a number to which nothing was sent. `since` is the length of the ledger before the day. Returns
    the number of recipients in each state.
    """
    rows = database_rows(stack, schedule)
    equal("rows of the API and the database", reported_rows(stack, schedule), rows)
    statuses = Counter(row[2] for row in rows.values())
    counts = stack.get(f"/v1/schedules/{schedule}")["counts"]
    found = {status: count for status, count in counts.items() if count}
    equal("counts of the API and the database", found, dict(statuses))

    by_phone = {row[1]: row for row in rows.values() if row[1]}
    unknown = {phone for phone in by_phone if phone not in expected}
    equal("numbers in the database that nobody gave", unknown, set())
    accepted = stack.accepted(since)
    texts = {phone: [each.text for each in accepted.get(phone, [])] for phone in expected}
    equal("texts that the carrier accepted", texts, expected)
    for phone, row in by_phone.items():
        last = ",".join(accepted[phone][-1].ids) if expected[phone] else ""
        # A message whose answer was lost has no id.
        if row[5] not in (last, "") or (row[2] == "DELIVRD" and not row[5]):
            raise SystemExit(f"{phone}: the id {row[5]!r}, at the carrier {last!r}")
        if row[2] == "DELIVRD" and not expected[phone]:
            raise SystemExit(f"{phone} is DELIVRD, and nothing was sent to it")
    return dict(statuses)
