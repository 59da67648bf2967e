"""Checks that the code of an earlier commit works on the tables of this work tree.

    infra/local/python infra/local/old_code.py base [BASE]
    DATABASE_URL=mysql://… infra/local/python infra/local/old_code.py check [BASE]

infra/local/old-code starts the database server for it. `base` prints the hash of the earlier
commit, BASE. A deployment migrates while the version before still runs, and a rollback returns to
it, so each migration must leave that version working (CONTRIBUTING.md).

Every statement in .sqlx of BASE is prepared twice, on the tables of BASE and on those of now. It
must be accepted, and its result must have the same types. A row that the old code may write must
still be accepted, so the check also compares columns, CHECK constraints and keys.

A finding that is no problem is accepted by a comment in the new migration that causes it:

    -- Compatible: <what the finding names>: <the reason>
"""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import schemas
from prepared import Connection, Refused

ROOT = Path(__file__).resolve().parents[2]
ACCEPTED = re.compile(r"^-- Compatible: ([^:]+): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """Something that the old code cannot do any more."""

    subject: str
    text: str


def git(*arguments):
    """Returns the output of git, or None if it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def default_base():
    """Returns the newest release before HEAD; without one, the commit before the last migration.

    HEAD itself can be a release that is tested again.
    """
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
    if tag:
        return tag
    if git("ls-files", "--others", "--", "migrations"):
        return "HEAD"  # the last migration is not committed yet
    added = git("log", "-1", "--diff-filter=A", "--format=%H", "--", "migrations/*.sql")
    return f"{added}^"


def commit(base):
    """Returns the hash of a commit; exits if the repository does not contain it."""
    found = git("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
    if not found:
        raise SystemExit(
            f"there is no commit {base}. In a shallow clone, run `git fetch --unshallow --tags`"
        )
    return found


def files(base, folder):
    """Returns the files in a folder of a commit: {name: text}."""
    command = ["git", "archive", "--format=tar", base, folder]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        return {
            Path(member.name).name: archive.extractfile(member).read().decode()
            for member in members
        }


def own_migrations():
    """Returns the migrations of this work tree: {name: text}."""
    return {path.name: path.read_text() for path in (ROOT / "migrations").glob("*.sql")}


def statements(base):
    """Returns the statements of a commit: {name of the file: text}."""
    return {name: json.loads(text)["query"] for name, text in files(base, ".sqlx").items()}


def accepted(migrations, earlier):
    """Returns {subject: reason} of the comments in migrations that are not in `earlier`."""
    new = (text for name, text in migrations.items() if name not in earlier)
    return dict(found for text in new for found in ACCEPTED.findall(text))


def prepared(old, new, queries):
    """Yields findings about statements. `old` and `new` are connections to the two databases."""
    for name, query in sorted(queries.items()):
        shown = f"{' '.join(query.split())[:90]} …"
        try:
            before = old.prepare(query)
        except Refused as error:
            yield Finding(name, f"its own tables refuse the statement: {error}\n    {shown}")
            continue
        try:
            now = new.prepare(query)
        except Refused as error:
            yield Finding(name, f"{error}\n    {shown}")
            continue
        for text in _results(before, now):
            yield Finding(name, f"{text}\n    {shown}")


def _results(before, now):
    """Yields how the result of a statement changed for a program that reads it."""
    if len(before) != len(now):
        yield f"its result has {len(now)} columns instead of {len(before)}"
        return
    for old, new in zip(before, now, strict=True):
        if old.type != new.type:
            yield f"the type of its column {old.name} is {new.type} instead of {old.type}"
        if new.nullable and not old.nullable:
            yield f"its column {old.name} can be NULL"


def compare(old, new, queries):
    """Yields all findings about two schemas: of statements, then of tables."""
    with Connection(old.url) as before, Connection(new.url) as now:
        yield from prepared(before, now, queries)
    for subject, text in schemas.refused_writes(old, new):
        yield Finding(subject, text)


def check(base):
    """Compares, and prints the findings; returns whether the old code works."""
    earlier, migrations, queries = files(base, "migrations"), own_migrations(), statements(base)
    reasons = accepted(migrations, earlier)
    server = os.environ["DATABASE_URL"]
    old = schemas.create(server, "sms_old", earlier)
    new = schemas.create(server, "sms_new", migrations)
    found = list(compare(old, new, queries))
    for each in found:
        reason = reasons.get(each.subject)
        prefix = f"accepted ({reason})" if reason else "wrong"
        print(f"{prefix}: {each.subject}: {each.text}")
    wrong = [each for each in found if each.subject not in reasons]
    count = len(set(migrations) - set(earlier))
    print(
        f"{len(queries)} statements of {base[:9]}, {count} migrations later: "
        + (f"{len(wrong)} findings" if wrong else "the old code works on the new tables")
    )
    return not wrong


def main(command, base=None):
    """Prints the hash of the commit, or checks it."""
    found = commit(base or default_base())
    if command == "base":
        print(found)
    elif not check(found):
        raise SystemExit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
