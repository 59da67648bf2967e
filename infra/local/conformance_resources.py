"""Resources for schemathesis in the states that an operation needs, and which operations it reached.

Ids that schemathesis makes up name nothing, and most calls of a sequence end in a wrong state: a
schedule cannot be resumed unless it is paused. So some of the valid requests get a resource that
was made for them. Each operation that is answered 2xx is recorded in the file CONFORMANCE_REACHED;
run as a program, this module fails if one is missing that is not in NOT_REACHED.
"""

import itertools
import json
import os
import pathlib
import random
import sys
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

# Operations that no valid request reaches, with the reason. Those with a body are executed with their
# examples by functions/api/tests/handlers/openapi_examples.rs.
NOT_REACHED = {
    "POST /v1/schedules/{id}/send-now": "needs a schedule that was found hours too late",
    "POST /v1/schedules/{id}/recipients/{recipient}/resolve": "needs a request without an answer",
    "POST /v1/schedules/{id}/recipients": "needs a list of valid numbers in one of eight formats",
    "POST /v1/spreadsheets/convert": "needs a file of a spreadsheet",
    "POST /v1/auth/login": "needs a password",
    "POST /v1/auth/password": "needs a password",
    "POST /v1/auth/refresh": "needs a refresh token",
    "POST /v1/auth/second-factor": "needs a password",
    "POST /v1/auth/second-factor/confirm": "needs a code",
    "POST /v1/auth/second-factor/remove": "needs a password and a code",
    "DELETE /v1/auth/sessions/{id}": "needs a session of the caller",
    "GET /v1/schedules/{id}/approval": "no schedule of the run needs an approval",
    "POST /v1/schedules/{id}/approve": "needs a second person",
    "POST /v1/schedules/{id}/reject": "needs a second person",
    "PUT /v1/prices": "needs a table of prices",
    "POST /v1/schedules/{id}/resend": "needs a finished schedule with failed messages",
    "POST /v1/schedules/{id}/recipients/cancel": "needs recipients that the schedule has",
    "GET /openapi.json": "schemathesis reads it before the first request that is recorded",
}
# Others that a run may miss, because its time is limited. Each kind of request is also sent by the
# tests of the handlers.
MISSED_BY_CHANCE = 3
# The share of the valid requests that get a resource.
SHARE = 0.3
DOCUMENT = pathlib.Path(__file__).parents[2] / "docs/openapi.json"


class Resources:
    """Makes resources through the API, with the calls of an administrator."""

    def __init__(self, call):
        """Takes a function (method, path, body) that calls the API and returns the JSON."""
        self.call = call
        self.numbers = itertools.count(1_000_000)
        self.lock = threading.Lock()
        self.random = random.Random(os.environ.get("SEED"))  # noqa: S311
        self.finished = []

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

    def due(self, count):
        """Creates schedules whose messages end UNDELIV in the next seconds."""
        at = datetime.now(UTC) + timedelta(seconds=2)
        self.finished = [self.schedule(run_at=at.isoformat(), max_attempts=1) for _ in range(count)]

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

    def chosen(self):
        """Draws whether a request gets a resource."""
        with self.lock:
            return self.random.random() < SHARE


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
