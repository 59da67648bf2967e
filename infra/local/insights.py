"""Evaluates the saved queries of template.yaml over the log lines of the local stack.

The language is the part of CloudWatch Logs Insights that those queries use: `fields`, `filter` (`=`,
`!=`, `<`, `<=`, `>`, `>=`, `in`, `like /…/`, `ispresent()`, `and`, `or`, `not`), `stats … by`,
`sort` and `limit`. Anything else is an error.
"""

import json
import math
import operator
import re

import template as templates

KIND = "AWS::Logs::QueryDefinition"
TOKEN = re.compile(
    r"""\s*(?:(?P<string>"[^"]*")|(?P<pattern>/(?:[^/\\]|\\.)*/)|(?P<number>\d+(?:\.\d+)?)
    |`(?P<quoted>[^`]+)`|(?P<name>@?[A-Za-z_][\w.]*)|(?P<sign><=|>=|!=|[=<>(),\[\]*]))""",
    re.VERBOSE,
)
COMPARISONS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# What an operator writes over in the console; locally it is a variable of make.
PLACES = {
    "SCHEDULE": "REPLACE-WITH-THE-ID-OF-THE-SCHEDULE",
    "WEBHOOK": "REPLACE-WITH-THE-ID-OF-THE-WEBHOOK",
}


def saved(template=None):
    """Returns {name: text} of the saved queries; `SlowCarrierQuery` is named `slow-carrier`."""
    found = templates.resources(template or templates.load(), KIND)
    return {
        re.sub(r"(?<!^)([A-Z])", r"-\1", name.removesuffix("Query")).lower(): query["QueryString"]
        for name, query in found.items()
    }


def filled_in(text, values):
    """Returns a query with the values instead of their places; exits if one is missing."""
    for variable, place in PLACES.items():
        if place in text:
            value = values.get(variable, "")
            if not re.fullmatch(r"[0-9a-fA-F-]{36}", value):
                raise SystemExit(f"{variable}={value}: expected an id, as the API returns it")
            text = text.replace(place, value.lower())
    return text


def record(timestamp, function, line):
    """Returns the fields of a line as Insights discovers them: nested names joined by dots."""
    found = {"@timestamp": timestamp, "@log": function, "@message": line}
    try:
        parsed = json.loads(line)
    except ValueError:
        return found
    if isinstance(parsed, dict):
        found |= _flat(parsed, "")
    return found


def _flat(value, prefix):
    if not isinstance(value, dict):
        return {prefix[:-1]: value}
    flat = {}
    for name, inner in value.items():
        flat |= _flat(inner, f"{prefix}{name}.")
    return flat


class Query:
    """A parsed query."""

    def __init__(self, text):
        self.shown = []  # the fields of the result
        self.is_table = False  # whether `stats` has made rows of its own
        self.used = set()  # the fields of log lines that it names
        self.computed = []
        self.steps = []
        for command in _commands(text):
            self.tokens = _tokens(command)
            name = self._next("name")
            step = getattr(self, f"_{name}", None)
            if step is None:
                raise ValueError(f"{name}: not a command that is supported here")
            self.steps.append(step())
            if self.tokens:
                raise ValueError(f"{command}: nothing expected after {self.tokens[0][1]}")

    def run(self, records):
        """Returns the rows of the result."""
        rows = list(records)
        for step in self.steps:
            rows = step(rows)
        return rows

    def _next(self, kind=None, value=None):
        if not self.tokens:
            raise ValueError(f"expected {value or kind}, not the end")
        found, text = self.tokens.pop(0)
        if (kind and found != kind) or (value and text != value):
            raise ValueError(f"{text}: expected {value or kind}")
        return text

    def _is(self, *texts):
        return bool(self.tokens) and self.tokens[0][1] in texts and self.tokens[0][0] != "string"

    def _accept(self, text):
        return self._is(text) and bool(self.tokens.pop(0))

    def _field(self):
        name = self._next("name")
        if name not in self.computed:
            self.used.add(name)
        return name

    def _list(self):
        names = [self._field()]
        while self._accept(","):
            names.append(self._field())
        return names

    def _fields(self):
        self.shown = self._list()
        return lambda rows: rows

    def _filter(self):
        condition = self._any_of()
        return lambda rows: [row for row in rows if condition(row)]

    def _any_of(self):
        parts = [self._all_of()]
        while self._accept("or"):
            parts.append(self._all_of())
        return lambda row: any(part(row) for part in parts)

    def _all_of(self):
        parts = [self._condition()]
        while self._accept("and"):
            parts.append(self._condition())
        return lambda row: all(part(row) for part in parts)

    def _condition(self):
        if self._accept("not"):
            negated = self._condition()
            return lambda row: not negated(row)
        if self._accept("("):
            inner = self._any_of()
            self._next("sign", ")")
            return inner
        if self._accept("ispresent"):
            self._next("sign", "(")
            name = self._field()
            self._next("sign", ")")
            return lambda row: row.get(name) is not None
        name = self._field()
        if self._accept("like"):
            pattern = re.compile(self._next("pattern")[1:-1])
            return lambda row: pattern.search(str(row.get(name, ""))) is not None
        if self._accept("in"):
            self._next("sign", "[")
            values = [self._value()]
            while self._accept(","):
                values.append(self._value())
            self._next("sign", "]")
            return lambda row: row.get(name) in values
        compare, value = COMPARISONS[self._next("sign")], self._value()
        return lambda row: _is_like(row.get(name), value) and compare(row[name], value)

    def _value(self):
        kind, text = self.tokens.pop(0)
        if kind == "string":
            return text[1:-1]
        if kind != "number":
            raise ValueError(f"{text}: expected a text or a number")
        return float(text)

    def _stats(self):
        totals = [self._total()]
        while self._accept(","):
            totals.append(self._total())
        keys = self._list() if self._accept("by") else []
        self.shown = [*keys, *(name for name, _ in totals)]
        self.computed = [name for name, _ in totals]
        self.is_table = True

        def group(rows):
            groups = {}
            for row in rows:
                groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
            return [
                dict(zip(keys, key, strict=True)) | {name: total(of) for name, total in totals}
                for key, of in groups.items()
            ]

        return group

    def _total(self):
        function = self._next("name")
        self._next("sign", "(")
        name = None if self._accept("*") else self._field()
        share = float(self._next("number")) if self._accept(",") else None
        self._next("sign", ")")
        self._next("name", "as")
        result = self._next("name")

        def total(rows):
            values = [row[name] for row in rows if row.get(name) is not None] if name else rows
            return _aggregate(function, values, share)

        _aggregate(function, [1], share)  # an unknown function is an error of the query
        return result, total

    def _sort(self):
        name = self._field()
        reverse = self._accept("desc") or (self._accept("asc") and False)
        return lambda rows: sorted(
            rows, key=lambda row: (row.get(name) is not None, row.get(name)), reverse=bool(reverse)
        )

    def _limit(self):
        most = int(self._next("number"))
        return lambda rows: rows[:most]


def _is_like(found, value):
    """Returns whether a field can be compared with a value: both are numbers, or both are texts."""
    if isinstance(value, float):
        return isinstance(found, int | float) and not isinstance(found, bool)
    return isinstance(found, str)


def _aggregate(function, values, share):
    if function == "count":
        return len(values)
    if function == "sum":
        return sum(values)
    if function in ("max", "min"):
        return {"max": max, "min": min}[function](values, default=None)
    if function == "pct" and share is not None:
        place = max(0, math.ceil(share / 100 * len(values)) - 1)
        return sorted(values)[place] if values else None
    raise ValueError(f"{function}: not a function that is supported here")


def _commands(text):
    """Yields the commands, which `|` separates outside of texts and patterns."""
    pieces = re.findall(r'(?:"[^"]*"|/(?:[^/\\]|\\.)*/|[^|"/])+', text.strip())
    yield from (piece.strip() for piece in pieces if piece.strip())


def _tokens(command):
    found, at = [], 0
    while at < len(command.rstrip()):
        match = TOKEN.match(command, at)
        if not match:
            raise ValueError(f"{command[at:].strip()}: not understood")
        kind = match.lastgroup
        found.append(("name" if kind == "quoted" else kind, match[kind]))
        at = match.end()
    return found
