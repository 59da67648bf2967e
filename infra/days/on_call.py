"""The night of an operator: finds the schedules of Penang, stops one, and decides what becomes of
messages whose answer was lost.
"""

import time
from collections import Counter

import evidence
import people
from stack import equal, in_seconds

UNCERTAIN_S = 60


def create(stack, name, numbers, **more):
    """Creates a schedule; returns its id."""
    body = {
        "run_at": in_seconds(3), "message": f"{name}: doors open at 8", "name": name,
        "recipients": [{"phone": phone, "group": "Penang"} for phone in numbers], **more,
    }  # fmt: skip
    return stack.call("POST", "/v1/schedules", body)["id"]


def listed(stack, kind, schedule):
    """Returns the entry of a schedule in a list of what needs an operator, or None."""
    entries = stack.get(f"/v1/attention/{kind}?sort=-created_at&limit=200")["entries"]
    found = [entry for entry in entries if entry["schedule_id"] == schedule]
    return found[0] if found else None


def wait_until_listed(stack, kind, schedule, people_affected):
    """Waits until a schedule needs an operator, with so many people."""
    deadline = time.monotonic() + UNCERTAIN_S
    while not ((entry := listed(stack, kind, schedule)) and entry["people"] == people_affected):
        if time.monotonic() > deadline:
            raise SystemExit(f"{kind} does not list {schedule} with {people_affected}: {entry}")
        time.sleep(0.5)
    return entry


def search(stack, mark, wanted):
    """Finds schedules by a text in their names, in upper and lower case."""
    for text in ("Penang", "pENANG"):
        found = stack.get(f"/v1/schedules?search={text}%20{mark}&limit=100")["schedules"]
        equal(f"search for {text}", [each["id"] for each in found], wanted)
    by_label = stack.get(f"/v1/schedules?label=night-{mark}&sort=run_at&limit=100")["schedules"]
    equal("search for the label", {each["id"] for each in by_label}, set(wanted))


def stop_and_go(stack, mark, schedule, size):
    """Pauses all schedules of a label while one of them is sent; nothing more is sent meanwhile."""
    path = f"/v1/schedules/{schedule}"
    deadline = time.monotonic() + 60
    while stack.get(path)["already_sent"] < size // 10:
        if time.monotonic() > deadline:
            raise SystemExit("the schedule of Penang is not sent")
        time.sleep(0.1)
    every = f"label=night-{mark}"
    stopped = stack.call("POST", f"/v1/schedules/pause?{every}", {"reason": "INC-12"})
    time.sleep(2)
    before = len(stack.ledger())
    time.sleep(2)
    equal("the ledger while everything is paused", len(stack.ledger()), before)
    shown = stack.get(path)
    equal("the pause", (shown["status"], shown["reason"]), ("paused", "INC-12"))
    equal("who is affected", wait_until_listed(stack, "paused", schedule,
          size - shown["already_sent"])["schedule_status"], "paused")  # fmt: skip
    resumed = stack.call("POST", f"/v1/schedules/resume?{every}")
    equal("resumed", resumed["changed"], stopped["changed"])


def lost_answers(stack, first, size):
    """The carrier accepts, and its answers are lost: the operator decides for each person."""
    since = len(stack.ledger())
    numbers = [people.number(first + at) for at in range(size)]
    with stack.carrier_settings(reset_after_accept=1):
        schedule = create(stack, "Outage", numbers)
        wait_until_listed(stack, "uncertain", schedule, size)
    equal("sent once before a decision", lengths(stack, since, numbers), Counter({1: size}))

    path = f"/v1/schedules/{schedule}/uncertain"
    again, kept = numbers[: size // 2], numbers[size // 2 :]
    resolved = decide(stack, path, "sent", kept)
    equal("resolved as sent", resolved["changed"], len(kept))
    early = decide(stack, path, "resend", again)
    equal("sent again too early", early["left"]["too_recent"], len(again))
    if not early["too_recent_until"]:
        raise SystemExit(f"the answer does not say until when it is too early: {early}")
    let_time_pass(stack, schedule)
    resolved = decide(stack, path, "resend", again)
    equal("to be sent again", resolved["changed"], len(again))
    stack.wait(schedule, "finished", 60)
    text = "Outage: doors open at 8"
    expected = {phone: [text, text] for phone in again} | {phone: [text] for phone in kept}
    found = evidence.check(stack, schedule, expected, since)
    equal("states", found, {"DELIVRD": len(again), "UNKNOWN": len(kept)})
    equal("still uncertain", listed(stack, "uncertain", schedule), None)
    return found


def decide(stack, path, outcome, numbers):
    """Resolves messages; repeats the call for those that a worker owned. Returns the last answer,
    with the number of those that were changed in all.
    """
    changed, deadline = 0, time.monotonic() + UNCERTAIN_S
    while True:
        answer = stack.call("POST", path, {"outcome": outcome, "recipients": numbers})
        changed += answer["changed"]
        if not (answer["left"]["busy"] or answer["more"]):
            return {**answer, "changed": changed}
        if time.monotonic() > deadline:
            raise SystemExit(f"{outcome}: {answer}")
        time.sleep(0.5)


def let_time_pass(stack, schedule):
    """Makes the messages of a schedule an hour older, because their quiet time is minutes long."""
    key = f"UNHEX('{schedule.replace('-', '')}')"
    stack.running.rows(
        f"UPDATE recipients SET sent_at = sent_at - INTERVAL 1 HOUR WHERE schedule_id = {key}"
    )


def lengths(stack, since, numbers):
    """Returns how many numbers the carrier has accepted how often."""
    accepted = stack.accepted(since)
    return Counter(len(accepted.get(phone, [])) for phone in numbers)


def forgotten_draft(stack, first, since):
    """A draft whose time has passed is listed until somebody cancels it."""
    number = people.number(first)
    draft = create(stack, "Forgotten", [number], draft=True, run_at=in_seconds(1))
    wait_until_listed(stack, "drafts", draft, 1)
    stack.call("POST", f"/v1/schedules/{draft}/cancel", {"reason": "nobody needs it"})
    equal("a cancelled draft", listed(stack, "drafts", draft), None)
    equal("nothing is sent", lengths(stack, since, [number]), Counter({0: 1}))


def complaint(stack, phone, schedule, since):
    """Somebody asks what was sent to a number: the API has what the carrier has."""
    path = f"/v1/messages?phone={phone.replace('+', '%2B')}&limit=100"
    messages = stack.get(path)["messages"]
    found = [
        (each["schedule_id"], each["text"], each["message_id"])
        for each in messages
        if each["schedule_id"] == schedule
    ]
    (accepted,) = stack.accepted(since)[phone]
    equal("messages of a number", found, [(schedule, accepted.text, accepted.ids[0])])


def run(stack, size):
    """Carries out the night."""
    since, first = len(stack.ledger()), people.first_number(2)
    mark = str(int(time.time()))
    numbers = [people.number(first + at) for at in range(size)]
    labels = [f"night-{mark}"]
    opening = create(stack, f"Opening in Penang {mark}", numbers[: size // 2],
                     labels=labels, run_at=in_seconds(86_400))  # fmt: skip
    sale = create(stack, f"Sale, Penang {mark}", numbers, labels=labels,
                  rate=max(1, size // 10))  # fmt: skip
    other = create(stack, f"Sale in Ipoh {mark}", numbers[:1], run_at=in_seconds(86_400))
    search(stack, mark, [sale, opening])
    stop_and_go(stack, mark, sale, size)
    stack.wait(sale, "finished", 60)
    text = f"Sale, Penang {mark}: doors open at 8"
    found = evidence.check(stack, sale, {phone: [text] for phone in numbers}, since)
    equal("states", found, {"DELIVRD": size})
    groups = stack.get(f"/v1/schedules/{sale}/groups")["groups"]
    found = [(group["group"], group["recipients"]) for group in groups]
    equal("people of Penang", found, [("Penang", size)])
    complaint(stack, numbers[-1], sale, since)
    forgotten_draft(stack, first + size, since)
    outage = lost_answers(stack, first + size + 1, max(10, size // 10))
    for schedule in (opening, other):
        stack.call("POST", f"/v1/schedules/{schedule}/cancel")
    return f"{size} people of Penang, outage {outage}"
