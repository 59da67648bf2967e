"""Reads the functions, types and constants of a Rust file with the names that they use.

It builds on the lexer of rust_source.py and is no compiler either. Items that are compiled only for
tests are left out. The tokens of macros are read as they stand.
"""

from dataclasses import dataclass

import rust_source

OPEN, CLOSE = "([{", ")]}"
TYPES = ("struct", "enum", "union", "type")
# What a token contains that begins no item: `pub` and attributes before it stay in force.
NOTHING = ()


@dataclass(frozen=True, eq=False)
class Item:
    """A function, a constant or static (kind "value"), or a type (kind "type")."""

    crate: str
    module: tuple  # ("platform", "queue", "sqs")
    kind: str
    name: str
    owner: str  # the type of its impl block, or its trait; "" for a free item
    trait: str  # the trait that the block implements or declares, "" for none
    public: bool
    tokens: tuple  # signature and body

    def __str__(self):
        return "::".join(filter(None, [self.crate, *self.module, self.owner, self.name]))


def read(crate, module, text):
    """Returns the items of a file."""
    tokens = [match[0] for match in rust_source.TOKEN.finditer(rust_source.blanked(text))]
    return list(_Reader(crate, module, tokens).items(0, len(tokens)))


class _Reader:
    """Reads the tokens of one file."""

    def __init__(self, crate, module, tokens):
        self.crate = crate
        self.module = module
        self.tokens = tokens

    def items(self, at, end, owner="", trait=""):
        """Yields the items between two positions, which belong to a type or a trait."""
        public = test_only = False
        while at < end:
            token = self.tokens[at]
            if token == "#":
                test_only |= self.tokens[at : at + len(rust_source.TEST_ONLY)] == (
                    rust_source.TEST_ONLY
                )
                at = self._behind(at + (2 if self.tokens[at + 1] == "!" else 1))
                continue
            if token == "pub":
                public, at = True, at + 1
                if at < end and self.tokens[at] == "(":
                    at = self._behind(at)
                continue
            after, found = self._item(at, owner, trait, public)
            if not test_only:
                yield from found
            if found is not NOTHING:
                public = test_only = False
            at = after

    def _item(self, at, owner, trait, public):
        """Returns (the position behind the item at `at`, what it contains)."""
        token, name = self.tokens[at], self._at(at + 1)
        if token == "use":
            return self._end(at, to_semicolon=True), []
        if token == "mod":
            return self._block(at, "", "")
        if token == "impl":
            return self._block(at, *self._impl(at))
        if token == "trait":
            return self._block(at, name, name)
        if token == "fn":
            return self._made(at, "fn", owner, trait, public or bool(trait))
        if token in ("const", "static") and name not in ("fn", "unsafe", "async", "extern"):
            return self._made(at, "value", owner, trait, public or bool(trait))
        if token in TYPES and rust_source.NAME.fullmatch(name):
            return self._made(at, "type", "", "", True)
        if token == "macro_rules":
            end = self._end(at)
            return end, [self._new("fn", self._at(at + 2), "", "", True, at, end)]
        return self._behind(at) if token in OPEN else at + 1, NOTHING

    def _made(self, at, kind, owner, trait, public):
        """Returns the end of an item with a name, and the item."""
        end = self._end(at, to_semicolon=kind == "value")
        name = self.tokens[at + 2 if self.tokens[at + 1] == "mut" else at + 1]
        return end, [self._new(kind, name, owner, trait, public, at, end)]

    def _new(self, kind, name, owner, trait, public, at, end):
        return Item(
            crate=self.crate,
            module=self.module,
            kind=kind,
            name=name,
            owner=owner,
            trait=trait,
            public=public,
            tokens=tuple(self.tokens[at:end]),
        )

    def _block(self, at, owner, trait):
        """Returns the end of a `mod`, `impl` or `trait`, and the items in its block."""
        start = at
        while self._at(start) not in ("{", ";", ""):
            start += 1
        if self._at(start) != "{":
            return start + 1, []
        end = self._behind(start)
        return end, list(self.items(start + 1, end - 1, owner, trait))

    def _impl(self, at):
        """Returns (the type, the trait or "") of the `impl` at `at`."""
        at += 1
        if self._at(at) == "<":
            at = self._behind_angles(at)
        first, at = self._path(at)
        if self._at(at) == "for":
            return self._path(at + 1)[0], first
        return first, ""

    def _path(self, at):
        """Returns the last name of a path such as `a::B<C>`, and the position behind it."""
        name = ""
        while self._at(at) not in ("for", "where", "{", ""):
            if self._at(at) == "<":
                at = self._behind_angles(at)
                continue
            if rust_source.NAME.fullmatch(self._at(at)):
                name = self._at(at)
            at += 1
        return name, at

    def _at(self, at):
        return self.tokens[at] if at < len(self.tokens) else ""

    def _behind(self, at):
        """Returns the position behind the bracket that closes the one at `at`."""
        depth = 0
        while at < len(self.tokens):
            depth += (self.tokens[at] in OPEN) - (self.tokens[at] in CLOSE)
            at += 1
            if depth == 0:
                break
        return at

    def _behind_angles(self, at):
        depth = 0
        while at < len(self.tokens):
            arrow = self.tokens[at] == ">" and self.tokens[at - 1] == "-"
            depth += (self.tokens[at] == "<") - (self.tokens[at] == ">" and not arrow)
            at += 1
            if depth == 0:
                break
        return at

    def _end(self, at, to_semicolon=False):
        """Returns the position behind the item: its semicolon, or its first block in braces."""
        while at < len(self.tokens):
            if self.tokens[at] == ";":
                return at + 1
            if self.tokens[at] in OPEN:
                is_block = self.tokens[at] == "{"
                at = self._behind(at)
                if is_block and not to_semicolon:
                    return at
                continue
            at += 1
        return at
