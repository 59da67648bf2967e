"""Tests of the resources of infra/local/conformance, and of the operations that it has to reach."""

import gzip
import io
import json
import re
import tempfile
import unittest
import zipfile

import conformance_resources
from conformance_resources import NOT_REACHED, Resources, missing, operations


class Reached(unittest.TestCase):
    """The operations that were answered 2xx."""

    def test_an_operation_that_was_not_reached_is_missing(self):
        """It is, unless it is in the list with a reason."""
        self.assertEqual(missing(operations()), [])
        label = "POST /v1/schedules/{id}/pause"
        self.assertEqual(missing(operations() - {label}), [label])
        self.assertEqual(missing(operations() - NOT_REACHED.keys()), [])

    def test_the_list_names_operations_that_exist(self):
        """A renamed operation is removed from it."""
        self.assertEqual(NOT_REACHED.keys() - operations(), set())


class Made(unittest.TestCase):
    """The resources."""

    def test_a_resource_fills_the_path(self):
        """Each operation of a resource gets all parameters of its path."""
        calls = []

        def call(method, path, body):
            calls.append((method, path))
            return {"id": "an-id", "event_id": "an-event"}

        resources = Resources(call)
        resources.due(1)
        for label in sorted(operations()):
            names = set(re.findall(r"{(\w+)}", label))
            made = resources.parameters(label)
            if made is not None:
                # A sub-resource without a maker of its own keeps what was generated.
                self.assertLessEqual(made.keys(), names, label)
        self.assertIn(("POST", "/v1/schedules/an-id/pause"), calls)
        self.assertIn(("POST", "/v1/webhooks/an-id/test"), calls)

    def test_a_share_of_the_requests_gets_one(self):
        """Not all: ids that name nothing are requests too."""
        resources = Resources(None)
        self.assertTrue(resources.chosen("GET /health"), "the first of an operation gets one")
        chosen = sum(resources.chosen("GET /health") for _ in range(1_000))
        self.assertGreater(chosen, 200)
        self.assertLess(chosen, 400)

    def test_a_list_is_made_in_each_format(self):
        """Each has two numbers that nothing else has; a format without a maker has none."""
        resources = Resources(None)
        label = "POST /v1/schedules/{id}/recipients"
        self.assertEqual(len(resources.body(label, "application/json")), 2)
        lines = gzip.decompress(resources.body(label, "application/gzip")).decode()
        self.assertEqual(len({json.loads(line)["phone"] for line in lines.splitlines()}), 2)
        self.assertIsNone(resources.body(label, "application/vnd.oasis.opendocument.spreadsheet"))
        self.assertIsNone(resources.body("POST /v1/schedules", "application/json"))

    def test_a_spreadsheet_has_its_rows(self):
        """Each cell is a text."""
        file = conformance_resources.spreadsheet([["phone"], ["+60123456789"]])
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        self.assertEqual(re.findall("<t>(.*?)</t>", sheet), ["phone", "+60123456789"])


class Recorded(unittest.TestCase):
    """The file of the operations that were reached."""

    def test_each_operation_is_recorded_once(self):
        """However often it is answered."""
        with tempfile.NamedTemporaryFile("r") as file:
            reached = conformance_resources.Reached(file.name)
            for label in ("GET /health", "GET /health", "GET /problems"):
                reached.record(label)
            self.assertEqual(file.read(), "GET /health\nGET /problems\n")


if __name__ == "__main__":
    unittest.main()
