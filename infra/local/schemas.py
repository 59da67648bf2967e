"""Creates databases from migrations, and compares what rows their tables accept.

A migration leaves the code before it working only if each row that this code may write is still
accepted. The rules hold for every table that exists before and after it. They do not look at
statements, because a program can also build one at run time.
"""

import re
from dataclasses import dataclass

from database import query, with_name

OPTIONS = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci"
# Each SELECT begins with the name of the field of `Schema` that it fills.
FIELDS = """
SELECT 'columns', table_name, column_name, column_type, COALESCE(collation_name, ''),
  is_nullable = 'YES', column_default IS NOT NULL OR extra LIKE '%auto_increment%',
  COALESCE(generation_expression, '') <> ''
FROM information_schema.columns WHERE table_schema = DATABASE();
SELECT 'checks', table_name, constraint_name, check_clause
FROM information_schema.check_constraints WHERE constraint_schema = DATABASE();
SELECT 'unique', table_name, index_name, GROUP_CONCAT(column_name ORDER BY seq_in_index)
FROM information_schema.statistics WHERE table_schema = DATABASE() AND non_unique = 0
GROUP BY table_name, index_name;
SELECT 'foreign', table_name, constraint_name, referenced_table_name
FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE();
"""
LENGTH = re.compile(r"\((\d+)\)")


@dataclass(frozen=True)
class Column:
    """A column of a table, as far as a write depends on it."""

    type: str
    collation: str
    nullable: bool
    filled: bool  # without a value in the INSERT: by a default or by the server
    generated: bool

    @property
    def required(self):
        """Returns whether an INSERT must name it."""
        return not (self.nullable or self.filled or self.generated)


@dataclass(frozen=True)
class Schema:
    """The tables of a database, with its URL. Each dictionary has the key (table, name)."""

    url: str
    columns: dict
    checks: dict
    unique: dict
    foreign: dict

    def tables(self):
        """Returns the names of the tables."""
        return {table for table, _ in self.columns}


def create(admin, name, migrations):
    """Creates a database anew and applies migrations, {file: text}; returns its schema."""
    query(admin, f"DROP DATABASE IF EXISTS `{name}`; CREATE DATABASE `{name}` {OPTIONS}")
    # One call of the client for all: it needs more time to start than a migration does.
    texts = [text.rstrip().rstrip(";") for _, text in sorted(migrations.items())]
    query(admin, f"USE `{name}`;\n" + "\n;\n".join(texts))
    fields = {"columns": {}, "checks": {}, "unique": {}, "foreign": {}}
    for line in query(admin, f"USE `{name}`; {FIELDS}").splitlines():
        field, table, key, *values = line.split("\t")
        fields[field][table, key] = _column(*values) if field == "columns" else values[0]
    return Schema(with_name(admin, name), **fields)


def _column(kind, collation, *others):
    return Column(kind, collation, *(each == "1" for each in others))


def refused_writes(old, new):
    """Yields (what, why) for each change that can refuse a row of the old code."""
    kept = old.tables() & new.tables()
    for rule in (_columns, _checks, _unique, _foreign):
        for (table, name), text in rule(old, new):
            if table in kept:
                yield f"{table}.{name}", text


def _columns(old, new):
    for key, now in new.columns.items():
        before = old.columns.get(key)
        if before is None:
            if now.required:
                yield key, "the column is new, NOT NULL and without a default: no old INSERT has it"
            continue
        if now.required and not before.required:
            yield key, "the column has no default any more, and an old INSERT may rely on it"
        if before.nullable and not now.nullable:
            yield key, "the column does not take NULL any more"
        if now.generated and not before.generated:
            yield key, "the column is generated now, and cannot be written"
        if not _wider(before, now):
            yield key, f"the type of the column was {before.type}, and is {now.type} now"
        if before.collation != now.collation:
            yield key, f"the collation of the column was {before.collation}"


def _wider(before, now):
    """Returns whether each value of the old type fits: only the length may differ, and grow."""
    if LENGTH.sub("", before.type) != LENGTH.sub("", now.type):
        return False
    lengths = zip(LENGTH.findall(before.type), LENGTH.findall(now.type), strict=False)
    return all(int(old) <= int(new) for old, new in lengths)


def _checks(old, new):
    known = {}
    for table, name in old.columns:
        known.setdefault(table, set()).add(name)
    for (table, name), clause in new.checks.items():
        if old.checks.get((table, name)) == clause:
            continue
        # A check of new columns alone holds, because it holds for their defaults.
        if known.get(table, set()) & set(re.findall(r"`(\w+)`", clause)):
            yield (table, name), f"the constraint is new or changed: CHECK ({clause})"


def _unique(old, new):
    for (table, name), columns in new.unique.items():
        before = [set(each.split(",")) for (of, _), each in old.unique.items() if of == table]
        # A key with more columns than an old one accepts all that the old one accepts.
        if not any(each <= set(columns.split(",")) for each in before):
            yield (table, name), f"the unique key ({columns}) is new"


def _foreign(old, new):
    for key, other in new.foreign.items():
        if old.foreign.get(key) != other:
            yield key, f"the foreign key to {other} is new"
