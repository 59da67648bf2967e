"""Who schemathesis is to the API: the admin of the stack, logged in as a person is.

Calls that end a session are made by somebody else, in a session of their own each time; nobody takes the admin's rights from him.
"""

import json
import os
import threading
import urllib.request

import schemathesis

API = os.environ["API_URL"]
ADMIN = json.load(open(os.environ["ADMIN_FILE"]))
# Under the quarter of an hour for which an access token is good.
FRESH_S = 600
PASSWORD = "a password for this run only"
ENDS_SESSIONS = ("/v1/auth/logout", "/v1/auth/password")
_lock = threading.Lock()
_leaver = {}


def _post(path, body, token=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(API + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=35) as answer:
        return json.load(answer)


def _log_in(username, password, **more):
    return _post("/v1/auth/login", {"username": username, "password": password, **more})


def _leave():
    """Somebody who logs in to leave again; made at the first call."""
    with _lock:
        if not _leaver:
            made = _post("/v1/users", {"username": "leaver", "role": "admin"}, _log_in(**ADMIN)["access_token"])
            _log_in("leaver", made["temporary_password"], new_password=PASSWORD)
            _leaver.update(made)
    return _log_in("leaver", PASSWORD)["access_token"]


class Bearer:
    """`Authorization: Bearer`."""

    def set(self, case, data, context):
        """Put it on."""
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.auth(refresh_interval=FRESH_S).skip_for(path=list(ENDS_SESSIONS))
class Admin(Bearer):
    """The admin, in one session."""

    def get(self, case, context):
        """A token."""
        return _log_in(**ADMIN)["access_token"]


@schemathesis.auth(refresh_interval=None).apply_to(path=list(ENDS_SESSIONS))
class Leaver(Bearer):
    """Somebody else, in a session of his own each time."""

    def get(self, case, context):
        """A token."""
        return _leave()


@schemathesis.hook
def filter_case(context, case):
    """Leave those alone who make the calls."""
    own = {ADMIN["username"], "leaver"}
    if case.operation.path != "/v1/users/{id}" or case.method != "PATCH":
        return True
    return str((case.path_parameters or {}).get("id")) not in _ids(own)


def _ids(names):
    with _lock:
        if not _known:
            request = urllib.request.Request(API + "/v1/users", headers={"authorization": f"Bearer {_log_in(**ADMIN)['access_token']}"})
            with urllib.request.urlopen(request, timeout=35) as answer:
                _known.update({user["username"]: user["id"] for user in json.load(answer)["users"]})
    return {_known.get(name) for name in names}


_known = {}
