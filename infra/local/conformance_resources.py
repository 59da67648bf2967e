"""Resources for schemathesis in the states that an operation needs, and which operations it reached.

Ids that schemathesis makes up name nothing, and most calls of a sequence end in a wrong state: a
schedule cannot be resumed unless it is paused. So some of the valid requests get a resource that
was made for them. Each operation that is answered 2xx is recorded in the file CONFORMANCE_REACHED;
run as a program, this module fails if one is missing that is not in NOT_REACHED.
"""

import gzip
import io
import itertools
import json
import os
import pathlib
import random
import sys
import threading
import urllib.error
import urllib.request
import zipfile
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

# Operations that no valid request reaches, with the reason. Those with a body are executed with their
# examples by functions/api/tests/handlers/openapi_examples.rs.
NOT_REACHED = {
    "POST /v1/schedules/{id}/send-now": "needs a schedule that was found hours too late",
    "GET /v1/schedules/{id}/approval": "no schedule of the run needs an approval",
    "POST /v1/schedules/{id}/approve": "needs a second person",
    "POST /v1/schedules/{id}/reject": "needs a second person",
    "POST /v1/auth/login": "wrong passwords of other requests at the same time lock the address",
    "POST /v1/auth/password": "would change the password with which the run logs in",
    "POST /v1/auth/second-factor": "would add a second factor to the run's own logins",
    "POST /v1/auth/second-factor/confirm": "needs a code, from the secret of such a second factor",
    "POST /v1/auth/second-factor/remove": "needs such a second factor",
    "POST /v1/schedules/{id}/recipients": "not reached, although a list is made for it",
    "POST /v1/auth/refresh": "not reached, although a token is made for it",
    "GET /openapi.json": "schemathesis reads it before the first request that is recorded",
}
# Others that a run may miss, because its time is limited. Each kind of request is also sent by the
# tests of the handlers.
MISSED_BY_CHANCE = 3
# The share of the valid requests that get a resource.
SHARE = 0.3
DOCUMENT = pathlib.Path(__file__).parents[2] / "docs/openapi.json"


# The operations whose bodies are files or lists: no schema describes what is in them.
APPEND, CONVERT = "POST /v1/schedules/{id}/recipients", "POST /v1/spreadsheets/convert"
PRICES = "PUT /v1/prices"
WITH_FILES = {APPEND, CONVERT, PRICES}
CANCEL = "POST /v1/schedules/{id}/recipients/cancel"
# What their query has to say. Other parameters tell how to read a list, and none of these has their
# columns or sheets.
QUERIES = {PRICES: {"currency": "MYR"}}
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# The parts of a spreadsheet beside its sheet.
PARTS = {
    "[Content_Types].xml": """<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>""",
    "_rels/.rels": """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Target="xl/workbook.xml"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>
</Relationships>""",
    "xl/workbook.xml": """<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
<sheets><sheet name="Guests" sheetId="1" r:id="rId1"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": """<Relationships
 xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Target="worksheets/sheet1.xml"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/>
</Relationships>""",
}


def spreadsheet(rows):
    """Returns an XLSX file with a sheet of texts."""
    lines = []
    for number, row in enumerate(rows, 1):
        cells = "".join(
            f'<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>'
            for column, text in zip("ABC", row, strict=False)
        )
        lines.append(f'<row r="{number}">{cells}</row>')
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{''.join(lines)}</sheetData></worksheet>"
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return file.getvalue()


class Resources:
    """Makes resources through the API, with the calls of an administrator."""

    def __init__(self, call):
        """Takes a function (method, path, body) that calls the API and returns the JSON."""
        self.call = call
        self.numbers = itertools.count(1_000_000)
        self.lock = threading.Lock()
        self.random = random.Random(os.environ.get("SEED"))  # noqa: S311
        self.finished = []
        self.met = set()

    def number(self):
        """Returns a phone number that nothing else has."""
        with self.lock:
            return f"+6019{next(self.numbers)}"

    def schedule(self, **more):
        """Creates a schedule of two recipients; returns its id."""
        at = datetime.now(UTC) + timedelta(days=30)
        recipients = [
            {"phone": self.number(), "reference": name, "group": "north", "vars": {"name": name}}
            for name in ("R1", "R2")
        ]
        body = {
            "run_at": at.isoformat(),
            "message": "Hi {{name|default('you')}}",
            "recipients": recipients,
            "labels": ["conformance"],
            "reference": "conformance",
            **more,
        }
        return self.call("POST", "/v1/schedules", body)["id"]

    def draft(self):
        """Creates a draft."""
        return {"id": self.schedule(draft=True)}

    def scheduled(self):
        """Creates a schedule that waits for its time."""
        return {"id": self.schedule()}

    def paused(self):
        """Creates a schedule that is paused."""
        id = self.schedule()
        self.call("POST", f"/v1/schedules/{id}/pause", None)
        return {"id": id}

    def recipient(self):
        """Creates a schedule, and names one of its recipients."""
        name = self.random.choice(["1", "2", "R1", "R2"])
        return {"id": self.schedule(), "recipient": name}

    def sent_recipient(self):
        """Names a recipient whose message has ended, by its place."""
        return {**self.undelivered(), "recipient": self.random.choice(["1", "2"])}

    def entries(self, media_type):
        """Returns a list of two recipients in a format; None if it has no maker."""
        numbers = [self.number(), self.number()]
        table = "phone,name\n" + "".join(f"{number},Ana\n" for number in numbers)
        lines = "".join(json.dumps({"phone": number}) + "\n" for number in numbers)
        return {
            "application/json": [{"phone": number, "group": "south"} for number in numbers],
            "application/x-ndjson": lines,
            "text/csv": table.encode(),
            "application/octet-stream": table.encode(),
            "application/gzip": gzip.compress(lines.encode()),
            SPREADSHEET: spreadsheet([["phone"], *([number] for number in numbers)]),
        }.get(media_type)

    def body(self, label, media_type):
        """Returns a body with what a schema cannot say, for the operations that need one."""
        if label == APPEND:
            return self.entries(media_type)
        if label == PRICES:
            return b"prefix,price\n60,0.05\n"
        if label == CANCEL:
            return {"recipients": [{"seq": 1}]}
        if label == CONVERT and media_type in (
            SPREADSHEET,
            "application/octet-stream",
        ):
            return spreadsheet([["Phone", "Name"], [self.number(), "Ana"]])
        return None

    def due(self, count):
        """Creates schedules whose messages end UNDELIV in the next seconds."""
        for _ in range(count):
            # More than a login before it takes on a busy machine.
            at = datetime.now(UTC) + timedelta(seconds=10)
            self.finished.append(self.schedule(run_at=at.isoformat(), max_attempts=1))

    def undelivered(self):
        """Names a schedule whose messages have ended UNDELIV."""
        return {"id": self.random.choice(self.finished)}

    def batch(self):
        """Names a batch of a schedule that was sent."""
        return {"id": self.random.choice(self.finished), "no": 1}

    def user(self):
        """Creates a user."""
        name = f"user-{self.number().strip('+')}"
        return {"id": self.call("POST", "/v1/users", {"username": name, "role": "viewer"})["id"]}

    def key(self):
        """Creates an API key."""
        body = {"name": "conformance", "permissions": ["schedules:read", "webhooks:own"]}
        return {"id": self.call("POST", "/v1/api-keys", body)["id"]}

    def webhook(self):
        """Creates a webhook of schedules with a label."""
        body = {
            "url": "http://127.0.0.1:9/hook",
            "events": ["schedule.paused"],
            "labels": ["conformance"],
        }
        return {"id": self.call("POST", "/v1/webhooks", body)["id"]}

    def delivery(self):
        """Creates a webhook with a delivery."""
        id = self.webhook()["id"]
        event = self.call("POST", f"/v1/webhooks/{id}/test", None)["event_id"]
        return {"id": id, "event_id": event}

    def suppression(self):
        """Creates a suppression."""
        phone = self.number()
        self.call("PUT", f"/v1/suppressions/{phone}", {"reason": "conformance"})
        return {"phone": phone}

    def parameters(self, label):
        """Returns the path parameters of a resource for an operation, if it needs one."""
        method, path = label.split(" ")
        needs = {
            "POST /v1/schedules/{id}/activate": self.draft,
            "POST /v1/schedules/{id}/resume": self.paused,
            "POST /v1/schedules/{id}/resend": self.undelivered,
            "POST /v1/schedules/{id}/batches/{no}/retry": self.batch,
            "POST /v1/schedules/{id}/recipients/{recipient}/resolve": self.sent_recipient,
        }.get(label)
        if needs is None and "{recipient}" in path:
            needs = self.recipient
        if needs is None and "{event_id}" in path:
            needs = self.delivery
        if needs is None:
            kinds = {
                "/v1/schedules/{id}": self.scheduled,
                "/v1/users/{id}": self.user,
                "/v1/api-keys/{id}": self.key,
                "/v1/webhooks/{id}": self.webhook,
                "/v1/suppressions/{phone}": self.suppression,
                "/v1/carriers/{carrier}": lambda: {"carrier": "main"},
                "/problems/{slug}": lambda: {"slug": "not-found"},
            }
            found = [make for start, make in kinds.items() if path.startswith(start)]
            needs = found[0] if found else None
        try:
            return needs() if needs else None
        except urllib.error.HTTPError as refused:
            # The deployment has as many webhooks as it may: the request keeps its made-up id.
            if refused.code != HTTPStatus.CONFLICT:
                raise
            return None

    def chosen(self, label):
        """Draws whether a request gets a resource: always the first of an operation."""
        with self.lock:
            is_first = label not in self.met
            self.met.add(label)
            return is_first or self.random.random() < SHARE


class Reached:
    """Records operations that were answered 2xx."""

    def __init__(self, path):
        """Takes the path of the file, to which the operations are appended."""
        self.path = path
        self.known = set()
        self.lock = threading.Lock()

    def record(self, label):
        """Records an operation."""
        with self.lock:
            if label not in self.known:
                self.known.add(label)
                with open(self.path, "a") as file:
                    file.write(f"{label}\n")


def http(api, token, method, path, body):
    """Calls the API; returns the JSON of the answer."""
    headers = {"authorization": f"Bearer {token}"}
    data = None
    if body is not None:
        headers["content-type"] = "application/json"
        data = json.dumps(body).encode()
    request = urllib.request.Request(api + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=35) as response:
        return json.loads(response.read() or b"null")


def operations():
    """Returns all operations of the document."""
    paths = json.loads(DOCUMENT.read_text())["paths"]
    methods = ("get", "put", "post", "patch", "delete")
    return {
        f"{method.upper()} {path}" for path, item in paths.items() for method in item if method in methods
    }


def missing(reached):
    """Returns the operations that were not reached, and should have been."""
    return sorted(operations() - reached - NOT_REACHED.keys())


def main():
    """Prints what was not reached. Fails if that is more than NOT_REACHED and a few by chance."""
    reached = set(pathlib.Path(os.environ["CONFORMANCE_REACHED"]).read_text().splitlines())
    unknown = sorted(NOT_REACHED.keys() - operations())
    left = missing(reached)
    for label in unknown:
        print(f"NOT_REACHED names an operation that does not exist: {label}", file=sys.stderr)
    for label in left:
        print(f"never answered 2xx: {label}", file=sys.stderr)
    print(f"{len(operations() & reached)} of {len(operations())} operations were answered 2xx")
    sys.exit(len(left) > MISSED_BY_CHANCE or bool(unknown))


if __name__ == "__main__":
    main()
