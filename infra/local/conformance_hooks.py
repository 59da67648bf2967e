"""Who schemathesis is to the API, and what of its judgement is not taken.

It is the admin of the stack, logged in as a person is, and the carrier of the stack, which signs what it sends. Calls that end a session
are made by somebody else, in a session of their own each time; nobody takes the admin's rights from him.
"""

import ast
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
import urllib.request

import schemathesis

API = os.environ["API_URL"]
with open(os.environ["ADMIN_FILE"]) as file:
    ADMIN = json.load(file)
# Under the quarter of an hour for which an access token is good.
FRESH_S = 600
LEAVER = f"leaver-{secrets.token_hex(4)}"
PASSWORD = secrets.token_urlsafe(24)
ENDS_SESSIONS = ["/v1/auth/logout"]
LISTS = ["/v1/schedules", "/v1/schedules/{id}/recipients", "/v1/suppressions/import"]
SIGNED = ["/v1/carrier/callbacks/{carrier}"]

# What is wrong with requests that no schema forbids: numbers in use, zones, hours and times, variables of texts, cursors, passwords,
# other machines.
BEYOND_SCHEMAS = {
    "not-a-cursor", "not-a-column", "not-the-content-type", "not-a-number", "no-country-code", "unknown-country-code", "too-short", "too-long", "not-valid-for-country",
    "in-the-past", "too-far-ahead", "not-a-zone", "not-later", "not-a-country", "missing-variable", "bad-variable", "none-valid", "not-both",
    "wrong", "not-new", "not-a-url", "not-https", "login-in-url", "not-this-machine", "no-phone-column",
}  # fmt: skip

_lock = threading.Lock()
_parse = ast.parse


def _parse_alone(*arguments, **options):
    """Python 3.11 counts how deep a parser is for all threads together, and fails when two parse at once."""
    with _lock:
        return _parse(*arguments, **options)


ast.parse = _parse_alone


@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    """A line an entry."""
    lines = value if isinstance(value, list) else [value]
    return {"data": "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines).encode(errors="replace")}


@schemathesis.serializer("text/csv", "application/gzip")
def as_it_is(context, value):
    """The text."""
    return {"data": value if isinstance(value, bytes) else str(value).encode(errors="replace")}


def _post(path, body, token=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(urllib.request.Request(API + path, json.dumps(body).encode(), headers), timeout=35) as answer:
        return json.load(answer)


def _log_in(username, password, **more):
    return _post("/v1/auth/login", {"username": username, "password": password, **more})


def _somebody_else():
    token = _log_in(**ADMIN)["access_token"]
    made = _post("/v1/users", {"username": LEAVER, "role": "admin"}, token)
    _log_in(LEAVER, made["temporary_password"], new_password=PASSWORD)
    with urllib.request.urlopen(urllib.request.Request(API + "/v1/users", headers={"authorization": f"Bearer {token}"}), timeout=35) as answer:
        return {user["id"] for user in json.load(answer)["users"]}


OWN = _somebody_else()
# Before anything is tried: wrong passwords lock the address that they come from.
FIRST_TOKEN = [_log_in(**ADMIN)["access_token"]]


class Bearer:
    """`Authorization: Bearer`."""

    def set(self, case, data, context):
        """Put it on."""
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.auth(refresh_interval=FRESH_S).skip_for(path=ENDS_SESSIONS + SIGNED)
class Admin(Bearer):
    """The admin, in one session."""

    def get(self, case, context):
        """A token."""
        return FIRST_TOKEN.pop() if FIRST_TOKEN else _log_in(**ADMIN)["access_token"]


@schemathesis.auth(refresh_interval=None).apply_to(path=ENDS_SESSIONS)
class Leaver(Bearer):
    """Somebody else, in a session of his own each time."""

    def get(self, case, context):
        """A token."""
        return _log_in(LEAVER, PASSWORD)["access_token"]


@schemathesis.auth(refresh_interval=None).apply_to(path=SIGNED)
class Carrier:
    """Signs what it sends, as a carrier does."""

    def get(self, case, context):
        """The secret of the one that the local stack knows."""
        return json.loads(os.environ["CALLBACK_SECRETS"])["sim"]

    def set(self, case, data, context):
        """Time stamp and signature."""
        now = str(int(time.time()))
        sent = case.as_transport_kwargs()
        body = json.dumps(sent["json"], allow_nan=False).encode() if "json" in sent else sent.get("data")
        body = body if isinstance(body, bytes) else b""
        signature = hmac.new(data.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
        case.headers = case.headers or {}
        case.headers.update({"X-Callback-Timestamp": now, "X-Callback-Signature": f"v1={signature}"})


@schemathesis.hook
def map_case(context, case):
    """A webhook on this machine, where nobody listens: the stack takes no other."""
    if case.operation.path.startswith("/v1/webhooks") and isinstance(case.body, dict):
        url = case.body.get("url")
        if isinstance(url, str) and url.startswith(("http://", "https://")) and len(url) < 2000:
            case.body["url"] = "http://127.0.0.1:9/hook"
    return case


@schemathesis.hook
def filter_case(context, case):
    """Leave those alone who make the calls."""
    return case.operation.path != "/v1/users/{id}" or str((case.path_parameters or {}).get("id")) not in OWN


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """What is no failure: a request that is refused for what no schema can say; a revoked key, which can still be looked at."""
    if failure.code == "ST202" and response.status_code == 400 and case.media_type != "application/json":
        return False  # no schema says what gzip, CSV and a line of JSON are
    if failure.code == "ST202" and response.status_code == 422:
        problem = json.loads(response.content)
        wrong = {error["code"] for error in problem.get("errors", [])}
        return problem["type"] != "/problems/idempotency-key-reused" and not (wrong and wrong <= BEYOND_SCHEMAS)
    if failure.code == "ST201" and case.operation.path in LISTS:
        return False  # what is no number is an entry that is told, and under `on_invalid: skip` the rest counts
    return not (failure.code == "ST301" and case.operation.path == "/v1/api-keys/{id}")
