"""Creates the local stack's credentials: signing keys, an administrator and an API key for clients.

They are created once per state folder and stay valid until `down`. Only the owner can read the
files that contain them: <state>/stack.env has the API key, the signing keys and the callback
secret, <state>/admin.json has the administrator's username and password. `make admin` uses
create_admin().
"""

import json
import secrets
import urllib.error
import urllib.request

import emulator
import logs

ADMIN = "local-admin"
CARRIER = "sim"  # name of the simulator in the path of its callbacks
# What the first examples of docs/api call.
PERMISSIONS = (
    "schedules:read", "schedules:write", "schedules:high", "attention:read", "attention:write",
    "suppressions:read", "suppressions:write", "people:read", "people:erase", "webhooks:read",
    "webhooks:own", "carriers:read", "carriers:write", "audit:read",
)  # fmt: skip
# Longer than the gateway's timeout. Password hashing is slow, above all in a binary without
# optimization.
TIMEOUT_S = 35


def write_private(file, text):
    """Writes a file atomically; only its owner can read it."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    new.rename(file)


def signing_keys():
    """Returns new keys in the format of JWT_KEYS and WEBHOOK_KEYS."""
    return json.dumps({"kid": "local", "key": secrets.token_urlsafe(48)}, separators=(",", ":"))


def callback_secrets():
    """Returns a new secret for the simulator's receipts, in the format of CALLBACK_SECRETS."""
    return json.dumps({CARRIER: secrets.token_urlsafe(48)}, separators=(",", ":"))


def create_admin(processes, function, name):
    """Invokes migrate to create an administrator; returns {username, temporary_password}."""
    payload = json.dumps({"admin": name}).encode()
    answer = emulator.client(processes, "lambda").invoke(FunctionName=function, Payload=payload)
    body = answer["Payload"].read().decode()
    if "FunctionError" in answer or "temporary_password" not in body:
        raise SystemExit(
            f"migrate did not create an administrator: {body}\n{logs.tail(processes, 'migrate')}"
        )
    return json.loads(body)


def api_key(stack, api, function):
    """Returns the stack's saved API key if it is still valid, otherwise a new one."""
    known = stack.facts.get("api_key")
    if not known or not _is_valid(api, known):
        stack.remember(api_key=_new_key(stack, api, function))
    return stack.facts["api_key"]


def _new_key(stack, api, function):
    admin = create_admin(stack.processes, function, ADMIN)
    login = {
        "username": admin["username"],
        "password": admin["temporary_password"],
        "new_password": secrets.token_urlsafe(24),
    }
    tokens = request(f"{api}/v1/auth/login", None, login)
    account = {"username": login["username"], "password": login["new_password"]}
    write_private(stack.state / "admin.json", json.dumps(account) + "\n")
    wanted = {"name": "local", "permissions": list(PERMISSIONS)}
    return request(f"{api}/v1/api-keys", tokens["access_token"], wanted)["key"]


def _is_valid(api, key):
    try:
        with _call(f"{api}/v1/auth/me", key):
            return True
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return False
        raise SystemExit(_error_text("GET /v1/auth/me", error)) from error


def request(url, token=None, body=None, method=None):
    """Calls the API; returns its JSON answer, None if that is empty. Exits if it is an error."""
    try:
        with _call(url, token, body, method) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(_error_text(f"{method or 'POST'} {url}", error)) from error
    return json.loads(text) if text else None


def _call(url, token, body=None, method=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(url, data, headers, method=method)
    return urllib.request.urlopen(sent, timeout=TIMEOUT_S)


def _error_text(call, error):
    return f"{call} answered {error.code}: {error.read().decode(errors='replace')[:2000]}"
