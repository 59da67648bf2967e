"""Checks the saved queries of template.yaml, and their evaluation (insights.py).

    infra/local/python infra/local/test_insights.py

The fields and messages of the queries are compared with those that the code logs.
"""

import json
import re
import unittest

import insights
import log_path
from template import ROOT, load, resources

QUERIES = ["batches", "failures", "problems", "schedule", "slow-carrier", "webhook"]
# The calls that log a line, and those that make the span around it.
CALL = re.compile(r"\b(?:info|warn|error|error_span)!\(")
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
FIELD = re.compile(r"(?:^|[(,\s])((?:[a-z_]+\.)*[a-z_]+)\s*=(?![=>])")
# The names of fields of the runtime's own span.
RENAMED = re.compile(r'\("\w+Id", "([a-z._]+)"\)')
# Fields that CloudWatch adds to each line, and the level, which each line has.
ADDED = {"@timestamp", "@log", "@message", "level"}


def calls(source):
    """Yields the arguments of each call in a Rust source."""
    for call in CALL.finditer(source):
        depth, at = 1, call.end()
        while depth:
            if quoted := QUOTED.match(source, at):
                at = quoted.end()
                continue
            depth += {"(": 1, ")": -1}.get(source[at], 0)
            at += 1
        yield source[call.end() : at - 1]


def logged():
    """Returns the fields and the texts of the calls that log."""
    fields, texts = set(ADDED), set()
    for folder in ("shared/src", *(ROOT / "functions").glob("*/src")):
        for path in (ROOT / folder).rglob("*.rs"):
            for call in calls(path.read_text()):
                fields |= {f"fields.{name}" for name in FIELD.findall(call)}
                texts |= set(re.findall(r'"([^"]*)"', call))
    renamed = RENAMED.findall((ROOT / "shared/src/platform/logs/json_line.rs").read_text())
    return fields | {"fields.message", *(f"fields.{name}" for name in renamed)}, texts


def line(timestamp, function, level="INFO", **fields):
    """Returns a record of a log line; `__` in a name stands for a dot."""
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return insights.record(timestamp, function, json.dumps({"level": level, "fields": named}))


def run(query, *records):
    """Returns the rows of a query."""
    return insights.Query(query).run(records)


class Saved(unittest.TestCase):
    """The queries of the template."""

    def setUp(self):
        self.queries = insights.saved()

    def test_each_query_is_understood(self):
        self.assertEqual(sorted(self.queries), QUERIES)
        for name, text in self.queries.items():
            with self.subTest(query=name):
                self.assertTrue(insights.Query(text).shown)

    def test_each_field_and_message_of_a_query_is_logged_by_the_code(self):
        fields, texts = logged()
        for name, text in self.queries.items():
            with self.subTest(query=name):
                self.assertEqual(insights.Query(text).used - fields, set())
                for message in re.findall(r'fields\.message = "([^"]*)"', text):
                    self.assertIn(message, texts)

    def test_a_field_that_nothing_logs_is_found(self):
        fields, _ = logged()
        query = insights.Query('filter fields.batch.number = 1 | sort fields.batch.no asc')
        self.assertEqual(query.used - fields, {"fields.batch.number"})

    def test_the_queries_exist_only_on_aws_and_name_log_groups_of_this_stack(self):
        template = load()
        groups = resources(template, "AWS::Logs::LogGroup")
        for name, query in resources(template, insights.KIND).items():
            with self.subTest(query=name):
                self.assertEqual(template["Resources"][name].get("Condition"), "HasQueries")
                self.assertLessEqual({group["Ref"] for group in query["LogGroupNames"]}, set(groups))

    def test_an_id_is_filled_in_and_nothing_else(self):
        schedule = "0190A0B0-c0d0-7080-8000-00000000000d"
        text = insights.filled_in(self.queries["schedule"], {"SCHEDULE": schedule})
        self.assertIn(f'"{schedule.lower()}"', text)
        for wrong in ({}, {"SCHEDULE": 'x" or level = "INFO'}):
            with self.assertRaises(SystemExit):
                insights.filled_in(self.queries["schedule"], wrong)

    def test_the_query_of_a_schedule_returns_its_lines_of_all_functions_by_time(self):
        schedule = "0190a0b0-c0d0-7080-8000-00000000000d"
        ours = {"schedule__id": schedule}
        records = [
            line(40, "recheck", message="batch released", **ours),
            line(10, "api", message="request", **ours),
            line(20, "dispatch", message="schedule cut", **ours),
            line(30, "send", message="batch released", schedule__id=schedule.replace("d", "e")),
            line(35, "send", message="batch released", **ours),
            insights.record(36, "send", "a line that is not JSON"),
        ]
        text = insights.filled_in(self.queries["schedule"], {"SCHEDULE": schedule})
        functions = [row["@log"] for row in run(text, *records)]
        self.assertEqual(functions, ["api", "dispatch", "send", "recheck"])


class Path(unittest.TestCase):
    """The path of a schedule through the functions."""

    def records(self):
        """Returns the lines of a schedule, in the order of time."""
        schedule = "0190a0b0-c0d0-7080-8000-00000000000d"
        ours = {"schedule__id": schedule, "trace__id": schedule.replace("-", "")}
        a_pass = {"message": "batch released", "batch__no": 1, "attempt": 1, "outcome": "x"}
        a_call = {"message": "request", "request__id": "c", "request__route": "/v1/schedules"}
        return [
            line(10, "api", **ours, **a_call, lambda__request_id="r-1", duration_ms=3),
            line(20, "dispatch", **ours, message="schedule cut", lambda__request_id="r-2",
                 duration_ms=3),
            line(30, "send", **ours, **a_pass, lambda__request_id="r-3", duration_ms=3),
            line(40, "recheck", **ours, **a_pass, lambda__request_id="r-4", duration_ms=3),
            line(40, "recheck", **ours, message="schedule finished", lambda__request_id="r-4"),
            line(50, "api", message="request"),
        ]

    def test_the_query_of_a_schedule_follows_it_from_function_to_function(self):
        schedule, rows = log_path.followed(self.records())
        self.assertEqual(schedule, "0190a0b0-c0d0-7080-8000-00000000000d")
        self.assertEqual([row["@timestamp"] for row in rows], [10, 20, 30, 40, 40])
        self.assertEqual(list(log_path.problems(rows)), [])

    def test_each_field_that_is_missing_is_reported(self):
        for at, field in [
            (0, "request.id"), (1, "lambda.request_id"), (2, "attempt"), (2, "batch.no"),
            (3, "duration_ms"), (4, "trace.id"),
        ]:
            with self.subTest(field=field):
                records = self.records()
                del records[at][f"fields.{field}"]
                _, rows = log_path.followed(records)
                self.assertEqual(len(list(log_path.problems(rows))), 1)

    def test_a_function_or_a_schedule_that_is_missing_is_reported(self):
        records = [each for each in self.records() if each["@log"] != "dispatch"]
        _, rows = log_path.followed(records)
        self.assertEqual(
            list(log_path.problems(rows)), ["no line of dispatch", "no line `schedule cut`"]
        )
        self.assertEqual(log_path.followed(self.records()[:3]), (None, []))

    def test_the_query_shows_each_field_of_the_path(self):
        shown = insights.Query(insights.saved()["schedule"]).shown
        fields = {*log_path.EACH, *(field for further in log_path.FURTHER.values() for field in further)}
        self.assertEqual({f"fields.{field}" for field in fields} - set(shown), set())


class Language(unittest.TestCase):
    """The evaluation."""

    def test_filters(self):
        records = [line(n, "send", n=n, text=f"t{n}") for n in range(4)]
        for condition, found in {
            "fields.n > 1": [2, 3],
            "fields.n >= 1 and fields.n < 3": [1, 2],
            "fields.n = 0 or not fields.n != 3": [0, 3],
            '(fields.n = 0 or fields.n = 1) and fields.text = "t1"': [1],
            'fields.text in ["t0", "t3"]': [0, 3],
            "fields.text like /[12]$/": [1, 2],
            "ispresent(fields.other)": [],
            "not ispresent(`fields.other`)": [0, 1, 2, 3],
            'fields.n > 1 and @message like /a|"t2"/': [2],
            'fields.text = 1': [],
        }.items():
            with self.subTest(condition=condition):
                rows = run(f"filter {condition} | sort fields.n asc", *records)
                self.assertEqual([row["fields.n"] for row in rows], found)

    def test_statistics_have_a_row_for_each_group(self):
        records = [line(n, "send", outcome=word, ms=n) for n, word in enumerate("aabab", 1)]
        rows = run(
            "stats count(*) as n, sum(fields.ms) as total, max(fields.ms) as most, "
            "pct(fields.ms, 50) as half by fields.outcome | sort total desc | limit 1",
            *records,
        )
        self.assertEqual(
            rows, [{"fields.outcome": "b", "n": 2, "total": 8, "most": 5, "half": 3}]
        )

    def test_a_command_or_function_that_is_not_supported_is_an_error(self):
        for text in (
            "parse @message /x/",
            "filter fields.n ~ 1",
            "filter fields.n = 1 fields.m = 2",
            "stats average(fields.n) as x",
            "stats count(*)",
            "filter",
        ):
            with self.subTest(query=text), self.assertRaises(ValueError):
                insights.Query(text)


if __name__ == "__main__":
    unittest.main()
