"""Finds which calls of the AWS SDK each function of the template can make.

A call is a method without arguments that has the name of an operation, as in
`client.create_schedule()`, because the SDK's builders begin so (a literal as argument is
overlooked). The operations are those of the SDK crates that the workspace uses; botocore, which the
local stack has anyway, knows their names.

A function can make a call if the code that contains it is reachable from the `main` of its crate:

- A name, a path or a method call leads to each item with that name in the function's own crate and
  in `shared`. The type in a path (`Db::connect`) selects the items of that type.
- A method leads nowhere while no reachable code names its type, because then no value of the type
  exists. To name a type is also to name the types in its definition.
- Methods of traits from outside the workspace count as called: a framework calls them.

This is Rapid Type Analysis by names, without the types of expressions, so it finds too many calls
rather than too few. Too few need a call that is written in another way; therefore a call that no
function reaches is an error (test_permissions.py). The analysis does not know which queue a value
is: a call on a type counts for all queues of that type.
"""

import functools
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import botocore.session

import rust_items
import rust_source

ROOT = Path(__file__).resolve().parents[2]
SHARED = "shared"
SDK_CRATE = re.compile(r"^aws-sdk-([\w-]+)", re.MULTILINE)
UPPER = re.compile(r"[A-Z]\w*")
STEP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Call:
    """A call of an operation, in an item of the type `owner`."""

    service: str  # "sqs"
    operation: str  # "SendMessageBatch"
    owner: str
    place: str

    def __str__(self):
        return f"{self.service}:{self.operation} in {self.place}"


class Workspace:
    """The items of all crates, and the operations of the SDK crates that they use."""

    def __init__(self, sources, services):
        """Takes {crate: {module path: text}} and the names of the services."""
        self.items = [
            item
            for crate, files in sources.items()
            for module, text in files.items()
            if not _is_test(module, files)
            for item in rust_items.read(crate, module, text)
        ]
        self.services = set(services)
        self.operations = operations(services)
        self.functions = sorted(set(sources) - {SHARED})
        self.traits = {item.trait for item in self.items if item.trait == item.owner != ""}
        self._reached = {}

    def calls(self, items):
        """Returns the calls that the items contain."""
        return {call for item in items for call in self._calls_of(item)}

    def _calls_of(self, item):
        tokens = item.tokens
        for at, token in enumerate(tokens):
            is_call = tokens[at - 1] == "." and tokens[at + 1 : at + 3] == ("(", ")")
            if token in self.operations and is_call:
                for service, operation in self.operations[token]:
                    yield Call(service, operation, item.owner, str(item))

    def reached(self, function):
        """Returns the calls that a function's crate can make."""
        if function not in self._reached:
            self._reached[function] = self.calls(_Reach(self, function).run())
        return self._reached[function]


class _Reach:
    """Follows the names from the `main` of one function."""

    def __init__(self, workspace, function):
        self.traits = workspace.traits
        mine = [item for item in workspace.items if item.crate in (function, SHARED)]
        root = (function, ("main",), "main")
        self.roots = [item for item in mine if (item.crate, item.module, item.name) == root]
        self.free, self.owned, self.types = (defaultdict(list) for _ in range(3))
        for item in mine:
            if item.kind == "type":
                self.types[item.name].append(item)
            elif item.owner:
                self.owned[item.owner].append(item)
            else:
                self.free[item.name].append(item)
        self.found = set()
        self.named = set()  # types that reachable code names
        self.methods = defaultdict(set)  # {name of a called method: the callers}
        self.later = []  # what names lead to, not yet read

    def run(self):
        """Returns all reachable items."""
        added = set(self.roots)
        while added:
            self.found |= added
            for item in added:
                self._read(item)
            added = set(self._candidates()) - self.found
        return self.found

    def _read(self, item):
        """Notes what an item names."""
        for at, token in enumerate(item.tokens):
            if not rust_source.NAME.fullmatch(token):
                continue
            before = item.tokens[at - 1] if at else ""
            if before == ".":
                self.methods[token].add(item)
            elif before == "::":
                self._path(item, item.tokens[at - 2], token)
            else:
                for each in self.free[token]:
                    self._use(item, each)
            if UPPER.fullmatch(token):
                self._name(token)

    def _path(self, item, qualifier, name):
        owner = item.owner if qualifier == "Self" else qualifier
        if owner in self.traits or owner == ">":  # `<T as Trait>::name`, `Vec::<T>::name`
            self.methods[name].add(item)
        found = self.owned[owner] if UPPER.fullmatch(owner) else self.free[name]
        for each in found:
            if each.name == name:
                self._use(item, each)

    def _name(self, type_name):
        if type_name not in self.named:
            self.named.add(type_name)
            for each in self.types[type_name]:
                self._read(each)

    def _use(self, user, item):
        if _is_visible(item, user):
            self.later.append(item)

    def _candidates(self):
        """Returns the items that the names lead to so far."""
        found, self.later = self.later, []
        for owner in self.named | self.traits:
            for item in self.owned[owner]:
                is_foreign = item.trait and item.trait not in self.traits
                callers = self.methods.get(item.name, ())
                if is_foreign or any(_is_visible(item, caller) for caller in callers):
                    found.append(item)
        return found


def _is_visible(item, user):
    """Returns whether the code of `user` can name an item."""
    if item.public:
        return True
    return item.crate == user.crate and user.module[: len(item.module)] == item.module


def _is_test(module, files):
    """Returns whether a file is compiled for tests only."""
    for length in range(1, len(module) + 1):
        parents = [module[: length - 1], ("main",)] if length == 1 else [module[: length - 1]]
        declared = [rust_source.modules(files[each]) for each in parents if each in files]
        if any(each.get(module[length - 1]) for each in declared):
            return True
    return False


@functools.cache
def _operations(service):
    return tuple(botocore.session.get_session().get_service_model(service).operation_names)


def operations(services):
    """Returns {name of the SDK's method: [(service, operation)]}."""
    found = defaultdict(list)
    for service in services:
        for operation in _operations(service):
            found[STEP.sub("_", operation).lower()].append((service, operation))
    return dict(found)


def services(root=ROOT):
    """Returns the services whose SDK crates the functions and `shared` depend on."""
    manifests = [root / SHARED / "Cargo.toml", *sorted(root.glob("functions/*/Cargo.toml"))]
    return sorted({name for path in manifests for name in SDK_CRATE.findall(path.read_text())})


def _files(folder):
    """Returns {module path: text} of a crate; () is its library, ("main",) its binary."""
    found = {}
    for path in sorted(folder.rglob("*.rs")):
        *parents, name = path.relative_to(folder).with_suffix("").parts
        parts = parents if name == "mod" or (name == "lib" and not parents) else [*parents, name]
        found[tuple(parts)] = path.read_text()
    return found


def sources(root=ROOT):
    """Returns {crate: {module path: text}} of `shared` and the functions."""
    folders = {SHARED: root / SHARED / "src"}
    folders |= {path.parent.name: path for path in sorted(root.glob("functions/*/src"))}
    return {crate: _files(folder) for crate, folder in folders.items()}
