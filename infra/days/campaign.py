"""The day of a marketing agency: a text to everybody in two messy files, with a pause in the middle.

The first file is what Excel saves as UTF-8: a byte order mark, `sep=;`, CRLF. The second is
windows-1252, compressed. Both have numbers in national and other spellings, duplicates, landlines,
numbers that a spreadsheet has shortened, and empty rows. Some people have opted out.
"""

import gzip
import time
from collections import Counter
from dataclasses import dataclass, field

import evidence
import people
from stack import equal, in_seconds

TEXT = "Dear {{first_name}}, our sale in {{store}} begins today. 10% off with this text."
HEADER = "First Name;Mobile;Store;;"
WAIT_S = 300
# Each row with a place that is a multiple of these is special.
DUPLICATE, DAMAGED, EMPTY, OPTED_OUT = 50, 37, 200, 83


@dataclass
class Table:
    """A file, and what the API should make of it."""

    charset: str
    rows: list = field(default_factory=list)
    texts: dict = field(default_factory=dict)
    stores: Counter = field(default_factory=Counter)
    duplicates: int = 0
    damaged: list = field(default_factory=list)

    def add(self, at, phone):
        """Adds the row of a person, and the rows that are wrong after it."""
        name, store = people.name(at, self.charset), people.STORES[at % len(people.STORES)]
        self.write(name, people.spelled(phone, at), store)
        self.texts[phone] = TEXT.replace("{{first_name}}", name).replace("{{store}}", store)
        self.stores[store] += 1
        if at % DUPLICATE == 0:
            self.write(name, people.spelled(phone, at + 1), store)
            self.duplicates += 1
        if at % DAMAGED == 0:
            self.damaged.append(people.DAMAGED[at // DAMAGED % len(people.DAMAGED)])
            self.write(name, self.damaged[-1], store)
        if at % EMPTY == 0:
            self.rows.append(";;;;")

    def write(self, name, phone, store):
        """Adds a row."""
        self.rows.append(";".join((people.field(name), people.field(phone), store, "", "")))

    def text(self):
        """Returns the text of the file."""
        return "\r\n".join([HEADER, *self.rows, ""])


def tables(size, first):
    """Returns both files."""
    half = size // 2
    files = Table("utf-8"), Table("windows-1252")
    for at in range(size):
        files[at >= half].add(at, people.number(first + at))
    return files


def append(stack, schedule, table, query=""):
    """Appends a file in its encoding; returns the answer."""
    path = f"/v1/schedules/{schedule}/recipients?{query}"
    if table.charset == "utf-8":
        body = f"\ufeffsep=;\r\n{table.text()}".encode()
        return stack.call("POST", path, body, kind="text/csv")
    body = gzip.compress(table.text().encode(table.charset), mtime=0)
    path = f"{path}&charset={table.charset}"
    return stack.call("POST", path, body, kind="application/gzip")


def upload(stack, schedule, files, opted_out):
    """Tries and appends both files; each upload is repeated, which adds nothing."""
    total = 0
    for table in files:
        tried = append(stack, schedule, table, "dry_run=true")
        wanted = {
            "valid": len(table.texts),
            "duplicates_in_list": table.duplicates,
            "invalid_count": len(table.damaged),
            "suppressed": len(opted_out & table.texts.keys()),
        }
        equal("dry run of a file", {name: tried[name] for name in wanted}, wanted)
        added = append(stack, schedule, table)
        total += len(table.texts)
        names = ("accepted", "duplicates", "invalid_count")
        found = {name: added[name] for name in names}
        wanted = dict(zip(names, (total_of(table), table.duplicates, len(table.damaged))))
        equal("a file", found, wanted)
        again = append(stack, schedule, table)
        equal("a repeated file", (again["repeated"], again["accepted"]), (True, 0))
    return total


def total_of(table):
    """Returns how many people are in a file."""
    return len(table.texts)


def pause_in_the_middle(stack, schedule, size):
    """Pauses while the schedule is sent: nothing more reaches the carrier until it is resumed."""
    path = f"/v1/schedules/{schedule}"
    deadline = time.monotonic() + 60
    while (sent := stack.get(path)["already_sent"]) < size // 10:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {sent} sent after 60 s")
        time.sleep(0.1)
    stack.call("POST", f"{path}/pause", {"reason": "the price is wrong"})
    time.sleep(2)
    before = len(stack.ledger())
    time.sleep(2)
    paused = stack.get(path)
    equal("a paused schedule", (paused["status"], len(stack.ledger())), ("paused", before))
    if paused["already_sent"] >= size:
        raise SystemExit("the pause came too late to show anything: send more, or slower")
    stack.call("POST", f"{path}/resume")
    return paused["already_sent"]


def run(stack, size):
    """Carries out the day."""
    since, first = len(stack.ledger()), people.first_number(0)
    files = tables(size, first)
    opted_out = {people.number(first + at) for at in range(0, size, OPTED_OUT)}
    stack.call("POST", "/v1/suppressions/import", {"recipients": sorted(opted_out)})
    draft = {
        "run_at": in_seconds(3600), "draft": True, "name": "Sale", "labels": ["sale"],
        "default_country": "MY", "on_invalid": "skip", "types": "mobile", "message": TEXT,
        "group_column": "Store", "rate": max(50, size // 20),
    }  # fmt: skip
    schedule = stack.call("POST", "/v1/schedules", draft)["id"]
    total = upload(stack, schedule, files, opted_out)
    tried = stack.call("POST", f"/v1/schedules/{schedule}/dry-run")
    equal("dry run of the draft", (tried["accepted"], tried["recipients"]["total"]), (True, total))
    stack.call("PATCH", f"/v1/schedules/{schedule}", {"run_at": in_seconds(3)})
    stack.call("POST", f"/v1/schedules/{schedule}/activate")
    sent = pause_in_the_middle(stack, schedule, size)
    stack.wait(schedule, "finished", WAIT_S)

    texts = {**files[0].texts, **files[1].texts}
    expected = {phone: [] if phone in opted_out else [text] for phone, text in texts.items()}
    damaged = files[0].damaged + files[1].damaged
    found = evidence.check(stack, schedule, expected, since)
    wanted = {
        "DELIVRD": total - len(opted_out),
        "SUPPRESSED": len(opted_out),
        "INVALID": len(damaged),
    }
    equal("states", found, wanted)
    refused = stack.report(f"/v1/schedules/{schedule}/recipients?status=INVALID")
    equal("damaged rows", Counter(row["input"] for row in refused), Counter(damaged))
    groups = stack.get(f"/v1/schedules/{schedule}/groups")["groups"]
    stores = {group["group"]: group["recipients"] for group in groups}
    equal("stores", stores, dict(files[0].stores + files[1].stores))
    return f"{total} people, {sent} before the pause, {found}"
