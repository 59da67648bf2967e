"""Reads Rust source far enough for the checks of this folder: which paths a file names, and where.

This is a lexer and a parser of `use` trees, not a compiler. Macros are read as plain tokens. Code
that is compiled for tests only (`#[cfg(test)]`) is skipped.
"""

import re
from dataclasses import dataclass

# What the lexer blanks: comments, literals and lifetimes. Line breaks stay, so that positions hold.
# Block comments nest and raw strings have fences of any length, so _skipped() finds their ends.
OPENING = re.compile(
    r"//[^\n]*"
    r"|/\*"
    r"|\bb?r(?P<fence>#*)\""
    r"|\"(?:[^\"\\]|\\.)*\""
    r"|'(?:[^'\\\n]|\\(?:u\{[^}]*\}|x..|.))'",
    re.DOTALL,
)
# A string that holds nothing but a path, as in `#[serde(with = "crate::http::fields")]`.
PATH_STRING = re.compile(r'"((?:crate|super)(?:::\w+)+)"')
TOKEN = re.compile(r"\$?\b[A-Za-z_]\w*|::|[^\s\w]")
TEST_ONLY = ["#", "[", "cfg", "(", "test", ")", "]"]
NAME = re.compile(r"\$?[A-Za-z_]\w*")
# Before these words a path is not a path of this crate, or it is not an import.
KEYWORDS = {"use", "mod", "fn", "struct", "enum", "trait", "type", "impl", "as", "pub", "in"}


@dataclass(frozen=True)
class Path:
    """A path as the source names it: `segments` is ["crate", "http", "error"], for example."""

    segments: tuple
    line: int
    inline: tuple  # names of the inline modules around it, outermost first
    binding: str = ""  # the name that a `use` declaration gives it, "" for none
    use: bool = False  # whether it stands in a `use` declaration


def blanked(text):
    """Returns the source without comments and literals; other characters keep their place."""
    kept, place = [], 0
    while found := OPENING.search(text, place):
        end = _skipped(text, found)
        kept.append(text[place : found.start()])
        literal = text[found.start() : end]
        path = PATH_STRING.fullmatch(literal)
        kept.append(f" {path[1]} " if path else re.sub(r"[^\n]", " ", literal))
        place = end
    return "".join(kept) + text[place:]


def _skipped(text, found):
    """Returns the end of the comment or literal that starts at the match."""
    if found[0] == "/*":
        depth = 0
        for mark in re.compile(r"/\*|\*/").finditer(text, found.start()):
            depth += 1 if mark[0] == "/*" else -1
            if depth == 0:
                return mark.end()
        return len(text)
    if found["fence"] is not None:
        end = text.find('"' + found["fence"], found.end())
        return len(text) if end < 0 else end + 1 + len(found["fence"])
    return found.end()


def function_names(text):
    """Returns the names of all functions that the source defines."""
    return set(re.findall(r"\bfn\s+(\w+)", blanked(text)))


def modules(text):
    """Returns {module that the source declares: whether it is compiled for tests only}."""
    reader = Reader(text)
    reader.paths()
    return reader.modules


def paths(text):
    """Returns all paths of two or more segments, and all paths in `use` declarations."""
    return Reader(text).paths()


class Reader:
    """One pass over the tokens of a file."""

    def __init__(self, text):
        source = blanked(text)
        found = list(TOKEN.finditer(source))
        self.tokens = [match[0] for match in found]
        starts = [match.start() for match in found]
        self.lines, line, place = [], 1, 0
        for start in starts:
            line += source.count("\n", place, start)
            place = start
            self.lines.append(line)
        self.at = 0
        self.modules = {}
        self.blocks = []  # for each open brace: (name of the inline module or None, test only)
        self.test_next = False  # the next item is compiled for tests only

    def paths(self):
        """Reads the whole file."""
        found = []
        while self.at < len(self.tokens):
            found += self._step()
        return found

    def _token(self, ahead=0):
        place = self.at + ahead
        return self.tokens[place] if 0 <= place < len(self.tokens) else ""

    def _step(self):
        """Reads what starts at the current token; returns the paths in it."""
        token = self._token()
        if self.tokens[self.at : self.at + len(TEST_ONLY)] == TEST_ONLY:
            self.test_next = True
            self.at += len(TEST_ONLY)
        elif token == "use" and self._token(1) != "<":  # `impl Trait + use<'a>` is no import
            return self._use()
        elif token == "mod" and NAME.fullmatch(self._token(1)) and self._token(2) in ("{", ";"):
            self._module()
        elif token == "{":
            self._open(None)
        elif token == "}":
            self.at += 1
            if self.blocks:
                self.blocks.pop()
        elif token == "pub" and self._token(1) == "(":
            while self._token() not in (")", ""):  # `pub(in crate::http)` is no import
                self.at += 1
        elif NAME.fullmatch(token) and token not in KEYWORDS and self._token(-1) != "::":
            return self._inline_path()
        else:
            if token == ";":
                self.test_next = False
            self.at += 1
        return []

    def _open(self, module):
        outer = bool(self.blocks) and self.blocks[-1][1]
        self.blocks.append((module, outer or self.test_next))
        self.test_next = False
        self.at += 1

    def _module(self):
        name = self._token(1)
        self.at += 2
        if self._token() == "{":
            self._open(name)
        else:
            if not self._inline_names():
                self.modules[name] = self._is_test()
            self.test_next = False
            self.at += 1

    def _inline_names(self):
        return tuple(module for module, _ in self.blocks if module)

    def _is_test(self):
        return self.test_next or bool(self.blocks) and self.blocks[-1][1]

    def _inline_path(self):
        line, segments = self.lines[self.at], [self._token().lstrip("$")]
        while self._token(1) == "::" and NAME.fullmatch(self._token(2)):
            segments.append(self._token(2))
            self.at += 2
        self.at += 1
        if len(segments) < 2 or self._is_test():
            return []
        return [Path(tuple(segments), line, self._inline_names())]

    def _use(self):
        test = self._is_test()
        self.at += 1
        found = [] if self._token() == ";" else self._tree(())
        self.at += 1  # the semicolon
        self.test_next = False
        return [] if test else found

    def _tree(self, prefix):
        """Reads one use tree, without the comma or brace behind it."""
        if self._token() == "::":
            self.at += 1
        if self._token() == "{":
            return self._group(prefix)
        line, segments = self.lines[self.at], [*prefix, self._token()]
        self.at += 1
        while self._token() == "::":
            self.at += 1
            if self._token() == "{":
                return self._group(tuple(segments))
            segments.append(self._token())
            self.at += 1
        binding = segments[-1]
        if binding == "self" and len(segments) > 1:  # `{self, …}` names the module itself
            segments.pop()
            binding = segments[-1]
        if self._token() == "as":
            binding = self._token(1)
            self.at += 2
        if segments[-1] == "*":
            segments.pop()
            binding = ""
        return [Path(tuple(segments), line, self._inline_names(), binding, use=True)]

    def _group(self, prefix):
        found = []
        self.at += 1
        while self._token() not in ("}", ""):
            found += self._tree(prefix)
            if self._token() == ",":
                self.at += 1
        self.at += 1
        return found
