"""Checks the folder rule: each folder of a crate imports only what imports.toml lists for it.

It reads the `use` declarations and the paths in the code of each file, except test code, and
resolves them to files. `mod` declarations are not imports. An item that a mod.rs re-exports counts
as an item of that mod.rs. The check also rejects import cycles between directories, and cycles of
files that are larger than the table accepts.

    infra/local/python infra/local/imports.py [ROOT]
"""

import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import rust_source

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("imports.toml")
MAIN = ("main.rs",)  # the module path under which the root of a crate's binary is kept
FILES_SHOWN = 12  # of a cycle


@dataclass(frozen=True)
class Import:
    """One path in the source that leads to another file of the same crate."""

    source: Path
    line: int
    target: Path
    origin: str  # the folder of the source
    folder: str  # the folder of the target


class Crate:
    """The files of one crate by their module paths, and the imports between them."""

    def __init__(self, root, table):
        self.name = table["name"]
        self.folders = table["folders"]
        self.split = set(table.get("split", []))
        self.largest_cycle = table.get("largest_cycle")
        self.root = root
        self.source = root / table["source"]
        self.files = {self._module(path): path for path in sorted(self.source.rglob("*.rs"))}
        if not self.files:
            raise SystemExit(f"imports.toml: {table['source']} contains no Rust file")
        self.imports = list(self._imports())

    def _module(self, path):
        """Returns the module path of a file, () for the root of the library."""
        *folders, name = path.relative_to(self.source).parts
        if not folders and name in ("lib.rs", "main.rs"):
            return () if name == "lib.rs" else MAIN
        return (*folders, *([] if name == "mod.rs" else [name.removesuffix(".rs")]))

    def folder(self, module):
        """Returns the folder of the table that a module belongs to."""
        if module in ((), MAIN):
            return "main" if module else "lib"
        if module[0] in self.split and len(module) > 1:
            return "/".join(module[:2])
        return module[0]

    def all_folders(self):
        """Returns the folders that the crate consists of."""
        return {self.folder(module) for module in self.files}

    def directories(self):
        """Returns those of its folders that are directories."""
        return {folder for folder in self.all_folders() if (self.source / folder).is_dir()}

    def _imports(self):
        texts = {module: path.read_text() for module, path in self.files.items()}
        tests = self._test_modules(texts)
        for module, text in texts.items():
            if not any(module[:length] in tests for length in range(1, len(module) + 1)):
                yield from self._imports_of(module, text)

    @staticmethod
    def _test_modules(texts):
        """The modules that are compiled for tests only; those inside them are not listed."""
        return {
            (*module, name)
            for module, text in texts.items()
            for name, test_only in rust_source.modules(text).items()
            if test_only
        }

    def _imports_of(self, module, text):
        aliases = {}  # names that `use` declarations give to modules
        for path in sorted(rust_source.paths(text), key=lambda path: not path.use):
            target, whole = self._resolve(module, path, aliases)
            if target is None:
                continue
            if path.use and whole and path.binding:
                aliases[path.binding] = target
            if target != module:
                yield Import(
                    source=self.files[module],
                    line=path.line,
                    target=self.files[target],
                    origin=self.folder(module),
                    folder=self.folder(target),
                )

    def _resolve(self, module, path, aliases):
        """Returns (the target's module or None, whether the target is that module itself)."""
        base, rest = self._start(module, path, aliases)
        if base is None:
            return None, False
        for place, segment in enumerate(rest):
            if (*base, segment) not in self.files:
                return self._of_file(base), place == len(rest)
            base = (*base, segment)
        return self._of_file(base), True

    def _start(self, module, path, aliases):
        """Returns the module in which a path starts, and the segments that remain."""
        first, *rest = path.segments
        scope = (*module, *path.inline)
        if first == "crate":
            return (MAIN if module == MAIN and () in self.files else ()), rest
        if first == "self":
            return scope, rest
        if first == "super":
            while first == "super":
                scope = scope[:-1]
                first, *rest = rest or [None]
            return scope, [first, *rest] if first else []
        if (*scope, first) in self.files:
            return scope, path.segments
        if first in aliases:
            return aliases[first], rest
        if first == self.name and () in self.files:
            return (), rest
        return None, []

    def _of_file(self, module):
        """Returns the module of the file that contains a module, which may be inline."""
        while module and module not in self.files:
            module = module[:-1]
        return module if module in self.files else MAIN


def group(folder):
    """Returns the row of all folders of a split directory: `resources/*`; None elsewhere."""
    return f"{folder.partition('/')[0]}/*" if "/" in folder else None


def allowed(crate, folder):
    """Returns the folders that a folder may import, by the table."""
    return {*crate.folders.get(folder, []), *crate.folders.get(group(folder), [])}


def place(crate, path):
    """Returns the path of a file below the root of the repository."""
    return path.relative_to(crate.root)


def forbidden_imports(crate):
    """Imports that the table does not list."""
    arrows = {(each.source, each.line, each.origin, each.folder) for each in crate.imports}
    for source, line, origin, folder in sorted(arrows):
        if folder != origin and not {folder, group(folder)} & allowed(crate, origin):
            yield f"{place(crate, source)}:{line}: {origin} → {folder} is not in the table"


def table_rows(crate):
    """Folders without a row in the table, and rows without a folder."""
    folders, source = crate.all_folders(), place(crate, crate.source)
    for folder in sorted(folders):
        if not {folder, group(folder)} & set(crate.folders):
            yield f"{source}/{folder}: the table has no row for this folder"
    named = set(crate.folders).union(*crate.folders.values())
    for name in sorted(named - folders):
        if not name.endswith("/*"):
            yield f"imports.toml: {name} of the crate {crate.name} does not exist"


def folder_cycles(crate):
    """Directories that import each other, directly or through others."""
    directories, arrows = crate.directories(), defaultdict(dict)
    for found in crate.imports:
        if {found.origin, found.folder} <= directories and found.origin != found.folder:
            arrows[found.origin].setdefault(found.folder, found)
    for cycle in cycles({origin: set(targets) for origin, targets in arrows.items()}):
        inside = [arrows[a][b] for a in sorted(cycle) for b in sorted(arrows[a]) if b in cycle]
        lines = [
            f"  {place(crate, each.source)}:{each.line}: {each.origin} → {each.folder}"
            for each in inside
        ]
        yield "\n".join([f"{', '.join(sorted(cycle))}: these folders import each other", *lines])


def file_cycles(crate):
    """Import cycles of more files than the table accepts."""
    if crate.largest_cycle is None:
        return
    arrows = defaultdict(set)
    for found in crate.imports:
        arrows[found.source].add(found.target)
    for cycle in cycles(arrows):
        if len(cycle) > crate.largest_cycle:
            files = [f"  {place(crate, path)}" for path in sorted(cycle)[:FILES_SHOWN]]
            more = ["  …"] if len(cycle) > FILES_SHOWN else []
            text = f"{len(cycle)} files of {crate.name} import each other"
            accepted = f"at most {crate.largest_cycle} are accepted:"
            yield "\n".join([f"{text}, {accepted}", *files, *more])


def cycles(arrows):
    """The strongly connected components of a graph that have more than one node (Tarjan)."""
    number, low, stack, found = {}, {}, [], []

    def close(node):
        component = set()
        while node not in component:
            component.add(stack.pop())
        if len(component) > 1:
            found.append(component)

    def visit(start):
        walk = [(start, iter(sorted(arrows.get(start, ()))))]
        number[start] = low[start] = len(number)
        stack.append(start)
        while walk:
            node, targets = walk[-1]
            for target in targets:
                if target not in number:
                    number[target] = low[target] = len(number)
                    stack.append(target)
                    walk.append((target, iter(sorted(arrows.get(target, ())))))
                    break
                if target in stack:
                    low[node] = min(low[node], number[target])
            else:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
                if low[node] == number[node]:
                    close(node)

    for node in sorted(arrows):
        if node not in number:
            visit(node)
    return found


RULES = (table_rows, forbidden_imports, folder_cycles, file_cycles)


def crates(root, table):
    """Returns the crates of the table."""
    return [Crate(root, each) for each in tomllib.loads(table.read_text())["crate"]]


def main():
    """Prints each violation; exits with 1 if there is one."""
    root = Path(sys.argv[1]).resolve() if sys.argv[1:] else ROOT
    found = crates(root, TABLE)
    violations = [violation for crate in found for rule in RULES for violation in rule(crate)]
    if violations:
        raise SystemExit("\n".join(violations))
    for crate in found:
        arrows = {(each.origin, each.folder) for each in crate.imports}
        arrows = {(origin, folder) for origin, folder in arrows if origin != folder}
        print(f"{crate.name}: {len(crate.files)} files, {len(arrows)} imports between folders")


if __name__ == "__main__":
    main()
