"""Hooks for schemathesis: authentication, body formats, and failures that do not count.

Requests use a session of the stack's administrator, or the signature of the stack's carrier. A
second user makes the calls that end a session, in a new session each time. No request changes these
two users.
"""

import ast
import base64
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
import urllib.request

import conformance_resources
import schemathesis

API = os.environ["API_URL"]
with open(os.environ["ADMIN_FILE"]) as file:
    ADMIN = json.load(file)
# Less than the validity of an access token, 15 minutes.
REFRESH_S = 600
SECOND_USER = f"second-{secrets.token_hex(4)}"
PASSWORD = secrets.token_urlsafe(24)
ENDS_SESSIONS = ["/v1/auth/logout", "/v1/auth/sessions/{id}"]
LISTS = ["/v1/schedules", "/v1/schedules/{id}/recipients", "/v1/suppressions/import"]
SIGNED = ["/v1/carrier/callbacks/{carrier}"]

# Codes of errors that no schema can express: phone numbers, time zones, hours and times, template
# variables, cursors, passwords, addresses of other machines, encodings, white space of Unicode.
BEYOND_SCHEMAS = {
    "not-a-cursor", "not-a-column", "not-the-content-type", "not-a-number", "no-country-code",
    "unknown-country-code", "too-short", "too-long", "not-valid-for-country", "in-the-past",
    "too-far-ahead", "not-a-zone", "not-later", "not-a-country", "missing-variable", "bad-variable",
    "none-valid", "not-both", "wrong", "not-new", "not-a-url", "not-https", "login-in-url",
    "not-this-machine", "no-phone-column", "not-after-run-at", "window-closed", "digits-lost",
    "ambiguous-number", "ambiguous-column", "not-mobile", "not-an-encoding", "not-a-name",
    "not-a-reason", "country-not-allowed", "number-type-not-allowed", "sender-not-allowed", "one-of", "nothing-to-change",
    "not-alone", "no-such-column", "wrong-reference", "wrong-group",
    "duplicate", "in-use", "not-a-network", "not-found", "too-common", "missing-reference",
    "too-many-of-number", "no-such-sheet", "formula-error", "unknown-column", "required",
    "not-a-prefix", "not-an-amount", "not-a-scope", "too-many",
}  # fmt: skip

_lock = threading.Lock()
_parse = ast.parse


def _parse_exclusively(*arguments, **options):
    """Parses in one thread at a time.

    Python 3.11 counts the recursion depth of the parser for all threads together, and fails if two
    threads parse at the same time.
    """
    with _lock:
        return _parse(*arguments, **options)


ast.parse = _parse_exclusively


@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    """Serializes one entry per line."""
    lines = value if isinstance(value, list) else [value]
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    return {"data": text.encode(errors="replace")}


@schemathesis.serializer(
    "text/csv",
    "application/gzip",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.oasis.opendocument.spreadsheet",
)
def unchanged(context, value):
    """Sends the value as it is."""
    return {"data": value if isinstance(value, bytes) else str(value).encode(errors="replace")}


def _call(path, token=None, body=None):
    headers = {"content-type": "application/json"} if body else {}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(
        urllib.request.Request(API + path, data, headers), timeout=35
    ) as response:
        return json.load(response)


def _log_in(username, password, **more):
    return _call("/v1/auth/login", body={"username": username, "password": password, **more})


def _create_second_user():
    """Creates the second user; returns the ids of all users."""
    token = _log_in(**ADMIN)["access_token"]
    user = _call("/v1/users", token, {"username": SECOND_USER, "role": "admin"})
    _log_in(SECOND_USER, user["temporary_password"], new_password=PASSWORD)
    return {user["id"] for user in _call("/v1/users", token)["users"]}


PROTECTED_USERS = _create_second_user()
# Logged in before the run, because wrong passwords lock the client's IP address.
FIRST_TOKEN = [_log_in(**ADMIN)["access_token"]]
REFRESH_TOKENS = [_log_in(SECOND_USER, PASSWORD)["refresh_token"]]


class Caller:
    """The administrator's calls that make resources, in a session of their own."""

    def __init__(self):
        """Logs in at the first call."""
        self.token, self.until = None, 0.0
        self.lock = threading.Lock()

    def __call__(self, method, path, body):
        """Calls the API; returns the JSON of the answer."""
        with self.lock:
            if time.monotonic() > self.until:
                self.token = _log_in(**ADMIN)["access_token"]
                self.until = time.monotonic() + REFRESH_S
        return conformance_resources.http(API, self.token, method, path, body)


RESOURCES = conformance_resources.Resources(Caller())
RESOURCES.due(3)


def _credentials():
    """Returns the body of a login."""
    return {"username": SECOND_USER, "password": PASSWORD}


def _first_refresh():
    """Returns the body of a refresh: with a token once, because its repetition ends the session."""
    return {"refresh_token": REFRESH_TOKENS.pop() if REFRESH_TOKENS else "used"}


# The bodies of calls that need a password or a token.
LOGINS = {"POST /v1/auth/login": _credentials, "POST /v1/auth/refresh": _first_refresh}
REACHED = conformance_resources.Reached(os.environ["CONFORMANCE_REACHED"])


class Bearer:
    """`Authorization: Bearer`."""

    def set(self, case, data, context):
        """Sets the header."""
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.auth(refresh_interval=REFRESH_S).skip_for(path=ENDS_SESSIONS + SIGNED)
class Admin(Bearer):
    """The administrator, in one session."""

    def get(self, case, context):
        """Returns an access token."""
        return FIRST_TOKEN.pop() if FIRST_TOKEN else _log_in(**ADMIN)["access_token"]


@schemathesis.auth(refresh_interval=None).apply_to(path=ENDS_SESSIONS)
class SecondUser(Bearer):
    """The second user, in a new session each time."""

    def get(self, case, context):
        """Returns an access token."""
        return _log_in(SECOND_USER, PASSWORD)["access_token"]


@schemathesis.auth(refresh_interval=None).apply_to(path=SIGNED)
class Carrier:
    """The carrier, which signs its requests."""

    def get(self, case, context):
        """Returns the secret of the local stack's carrier."""
        return json.loads(os.environ["CALLBACK_SECRETS"])["sim"]

    def set(self, case, data, context):
        """Sets the headers with timestamp and signature."""
        now = str(int(time.time()))
        sent = case.as_transport_kwargs()
        if "json" in sent:
            body = json.dumps(sent["json"], allow_nan=False).encode()
        else:
            body = sent.get("data")
        body = body if isinstance(body, bytes) else b""
        signature = hmac.new(data.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
        case.headers = case.headers or {}
        case.headers["X-Callback-Timestamp"] = now
        case.headers["X-Callback-Signature"] = f"v1={signature}"


@schemathesis.hook
def map_case(context, case):
    """Gives some valid requests a resource, and all of them URLs that the stack accepts.

    These are an unused port of this machine.
    """
    _use_resource(case)
    if not isinstance(case.body, dict):
        return case
    for name, path in (("url", "/v1/webhooks"), ("callback_url", "/v1/schedules")):
        url = case.body.get(name)
        web = isinstance(url, str) and url.startswith(("http://", "https://"))
        if case.operation.path.startswith(path) and web and len(url) < 2000:
            case.body[name] = "http://127.0.0.1:9/hook"
    return case


def _use_resource(case):
    """Replaces the parameters of the path of some valid requests; a sequence has its own."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or meta.phase.name == "stateful":
        return
    label = case.operation.label
    made = RESOURCES.body(label, case.media_type) if case.media_type else None
    if made is None and label in conformance_resources.WITH_FILES:
        return
    if not case.path_parameters and made is None and label not in LOGINS:
        return
    if not RESOURCES.chosen(label):
        return
    if label == "DELETE /v1/auth/sessions/{id}":
        case.path_parameters["id"] = _session_of(_log_in(SECOND_USER, PASSWORD)["access_token"])
    elif case.path_parameters:
        case.path_parameters.update(RESOURCES.parameters(label) or {})
    if made is not None:
        case.body, case.query = made, conformance_resources.QUERIES.get(label, {})
    elif label in LOGINS:
        case.body = LOGINS[label]()


def _session_of(token):
    """Returns the session of an access token."""
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sid"]


@schemathesis.hook
def after_call(context, case, response):
    """Records the operations that were answered 2xx."""
    if 200 <= response.status_code < 300:
        REACHED.record(case.operation.label)


@schemathesis.hook
def filter_case(context, case):
    """Skips requests that would change the users that make the calls."""
    user = str((case.path_parameters or {}).get("id"))
    return case.operation.path != "/v1/users/{id}" or user not in PROTECTED_USERS


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Returns whether a failure counts.

    It does not if a request was rejected for a reason that no schema can express, or if it reads a
    revoked key, which remains readable.
    """
    if failure.code == "ST202" and response.status_code == 400:
        if case.media_type != "application/json":
            return False  # no schema describes gzip, CSV and lines of JSON
    if failure.code == "ST202" and response.status_code == 422:
        problem = json.loads(response.content)
        codes = {error["code"] for error in problem.get("errors", [])}
        reused = problem["type"] == "/problems/idempotency-key-reused"
        return not reused and not (codes and codes <= BEYOND_SCHEMAS)
    if failure.code == "ST201" and case.operation.path in LISTS:
        return False  # an invalid number is an entry's error; `on_invalid: skip` accepts the rest
    return not (failure.code == "ST301" and case.operation.path == "/v1/api-keys/{id}")
