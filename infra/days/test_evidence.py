"""Tests that evidence.py finds each kind of difference between the API, the database and the carrier.

PYTHONPATH=infra/local:infra/days infra/local/python infra/days/test_evidence.py
"""

import copy
import unittest

import campaign
import evidence
import people
from stack import Accepted, Stack

ANA, BO, CO = (people.number(at) for at in range(3))
SCHEDULE = "01a226b3-40e7-76c8-bcc2-4d0bb6293289"
ROWS = [
    ["1", ANA, "DELIVRD", "1", "0", "a1"],
    ["2", BO, "CANCELLED", "0", "0"],
    ["3", "", "INVALID", "0", "0"],
]
EXPECTED = {ANA: ["Dear Ana"], BO: []}
LEDGER = {ANA: [Accepted("Dear Ana", ["a1"], "")]}


class FakeStack:
    """Answers of the API, rows of the database and the ledger, each of which can differ."""

    def __init__(self):
        self.running = self
        self.database = copy.deepcopy(ROWS)
        self.reported = copy.deepcopy(ROWS)
        self.counts = {"DELIVRD": 1, "CANCELLED": 1, "INVALID": 1, "PENDING": 0}
        self.ledger = copy.deepcopy(LEDGER)

    def rows(self, _):
        return self.database

    def report(self, _):
        rows = [[*row, ""][: len(evidence.COLUMNS)] for row in self.reported]
        return [
            {name: value or None for name, value in zip(evidence.COLUMNS, row, strict=True)}
            for row in rows
        ]

    def get(self, _):
        return {"counts": self.counts}

    def accepted(self, _):
        return self.ledger


class Evidence(unittest.TestCase):
    """What the comparison finds."""

    def setUp(self):
        self.stack = FakeStack()

    def check(self, expected=None):
        return evidence.check(self.stack, SCHEDULE, expected or EXPECTED, 0)

    def test_agreement_is_accepted(self):
        self.assertEqual(self.check(), {"DELIVRD": 1, "CANCELLED": 1, "INVALID": 1})

    def test_another_row_in_the_database_is_found(self):
        self.stack.database[0][2] = "UNDELIV"
        self.assertRaisesRegex(SystemExit, "API and the database: 1 differ", self.check)

    def test_another_count_is_found(self):
        self.stack.counts["PENDING"] = 1
        self.assertRaisesRegex(SystemExit, "counts", self.check)

    def test_a_message_that_is_lost_or_doubled_is_found(self):
        for ledger in ({}, {ANA: LEDGER[ANA] * 2}):
            self.stack.ledger = ledger
            self.assertRaisesRegex(SystemExit, "texts that the carrier", self.check)

    def test_a_message_to_somebody_who_was_cancelled_is_found(self):
        self.stack.ledger[BO] = [Accepted("Dear Bo", ["b1"], "")]
        self.assertRaisesRegex(SystemExit, "texts that the carrier", self.check)

    def test_another_text_is_found(self):
        self.stack.ledger[ANA][0].text = "Dear Bo"
        self.assertRaisesRegex(SystemExit, "texts that the carrier", self.check)

    def test_another_id_is_found(self):
        for row in (self.stack.database[0], self.stack.reported[0]):
            row[5] = "a2"
        self.assertRaisesRegex(SystemExit, "the id 'a2'", self.check)

    def test_a_number_that_nobody_gave_is_found(self):
        for rows in (self.stack.database, self.stack.reported):
            rows.append(["4", CO, "CANCELLED", "0", "0"])
        self.stack.counts["CANCELLED"] = 2
        self.assertRaisesRegex(SystemExit, "numbers in the database", self.check)


class Lists(unittest.TestCase):
    """The files of the campaign, and the ledger of texts in several parts."""

    def test_the_files_have_what_is_said_of_them(self):
        files = campaign.tables(2_000, 0)
        for table in files:
            table.text().encode(table.charset)
            self.assertEqual(len(table.texts), 1_000)
            self.assertGreater(min(table.duplicates, len(table.damaged)), 0)
        self.assertIn("🎉", files[0].text())
        self.assertNotIn("🎉", files[1].text())

    def test_the_parts_of_a_text_are_joined(self):
        stack = object.__new__(Stack)
        lines = [
            {"dnis": ANA[1:], "text": "Dear ", "message_id": "1", "time": "", "segment_num": 1},
            {"dnis": ANA[1:], "text": "Ana", "message_id": "2", "time": "", "segment_num": 2},
            {"dnis": ANA[1:], "text": "Bye", "message_id": "3", "time": ""},
        ]
        stack.ledger = lambda: [{}, *lines]
        found = [(each.text, each.ids) for each in stack.accepted(1)[ANA]]
        self.assertEqual(found, [("Dear Ana", ["1", "2"]), ("Bye", ["3"])])


if __name__ == "__main__":
    unittest.main()
