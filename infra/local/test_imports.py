"""Tests that imports.py finds each kind of violation, on small trees of files.

infra/local/python infra/local/test_imports.py
"""

import tempfile
import unittest
from pathlib import Path

import imports
import rust_source


def named(source):
    """Returns the paths that a source names, as text."""
    return sorted("::".join(path.segments) for path in rust_source.paths(source))


class RustSource(unittest.TestCase):
    """Which paths the reader finds in a source."""

    def test_each_branch_of_a_use_tree_is_a_path(self):
        table = (
            ("use crate::http::error;", ["crate::http::error"]),
            ("pub use a::b as c;", ["a::b"]),
            ("pub(crate) use super::super::x::*;", ["super::super::x"]),
            (
                "use crate::{a, b::{self, c::{D, E as F}}, g::*};",
                ["crate::a", "crate::b", "crate::b::c::D", "crate::b::c::E", "crate::g"],
            ),
            ("use {\n    self::a::B,\n    crate::c,\n};", ["crate::c", "self::a::B"]),
            ("use ::axum::Router;", ["axum::Router"]),
            ("fn f() { use crate::a::B; }", ["crate::a::B"]),
        )
        for source, expected in table:
            self.assertEqual(named(source), expected, source)

    def test_a_path_in_code_is_found(self):
        table = (
            ("fn f() -> crate::a::B { super::g(1) }", ["crate::a::B", "super::g"]),
            ("struct S(Vec<crate::a::B>);", ["crate::a::B"]),
            ("macro_rules! m { () => { $crate::a::f() } }", ["crate::a::f"]),
            ('#[serde(with = "crate::http::fields")]\nstruct S;', ["crate::http::fields"]),
            ("let x: &'a crate::A; type Y = <T as crate::b::C>::D;", ["crate::A", "crate::b::C"]),
        )
        for source, expected in table:
            self.assertEqual(named(source), expected, source)

    def test_comments_literals_and_visibilities_name_no_path(self):
        table = (
            "// use crate::a;\n/* use crate::b; /* nested */ crate::c::d() */",
            "//! [`crate::a::b`]",
            'let text = "use crate::a; \\" crate::b::c";',
            'let raw = r#"crate::a::b " crate::c::d"#; let byte = b\'"\'; let quote = \'"\';',
            "pub(in crate::a) fn f() {}",
            "mod a;",
        )
        for source in table:
            self.assertEqual(named(source), [], source)

    def test_code_for_tests_is_left_out(self):
        source = """
            #[cfg(test)]
            use crate::a;
            #[cfg(test)]
            #[allow(clippy::unwrap_used)]
            mod tests { use crate::b; fn f() { crate::c::d() } }
            #[cfg(test)]
            impl A { fn f() { crate::e::f() } }
            use crate::kept;
        """
        self.assertEqual(named(source), ["crate::kept"])

    def test_a_module_for_tests_is_told_apart(self):
        source = "#[cfg(test)]\nmod a;\npub mod b;"
        self.assertEqual(rust_source.modules(source), {"a": True, "b": False})

    def test_a_path_has_the_line_on_which_it_starts(self):
        found = rust_source.paths("//\nuse crate::{\n    a,\n    b::C,\n};\n")
        self.assertEqual([(path.segments[-1], path.line) for path in found], [("a", 3), ("C", 4)])


class Tree(unittest.TestCase):
    """Which violations are found in a tree of files."""

    FOLDERS = {"lib": ["low"], "low": [], "high": ["low"], "res": [], "res/*": ["low"]}
    FILES = {
        "lib.rs": "pub mod low; pub mod high; pub mod res;",
        "low/mod.rs": "pub mod a;\npub use a::A;",
        "low/a.rs": "pub struct A;",
        "high/mod.rs": "use crate::low::A;",
        "res/mod.rs": "pub mod x; pub mod y;",
        "res/x/mod.rs": "use crate::low;\nfn f() { low::a::f() }",
        "res/y/mod.rs": "",
    }

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def crate(self, changes=None, **table):
        """Returns the crate of the fixture, with some files changed."""
        for name, text in (self.FILES | (changes or {})).items():
            path = self.root / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        table = {"name": "ours", "source": "src", "split": ["res"], "folders": self.FOLDERS} | table
        return imports.Crate(self.root, table)

    def violations(self, *arguments, **table):
        """Returns what all rules find."""
        crate = self.crate(*arguments, **table)
        return [violation for rule in imports.RULES for violation in rule(crate)]

    def test_nothing_is_found_in_a_tree_that_follows_the_table(self):
        self.assertEqual(self.violations(), [])

    def test_each_way_to_write_a_forbidden_import_is_found(self):
        table = (
            ("low/a.rs", "use crate::high::B;"),
            ("low/a.rs", "use crate::{high};"),
            ("low/a.rs", "use super::super::high::B;"),
            ("low/a.rs", "pub use crate::{low::A, high::{B, C}};"),
            ("low/a.rs", "fn f() { crate::high::b() }"),
            ("low/a.rs", "mod inner { use super::super::super::high::B; }"),
            ("low/a.rs", "use ours::high::B;"),
            ("low/mod.rs", "pub mod a; use super::high;"),
        )
        for name, text in table:
            with self.subTest(text=text):
                found = self.violations({name: text})
                self.assertIn(f"src/{name}:1: low → high is not in the table", found)

    def test_a_folder_of_a_split_directory_may_not_import_its_sibling(self):
        changes = {"res/x/mod.rs": "\nuse crate::res::y::Y;"}
        found = ["src/res/x/mod.rs:2: res/x → res/y is not in the table"]
        self.assertEqual(self.violations(changes), found)
        changes = {"res/x/mod.rs": "use crate::res;\nfn f() { res::y::f() }"}
        self.assertIn(found[0], self.violations(changes))
        folders = self.FOLDERS | {"res/x": ["res/y"]}
        self.assertEqual(self.violations({"res/x/mod.rs": "use super::y::Y;"}, folders=folders), [])

    def test_a_re_exported_item_belongs_to_the_module_that_exports_it(self):
        targets = {found.target for found in self.crate().imports if found.origin == "high"}
        self.assertEqual(targets, {self.root / "src/low/mod.rs"})

    def test_declaring_a_module_and_importing_in_tests_are_no_imports(self):
        changes = {
            "low/mod.rs": "pub mod a;\n#[cfg(test)]\nmod tests;",
            "low/tests.rs": "use crate::high::B;",
            "low/a.rs": "#[cfg(test)]\nmod tests { use crate::high::B; }",
        }
        self.assertEqual(self.violations(changes), [])

    def test_the_binary_names_the_library_by_its_name(self):
        changes = {"main.rs": "use ours::{high::B, low};"}
        found = self.violations(changes, folders=self.FOLDERS | {"main": ["low"]})
        self.assertEqual(found, ["src/main.rs:1: main → high is not in the table"])

    def test_folders_that_import_each_other_are_found_though_the_table_allows_it(self):
        changes = {"low/a.rs": "use crate::high::B;"}
        (found,) = self.violations(changes, folders=self.FOLDERS | {"low": ["high"]})
        self.assertIn("high, low: these folders import each other", found)
        self.assertIn("src/low/a.rs:1: low → high", found)

    def test_a_large_cycle_of_files_is_found(self):
        changes = {
            "low/mod.rs": "pub mod a; pub mod b; use a::A;",
            "low/a.rs": "use super::b::B;",
            "low/b.rs": "use super::C;",
        }
        self.assertEqual(self.violations(changes, largest_cycle=3), [])
        (found,) = self.violations(changes, largest_cycle=2)
        self.assertIn("3 files of ours import each other, at most 2 are accepted:", found)
        self.assertIn("  src/low/b.rs", found)

    def test_a_folder_without_a_row_and_a_row_without_a_folder_are_found(self):
        expected = [
            "src/new: the table has no row for this folder",
            "imports.toml: gone of the crate ours does not exist",
        ]
        folders = self.FOLDERS | {"gone": []}
        self.assertEqual(self.violations({"new.rs": ""}, folders=folders), expected)


class Cycles(unittest.TestCase):
    """The strongly connected components of a graph."""

    def test_components_of_more_than_one_node_are_found(self):
        table = (
            ({"a": {"b"}, "b": {"c"}}, []),
            ({"a": {"a"}}, []),
            ({"a": {"b"}, "b": {"a"}}, [{"a", "b"}]),
            (
                {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}},
                [{"d", "e"}, {"a", "b", "c"}],
            ),
            ({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": {"b"}}, [{"b", "d"}]),
        )
        for arrows, expected in table:
            self.assertEqual(imports.cycles(arrows), expected, arrows)


if __name__ == "__main__":
    unittest.main()
