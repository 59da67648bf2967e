"""Tests that clients.py finds each kind of violation, on small documents and clients.

infra/local/python infra/local/test_clients.py
"""

import tempfile
import unittest
from pathlib import Path

import clients

DOCUMENT = {
    "paths": {
        "/v1/schedules": {
            "post": {"operationId": "createSchedule", "tags": ["schedules"], "requestBody": {}}
        },
        "/v1/api-keys/{id}": {"get": {"operationId": "getApiKey", "tags": ["api-keys"]}},
    }
}
MODULE = "def sync_detailed(*, client{0}): ...\nasync def asyncio_detailed(*, client{0}): ...\n"
FILES = {
    "api/schedules/create_schedule.py": MODULE.format(", body"),
    "api/api_keys/get_api_key.py": MODULE.format(""),
    "models/recipient_entry.py": "",
}
TYPES = """
export interface paths {
    "/v1/schedules": {
        post: operations["createSchedule"];
    };
    "/v1/api-keys/{id}": {
        get: operations["getApiKey"];
    };
}
export interface operations {
    createSchedule: {
        parameters: {
    };
    getApiKey: {
    };
}
"""
LIST = "POST /v1/schedules/{id}/recipients"


class Clients(unittest.TestCase):
    """What each check finds."""

    def python(self, files):
        """Returns what is missing in a Python client of these files."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(clients.check_python(DOCUMENT, Path(folder)))

    def test_a_complete_python_client_is_accepted(self):
        self.assertEqual(self.python(FILES), [])

    def test_a_missing_operation_of_the_python_client_is_found(self):
        files = {name: text for name, text in FILES.items() if "get_api_key" not in name}
        found = self.python(files)
        self.assertEqual(len(found), 1)
        self.assertIn("there is no api/api_keys/get_api_key.py", found[0])

    def test_a_missing_body_and_a_missing_function_are_found(self):
        create = "api/schedules/create_schedule.py"
        self.assertEqual(len(self.python({**FILES, create: MODULE.format("")})), 2)
        self.assertEqual(
            len(self.python({**FILES, create: "def sync_detailed(*, client, body): ..."})), 1
        )

    def test_a_model_that_is_named_by_its_position_is_found(self):
        for name in ("create_body_vars_type_0", "create_body_type_1_days", "create_body_item"):
            found = self.python({**FILES, f"models/{name}.py": ""})
            self.assertEqual(len(found), 1, name)

    def test_missing_operations_of_the_typescript_client_are_found(self):
        self.assertEqual(list(clients.check_typescript(DOCUMENT, TYPES)), [])
        for missing in ('operations["getApiKey"]', "    getApiKey: {"):
            found = list(clients.check_typescript(DOCUMENT, TYPES.replace(missing, "")))
            self.assertEqual(len(found), 1, missing)

    def test_names_that_are_not_a_verb_and_a_noun_are_found(self):
        self.assertEqual(list(clients.check_names(DOCUMENT)), [])
        for name in ("create", "CreateSchedule", "v1SchedulesPost", "scheduleCreate", "getAPIKey"):
            changed = {"paths": {"/": {"get": {"operationId": name}}}}
            self.assertEqual(len(list(clients.check_names(changed))), 1, name)

    def test_only_the_types_that_the_generator_does_not_know_are_accepted(self):
        def found(*lines):
            return list(clients.check_warnings("\n\n".join(("Generating python", *lines))))

        known = f"WARNING parsing {LIST} within recipients."
        self.assertEqual(found(known, "Unsupported content type text/csv"), [])
        self.assertEqual(len(found(known, "Unsupported content type text/html")), 1)
        other = "WARNING parsing POST /v1/schedules within schedules. Endpoint is left out."
        self.assertEqual(len(found(other, "Invalid property in union x")), 1)
        self.assertEqual(len(found(other, "Unsupported content type text/csv")), 1)
        self.assertEqual(len(found("WARNING something else")), 1)
        self.assertEqual(len(found("Skipping Integration", "ruff is not in PATH")), 1)
        self.assertEqual(len(list(clients.check_warnings("Error(s) encountered"))), 2)


if __name__ == "__main__":
    unittest.main()
