"""Who may call the local stack's API: the keys that sign its tokens, a person who may do everything, and an API key for clients.

All of it is made once for a state folder and holds until `down`. It stands in files that only their owner can read: the API key, the
signing keys and the secret of callbacks in <state>/stack.env, the person's name and password in <state>/admin.json. `person` is what `make admin` does.
"""

import json
import secrets
import urllib.error
import urllib.request

import emulator
import logs

ADMIN = "local-admin"
CARRIER = "sim"  # the simulator's name in the path of its callbacks
# Everything that a key may do.
PERMISSIONS = ("schedules:read", "schedules:write", "trouble:read", "trouble:write", "suppressions:read", "suppressions:write", "webhooks:read", "audit:read")
# Longer than the gateway lets any call take; a password is hashed slowly, the more so by a binary that is not optimised.
TIMEOUT_S = 35


def private(file, text):
    """Write a file that nobody else can read, whole or not at all."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    new.rename(file)


def signing_keys():
    """New keys, as JWT_KEYS and WEBHOOK_KEYS take them."""
    return json.dumps({"kid": "local", "key": secrets.token_urlsafe(48)}, separators=(",", ":"))


def callback_secrets():
    """A new secret with which the simulator may sign receipts, as CALLBACK_SECRETS takes it."""
    return json.dumps({CARRIER: secrets.token_urlsafe(48)}, separators=(",", ":"))


def person(processes, function, name):
    """Make somebody an admin by way of the function migrate: {username, temporary_password}."""
    payload = json.dumps({"admin": name}).encode()
    answer = emulator.client(processes, "lambda").invoke(FunctionName=function, Payload=payload)
    body = answer["Payload"].read().decode()
    if "FunctionError" in answer or "temporary_password" not in body:
        raise SystemExit(f"no admin was made: {body}\n{logs.tail(processes, 'migrate')}")
    return json.loads(body)


def api_key(stack, api, function):
    """The stack's API key: the one that it remembers, if that is still good, else a new one."""
    known = stack.facts.get("api_key")
    if not known or not _is_good(api, known):
        stack.remember(api_key=_new_key(stack, api, function))
    return stack.facts["api_key"]


def _new_key(stack, api, function):
    made = person(stack.processes, function, ADMIN)
    login = {"username": made["username"], "password": made["temporary_password"], "new_password": secrets.token_urlsafe(24)}
    tokens = _post(f"{api}/v1/auth/login", login)
    private(stack.state / "admin.json", json.dumps({"username": login["username"], "password": login["new_password"]}) + "\n")
    wanted = {"name": "local", "permissions": list(PERMISSIONS)}
    return _post(f"{api}/v1/api-keys", wanted, tokens["access_token"])["key"]


def _is_good(api, key):
    try:
        with _call(f"{api}/v1/auth/me", key):
            return True
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return False
        raise SystemExit(_said("GET /v1/auth/me", error)) from error


def _post(url, body, token=None):
    try:
        with _call(url, token, json.dumps(body).encode()) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(_said(f"POST {url}", error)) from error


def _call(url, token, body=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    return urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=TIMEOUT_S)


def _said(call, error):
    return f"{call} answered {error.code}: {error.read().decode(errors='replace')[:2000]}"
