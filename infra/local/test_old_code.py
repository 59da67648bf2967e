"""Tests that old_code.py finds each kind of migration that the old code does not survive.

DATABASE_URL=mysql://… infra/local/python infra/local/test_old_code.py

infra/local/old-code starts the database server for it.
"""

import os
import unittest

import old_code
import schemas

TABLE = """
CREATE TABLE letters (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    box INT UNSIGNED NOT NULL,
    address VARCHAR(20) NOT NULL,
    note VARCHAR(20) NULL COMMENT 'a comment; with a semicolon',
    weight SMALLINT UNSIGNED NOT NULL DEFAULT 1,
    PRIMARY KEY (id),
    KEY by_box (box),
    UNIQUE KEY once (address, box),
    CONSTRAINT some_weight CHECK (weight > 0)
)"""
QUERIES = {
    "read": "SELECT id, note, weight FROM letters FORCE INDEX (by_box) WHERE box = ?",
    "write": "INSERT INTO letters (box, address) VALUES (?, ?)",
    "change": "UPDATE letters SET note = CONCAT(?, 'x' || 'y') WHERE id = ?",
}
BOXES = "CREATE TABLE boxes (id INT UNSIGNED NOT NULL PRIMARY KEY)"
HARMLESS = (
    "ALTER TABLE letters ADD COLUMN color VARCHAR(9) NOT NULL DEFAULT 'red', ADD KEY (color),"
    " ADD CONSTRAINT some_color CHECK (color IN ('red', 'blue'))",
    "ALTER TABLE letters ADD COLUMN read_at DATETIME(3) NULL",
    "ALTER TABLE letters ADD COLUMN tag VARCHAR(9) AS (LEFT(note, 9)) VIRTUAL",
    "ALTER TABLE letters MODIFY COLUMN note VARCHAR(40) NULL",
    "ALTER TABLE letters MODIFY COLUMN box INT UNSIGNED NOT NULL DEFAULT 0",
    "ALTER TABLE letters DROP CONSTRAINT some_weight",
    "ALTER TABLE letters DROP KEY once, ADD UNIQUE KEY once (address, box, weight)",
    "CREATE TABLE bags (id INT UNSIGNED NOT NULL PRIMARY KEY)",
    "INSERT INTO letters (box, address) VALUES (1, 'x')",
    "DROP TABLE boxes",  # no statement of the old code uses it
)
# A migration, and for each of its findings the subject and a part of the text.
INCOMPATIBLE = (
    ("ALTER TABLE letters DROP COLUMN note", {"read": "note", "change": "note"}),
    ("ALTER TABLE letters DROP KEY by_box", {"read": "by_box"}),
    ("RENAME TABLE letters TO mails", dict.fromkeys(QUERIES, "letters")),
    (
        "ALTER TABLE letters RENAME COLUMN box TO place",
        {"read": "box", "write": "box", "letters.place": "no old INSERT", "letters.once": "place"},
    ),
    (
        "ALTER TABLE letters ADD COLUMN color VARCHAR(9) NOT NULL",
        {"letters.color": "NOT NULL and without a default"},
    ),
    (
        "ALTER TABLE letters MODIFY COLUMN weight SMALLINT UNSIGNED NOT NULL",
        {"letters.weight": "has no default any more"},
    ),
    (
        "ALTER TABLE letters MODIFY COLUMN weight SMALLINT UNSIGNED NULL DEFAULT 1",
        {"read": "its column weight can be NULL"},
    ),
    (
        "ALTER TABLE letters MODIFY COLUMN weight INT NOT NULL DEFAULT 1",
        {
            "read": "its column weight is INT instead of SMALLINT UNSIGNED",
            "letters.weight": "was smallint(5) unsigned, and is int(11) now",
        },
    ),
    (
        "ALTER TABLE letters MODIFY COLUMN note VARCHAR(20) NOT NULL",
        {"letters.note": "does not take NULL any more"},
    ),
    (
        "ALTER TABLE letters MODIFY COLUMN note VARCHAR(19) NULL",
        {"letters.note": "was varchar(20), and is varchar(19) now"},
    ),
    (
        "ALTER TABLE letters MODIFY COLUMN address VARCHAR(20) CHARACTER SET ascii NOT NULL",
        {"letters.address": "collation"},
    ),
    (
        "ALTER TABLE letters DROP COLUMN note, ADD COLUMN note VARCHAR(20) AS ('x') VIRTUAL",
        {"letters.note": "the column is generated now"},
    ),
    (
        "ALTER TABLE letters ADD CONSTRAINT short CHECK (CHAR_LENGTH(note) < 9)",
        {"letters.short": "CHECK"},
    ),
    (
        "ALTER TABLE letters DROP CONSTRAINT some_weight,"
        " ADD CONSTRAINT some_weight CHECK (weight > 1)",
        {"letters.some_weight": "CHECK"},
    ),
    (
        "ALTER TABLE letters ADD UNIQUE KEY one_each (box)",
        {"letters.one_each": "unique key (box) is new"},
    ),
    (
        "ALTER TABLE letters ADD CONSTRAINT real_box FOREIGN KEY (box) REFERENCES boxes (id)",
        {"letters.real_box": "foreign key to boxes"},
    ),
)


class OldCode(unittest.TestCase):
    """Applies a migration to a small database, and compares the findings."""

    @classmethod
    def setUpClass(cls):
        cls.server = os.environ["DATABASE_URL"]
        cls.earlier = {"01.sql": TABLE, "02.sql": BOXES}
        cls.old = schemas.create(cls.server, "sms_old", cls.earlier)

    def found(self, *migrations, queries=None):
        """Returns {subject: texts} of the findings after these migrations."""
        added = {f"{at:02}.sql": text for at, text in enumerate(migrations, 3)}
        new = schemas.create(self.server, "sms_new", self.earlier | added)
        found = {}
        for each in old_code.compare(self.old, new, queries or QUERIES):
            found[each.subject] = found.get(each.subject, "") + each.text
        return found

    def test_the_same_tables_have_no_findings(self):
        self.assertEqual({}, self.found())

    def test_what_only_adds_is_accepted(self):
        for migration in HARMLESS:
            with self.subTest(migration):
                self.assertEqual({}, self.found(migration))
        self.assertEqual({}, self.found(*HARMLESS))

    def test_what_the_old_code_does_not_survive_is_found(self):
        for migration, expected in INCOMPATIBLE:
            with self.subTest(migration):
                found = self.found(migration)
                self.assertEqual(set(expected), set(found), found)
                for subject, text in expected.items():
                    self.assertIn(text, found[subject])

    def test_a_statement_that_its_own_tables_refuse_is_found(self):
        found = self.found(queries={"odd": "SELECT other"})
        self.assertIn("its own tables refuse", found["odd"])

    def test_only_a_new_migration_can_accept_a_finding(self):
        text = "-- Compatible: letters.color: nothing inserts letters\nALTER TABLE letters …"
        self.assertEqual(
            {"letters.color": "nothing inserts letters"},
            old_code.accepted({"1.sql": TABLE, "2.sql": text}, {"1.sql": TABLE}),
        )
        self.assertEqual({}, old_code.accepted({"2.sql": text}, {"2.sql": text}))


class Base(unittest.TestCase):
    """The earlier commit, of this repository."""

    def test_an_unknown_commit_names_the_way_out(self):
        with self.assertRaisesRegex(SystemExit, "git fetch --unshallow"):
            old_code.commit("no-such-tag")

    def test_the_statements_and_migrations_of_a_commit_are_read(self):
        base = old_code.commit("HEAD")
        self.assertIn("0001_schedules.sql", old_code.files(base, "migrations"))
        words = {text.split()[0].upper() for text in old_code.statements(base).values()}
        self.assertLessEqual({"SELECT", "INSERT", "UPDATE", "DELETE"}, words)


if __name__ == "__main__":
    unittest.main()
