"""The day of a clinic: reminders whose patients cancel, come at another time, or have a new number,
until the last second: while the list is cut, and while it is sent.

Each change of a patient follows the answer to the one before, so that the answers alone say what
the carrier must have accepted: a change that was in time took effect, one that was not did not.
"""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import evidence
import people
from stack import Refused, equal, in_seconds

TEXT = "Dear {{name}}, we expect you at {{time}}. Clinic"
SEND_S = 20
WAIT_S = 300
START_S = 6
WORKERS = 4
MANY = 10
# Calls per second of each worker: two callers share 1,200 requests per minute.
PAUSE_S = 0.35


@dataclass
class Patient:
    """A recipient as the answers of the API have it."""

    seq: int
    phone: str
    name: str
    time: str = "9:30"
    cancelled: bool = False
    too_late: bool = False
    # Numbers that the recipient had before, to which nothing may be sent.
    before: tuple = ()

    @property
    def text(self):
        """Returns the text that is sent to the patient."""
        return TEXT.replace("{{name}}", self.name).replace("{{time}}", self.time)

    @property
    def variables(self):
        """Returns the variables of the text."""
        return {"name": self.name, "time": self.time}


class Reception:
    """Changes patients of its own at random, one call after the other."""

    def __init__(self, stack, schedule, patients, spare, at):
        self.stack = stack
        self.path = f"/v1/schedules/{schedule}/recipients"
        self.patients = patients
        self.spare = spare
        self.random = random.Random(at)
        self.caller = at % 2
        self.outcomes = Counter()

    def work(self, ended):
        """Makes changes until nothing is left to be sent."""
        while not ended.is_set():
            change = self.random.choice(
                (self.cancel, self.move, self.renumber, self.cancel_many, self.move_many)
            )
            open_ones = [each for each in self.patients if not (each.cancelled or each.too_late)]
            if len(open_ones) < MANY:
                return self.outcomes
            change(open_ones)
            time.sleep(PAUSE_S)
        return self.outcomes

    def one(self, method, patient, body=None):
        """Changes one patient; returns whether it was in time."""
        try:
            answer = self.stack.call(method, f"{self.path}/{patient.seq}", body, caller=self.caller)
            equal("a change", (answer["seq"], answer["in_time"]), (patient.seq, True))
        except Refused as refused:
            if refused.status != 409 or "recipient-too-late" not in refused.problem:
                raise
            patient.too_late = True
        self.outcomes["too late" if patient.too_late else "in time"] += 1
        return not patient.too_late

    def many(self, method, path, patients, entry):
        """Changes several patients in one call; yields those who were in time."""
        body = {"recipients": [entry(each) for each in patients]}
        answer = self.stack.call(method, path, body, caller=self.caller)
        for patient, change in zip(patients, answer["recipients"], strict=True):
            equal("the order of an answer", change["seq"], patient.seq)
            patient.too_late = not change["in_time"]
            self.outcomes["too late" if patient.too_late else "in time"] += 1
            if change["in_time"]:
                yield patient

    def cancel(self, patients):
        """Cancels one patient, and repeats the call, which is answered alike."""
        patient = self.random.choice(patients)
        if self.one("DELETE", patient):
            patient.cancelled = True
            self.one("DELETE", patient)

    def move(self, patients):
        """Gives one patient another time."""
        patient = self.random.choice(patients)
        later = self.later(patient)
        if self.one("PATCH", patient, {"vars": {**patient.variables, "time": later}}):
            patient.time = later

    def renumber(self, patients):
        """Gives one patient another number."""
        patient, phone = self.random.choice(patients), self.spare.pop()
        if self.one("PATCH", patient, {"phone": phone}):
            patient.before += (patient.phone,)
            patient.phone = phone
        else:
            patient.before += (phone,)

    def cancel_many(self, patients):
        """Cancels several patients."""
        chosen = self.random.sample(patients, MANY)
        path = f"{self.path}/cancel"
        for patient in self.many("POST", path, chosen, lambda each: {"seq": each.seq}):
            patient.cancelled = True

    def move_many(self, patients):
        """Gives several patients another time."""
        chosen = self.random.sample(patients, MANY)
        times = {patient.seq: self.later(patient) for patient in chosen}

        def entry(patient):
            variables = {**patient.variables, "time": times[patient.seq]}
            return {"seq": patient.seq, "set": {"vars": variables}}

        for patient in self.many("PATCH", self.path, chosen, entry):
            patient.time = times[patient.seq]

    def later(self, patient):
        """Returns another time than the patient's."""
        hour = self.random.randrange(10, 18)
        minute = self.random.choice([each for each in range(60) if str(each) not in patient.time])
        return f"{hour}:{minute:02}"


def follow(stack, schedule, ended):
    """Waits until everything is sent, with a pause in the middle; tells the receptions."""
    try:
        time.sleep(START_S + SEND_S / 2)
        path = f"/v1/schedules/{schedule}"
        stack.call("POST", f"{path}/pause", {"reason": "the doctor is ill"})
        time.sleep(2)
        stack.call("POST", f"{path}/resume")
        return stack.wait(schedule, "finished", WAIT_S)
    finally:
        ended.set()


def run(stack, size):
    """Carries out the day."""
    since, first = len(stack.ledger()), people.first_number(1)
    patients = [
        Patient(at + 1, people.number(first + at), f"Patient {at + 1}") for at in range(size)
    ]
    entries = [{"phone": each.phone, "vars": each.variables} for each in patients]
    schedule = stack.call("POST", "/v1/schedules", {
        "run_at": in_seconds(START_S), "message": TEXT, "recipients": entries,
        "name": "Reminders", "rate": max(1, size // SEND_S),
    })["id"]  # fmt: skip

    ended, receptions = Event(), []
    for at in range(WORKERS):
        own = range(first + size + at * 10_000, first + size + (at + 1) * 10_000)
        spare = [people.number(each) for each in own]
        receptions.append(Reception(stack, schedule, patients[at::WORKERS], spare, at))
    with ThreadPoolExecutor(WORKERS) as pool:
        working = [pool.submit(each.work, ended) for each in receptions]
        follow(stack, schedule, ended)
        outcomes = sum((each.result() for each in working), Counter())

    expected = {}
    for patient in patients:
        expected[patient.phone] = [] if patient.cancelled else [patient.text]
        expected.update({phone: [] for phone in patient.before})
    found = evidence.check(stack, schedule, expected, since)
    cancelled = sum(patient.cancelled for patient in patients)
    equal("states", found, {"DELIVRD": size - cancelled, "CANCELLED": cancelled})
    if min(outcomes["in time"], outcomes["too late"]) == 0:
        raise SystemExit(f"the changes did not race with sending: {dict(outcomes)}")
    return f"{size} patients, changes {dict(outcomes)}, {found}"
