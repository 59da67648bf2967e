"""Checks the documents against the repository: links, paths, names of tests, and the size of lines.

    infra/local/python infra/local/docs.py

Each violation is printed as file:line, with what was expected.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path

import rust_source

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md",
    "infra/**/README.md", "functions/**/README.md", "shared/**/README.md",
)  # fmt: skip
CRATES = ("shared", "functions/*", "infra/*")
WIDTH = 100  # columns of a line of prose
README_LINES = 200

FENCE = re.compile(r"\s*(```|~~~)")
HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*$")
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
DEFINITION = re.compile(r"\s*\[[^\]]+\]:\s+(\S+)")
LINK_ONLY = re.compile(r"\s*(?:[-*+]|\d+\.)?\s*!?\[[^\]]*\]\([^)]*\)[.,;]?\s*$")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
SOURCE_LINES = re.compile(r"L\d+(-L\d+)?")

PATH = re.compile(r"(?:functions|shared|infra|migrations|docs)/[\w./{},-]*[\w/}]")
GROUP = re.compile(r"\{([^{}]*,[^{}]*)\}")
PROOF_TABLE = re.compile(r"\b(tests?|proof|proved|proven)\b", re.IGNORECASE)
SEPARATOR = re.compile(r"\|[\s:|-]+\|?\s*$")
LONG_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+){3,}")
CRATE_NAME = re.compile(r"([a-z][a-z0-9_-]*): ((?:\w+::)*\w+)")
FUNCTION = re.compile(r"\w+")


@dataclass
class Document:
    """One Markdown file. Lines of code blocks are kept apart from the others."""

    root: Path
    path: Path
    lines: list = field(default_factory=list)  # (line number, text) outside of code blocks
    length: int = 0

    def __post_init__(self):
        fence = None
        text = self.path.read_text().splitlines()
        self.length = len(text)
        for number, line in enumerate(text, 1):
            mark = FENCE.match(line)
            if mark and fence in (None, mark[1]):
                fence = None if fence else mark[1]
            elif not fence:
                self.lines.append((number, line))

    @property
    def name(self):
        """Returns its path below the root."""
        return self.path.relative_to(self.root)

    def prose(self):
        """Yields (line number, text) without the text in back quotes."""
        for number, line in self.lines:
            yield number, CODE.sub("", line)

    def code(self):
        """Yields (line number, text) of each text in back quotes."""
        for number, line in self.lines:
            yield from ((number, text) for text in CODE.findall(line))

    @cached_property
    def anchors(self):
        """Returns the anchors of its headings, as GitHub creates them."""
        found = set()
        for _, line in self.lines:
            if heading := HEADING.match(line):
                name, count = anchor(heading[1]), 0
                while (unique := f"{name}-{count}" if count else name) in found:
                    count += 1
                found.add(unique)
        return found

    def proof_rows(self):
        """Yields (line number, row) of the tables with a column of tests or proofs."""
        previous, proof = "", False
        for number, line in self.lines:
            if not line.startswith("|"):
                proof = False
            elif SEPARATOR.match(line):
                proof = bool(PROOF_TABLE.search(previous))
            elif proof:
                yield number, line
            previous = line


class Repository:
    """The documents, and the names of the functions that they refer to."""

    def __init__(self, root):
        self.root = root
        paths = sorted({path for pattern in DOCUMENTS for path in root.glob(pattern)})
        self.documents = {path: Document(root, path) for path in paths}

    @cached_property
    def crates(self):
        """Returns {name: folder} of the crates."""
        folders = [folder for pattern in CRATES for folder in self.root.glob(pattern)]
        return {folder.name: folder for folder in folders if (folder / "Cargo.toml").exists()}

    @cached_property
    def functions(self):
        """Returns {function: the files that define it}."""
        found = {}
        for folder in self.crates.values():
            for path in folder.rglob("*.rs"):
                for name in rust_source.function_names(path.read_text()):
                    found.setdefault(name, []).append(path)
        return found

    def defines(self, folder, name):
        """Returns whether a file, or a file below a folder, defines a function."""
        return any(folder in (path, *path.parents) for path in self.functions.get(name, []))


def anchor(heading):
    """Returns the anchor that GitHub gives to a heading."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def links(repository):
    """Each relative link leads to a file, and its anchor to a heading."""
    for document in repository.documents.values():
        for number, line in document.prose():
            targets = LINK.findall(line) + DEFINITION.findall(line)
            for target in targets:
                if not SCHEME.match(target) and (problem := _broken(repository, document, target)):
                    yield f"{document.name}:{number}: link {target}: {problem}"


def _broken(repository, document, target):
    """Returns what is wrong with a relative link, or None."""
    name, _, fragment = target.partition("#")
    path = (document.path.parent / name).resolve() if name else document.path
    if not path.exists():
        return "expected a file or folder of this name"
    if not fragment or SOURCE_LINES.fullmatch(fragment):
        return None
    other = repository.documents.get(path)
    if other is None and path.suffix == ".md":
        other = Document(repository.root, path)
    if other is None or fragment not in other.anchors:
        return f"expected a heading with the anchor #{fragment}"
    return None


def expanded(pattern):
    """Returns [`a/b/d`, `a/c/d`] for `a/{b,c}/d`."""
    parts = GROUP.split(pattern)
    choices = [part.split(",") if place % 2 else [part] for place, part in enumerate(parts)]
    return ["".join(chosen) for chosen in product(*choices)]


def paths(repository):
    """Each path in back quotes that starts with a folder of this repository exists."""
    for document in repository.documents.values():
        for number, text in document.code():
            for word in text.split():
                word = re.sub(r"(::\w+)+|:\d+$|[:,;]$", "", word)
                if not PATH.fullmatch(word):
                    continue  # it starts elsewhere, or contains a wildcard or a placeholder
                for path in expanded(word):
                    if "{" not in path and not (repository.root / path).exists():
                        yield f"{document.name}:{number}: `{path}`: expected a file or folder"


def test_names(repository):
    """Each test that a table names as proof exists, in the file or crate that the table names."""
    for document in repository.documents.values():
        for number, row in document.proof_rows():
            for cell in re.split(r"(?<!\\)\|", row):
                for problem in _unknown_tests(repository, cell):
                    yield f"{document.name}:{number}: {problem}"


def _unknown_tests(repository, cell):
    """Yields what is wrong with the names in one cell. A path precedes functions in it."""
    folder = None
    for found in CODE.finditer(cell):
        text, behind = found[1], cell[found.end() :]
        if in_crate := CRATE_NAME.fullmatch(text):
            yield from _unknown_in_crate(repository, *in_crate.groups())
        elif PATH.fullmatch(text):
            folder = repository.root / text if behind.startswith(":") else None
        elif folder and FUNCTION.fullmatch(text):
            if not repository.defines(folder, text):
                yield f"`{text}`: expected a function in {folder.relative_to(repository.root)}"
        elif LONG_NAME.fullmatch(text) and text not in repository.functions:
            yield f"`{text}`: expected a function of this name"
        elif text.endswith("…") and LONG_NAME.match(text):
            yield f"`{text}`: expected the whole name of the test"


def _unknown_in_crate(repository, crate, name):
    """Checks `crate: name`; the name is that of a function, a module or a test file."""
    folder, last = repository.crates.get(crate), name.rpartition("::")[2]
    if folder is None:
        if LONG_NAME.fullmatch(last):  # else it is another pair, such as a field and its value
            yield f"`{crate}: {name}`: expected the name of a crate before the colon"
        return
    modules = (path for path in folder.rglob("*") if path.suffix in ("", ".rs"))
    module = any(path.stem == last for path in modules)
    if not module and not repository.defines(folder, last):
        yield f"`{crate}: {name}`: expected a function of this name in the crate {crate}"


def readme_length(repository):
    """The README has few lines."""
    readme = repository.documents.get(repository.root / "README.md")
    if readme and readme.length > README_LINES:
        yield f"README.md:{readme.length}: expected at most {README_LINES} lines"


def line_width(repository):
    """Lines of prose are wrapped. Headings, tables and lines with nothing but a link are exempt."""
    for document in repository.documents.values():
        for number, line in document.lines:
            free = line.lstrip().startswith("|") or HEADING.match(line)
            free = free or LINK_ONLY.match(line) or DEFINITION.match(line)
            if len(line) > WIDTH and not free:
                yield f"{document.name}:{number}: {len(line)} columns: expected at most {WIDTH}"


RULES = (links, paths, test_names, readme_length, line_width)


def main():
    """Prints each violation; exits with 1 if there is one."""
    repository = Repository(ROOT)
    violations = [violation for rule in RULES for violation in rule(repository)]
    if violations:
        raise SystemExit("\n".join(violations))
    count = len(repository.documents)
    print(f"{count} documents: links, paths, names of tests and widths are correct")


if __name__ == "__main__":
    main()
