"""Tests that docs.py finds each kind of violation, on small trees of files.

infra/local/python infra/local/test_docs.py
"""

import tempfile
import unittest
from pathlib import Path

import docs

SEND_TEST = "a_batch_delivered_twice_is_sent_once"
FILES = {
    "shared/Cargo.toml": "",
    "shared/src/lib.rs": "// fn a_name_in_a_comment_only() {}\npub fn f() {}",
    "functions/send/Cargo.toml": "",
    "functions/send/tests/send.rs": f"#[test]\nfn {SEND_TEST}() {{}}\nfn short() {{}}",
    "functions/send/tests/window.rs": "fn nothing_is_sent_before_its_time() {}",
    "docs/other.md": "# First: `part` of *it*\n\n# Same\n\n## Same\n",
}


class Documents(unittest.TestCase):
    """Which violations each rule finds."""

    def found(self, rule, text, name="README.md"):
        """Returns what a rule finds in a document of this text, without its name."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            for file, content in (FILES | {name: text}).items():
                path = root / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
            violations = list(rule(docs.Repository(root)))
        self.assertTrue(all(each.startswith(f"{name}:") for each in violations), violations)
        return [each.removeprefix(f"{name}:") for each in violations]

    def test_links_that_lead_somewhere_are_accepted(self):
        table = (
            "[a](docs/other.md)", "[a](docs/)", "[a](docs/other.md#first-part-of-it)",
            "[a](docs/other.md#same) [b](docs/other.md#same-1)", "# Here\n[a](#here)",
            "[a](https://example.com/x) [b](mailto:a@example.com)", "[a](shared/src/lib.rs#L2)",
            "`[a](missing.md)`", "```\n[a](missing.md)\n```", "[a `b`](docs/other.md)",
            "[a]: docs/other.md",
        )  # fmt: skip
        for text in table:
            self.assertEqual(self.found(docs.links, text), [], text)

    def test_broken_links_are_found(self):
        for text in ("[a](missing.md)", "[[a]](missing.md)", "[a]: missing.md"):
            expected = ["1: link missing.md: expected a file or folder of this name"]
            self.assertEqual(self.found(docs.links, text), expected, text)
        for target in ("docs/other.md#gone", "#gone", "docs/other.md#same-2"):
            (found,) = self.found(docs.links, f"\n[a]({target})")
            self.assertIn("2: link", found)
            self.assertIn("expected a heading with the anchor", found)

    def test_a_link_is_relative_to_its_document(self):
        self.assertEqual(self.found(docs.links, "[a](other.md#same)", "docs/new.md"), [])
        self.assertEqual(len(self.found(docs.links, "[a](docs/other.md)", "docs/new.md")), 1)

    def test_paths_that_exist_or_are_patterns_are_accepted(self):
        table = (
            "`shared/src/lib.rs`", "`shared/src/`", "`shared/src/lib.rs::f`",
            "`shared/src/lib.rs:2`",
            "`functions/send/tests/{send,window}.rs`", "`functions/{send}/x`", "`functions/*/gone`",
            "`functions/<name>/gone`", "`target/gone/x`", "`shared`", "functions/gone/x",
            "```\n`functions/gone/x`\n```",
        )  # fmt: skip
        for text in table:
            self.assertEqual(self.found(docs.paths, text), [], text)

    def test_missing_paths_are_found(self):
        table = (
            ("`shared/src/gone.rs`", "shared/src/gone.rs"),
            ("`bash infra/local/gone --check`", "infra/local/gone"),
            ("`functions/send/tests/{send,gone}.rs`", "functions/send/tests/gone.rs"),
            ("`shared/gone::f`", "shared/gone"),
        )
        for text, path in table:
            expected = [f"1: `{path}`: expected a file or folder"]
            self.assertEqual(self.found(docs.paths, text), expected, text)

    def proof(self, cell):
        """Returns what is found in a cell of a table of promises."""
        return self.found(docs.test_names, f"| promise | test |\n|---|---|\n| text | {cell} |")

    def test_names_of_tests_that_exist_are_accepted(self):
        table = (
            f"`{SEND_TEST}`", f"`send: {SEND_TEST}`", "`send: window`", "`on_uncertain: resend`",
            f"`functions/send/tests/send.rs`: `{SEND_TEST}`, `short`", "`three_words_only`",
            f"`functions/send/tests`: `{SEND_TEST}`", "`functions/send/tests/send.rs`, `gone`",
        )  # fmt: skip
        for cell in table:
            self.assertEqual(self.proof(cell), [], cell)

    def test_names_of_missing_tests_are_found(self):
        gone, function = "a_test_that_is_gone", "expected a function"
        table = (
            (f"`{gone}`", f"`{gone}`: {function} of this name"),
            ("`a_name_in_a_comment_only`", f"`a_name_in_a_comment_only`: {function} of this name"),
            (f"`send: {gone}`", f"`send: {gone}`: {function} of this name in the crate send"),
            ("`send: gone`", f"`send: gone`: {function} of this name in the crate send"),
            (
                f"`shared: {SEND_TEST}`",
                f"`shared: {SEND_TEST}`: {function} of this name in the crate shared",
            ),
            (
                f"`sent: {SEND_TEST}`",
                f"`sent: {SEND_TEST}`: expected the name of a crate before the colon",
            ),
            (
                f"`functions/send/tests/window.rs`: `{SEND_TEST}`",
                f"`{SEND_TEST}`: {function} in functions/send/tests/window.rs",
            ),
            ("`a_name_cut_off_…`", "`a_name_cut_off_…`: expected the whole name of the test"),
        )
        for cell, problem in table:
            self.assertEqual(self.proof(cell), [f"3: {problem}"], cell)

    def test_names_in_other_tables_and_in_text_are_not_looked_up(self):
        table = "| column | meaning |\n|---|---|\n| `a_column_of_four_words` | text |"
        for text in (table, "`a_name_in_the_text`"):
            self.assertEqual(self.found(docs.test_names, text), [], text)

    def test_a_long_readme_is_found(self):
        self.assertEqual(self.found(docs.readme_length, "a\n" * docs.README_LINES), [])
        self.assertEqual(len(self.found(docs.readme_length, "a\n" * (docs.README_LINES + 1))), 1)

    def test_only_long_lines_of_prose_are_found(self):
        width, long = docs.WIDTH, "a" * docs.WIDTH + "a"
        exempt = (f"# {long}", f"| {long} |", f"```\n{long}\n```", f"- [{long}](x)", f"[a]: {long}")
        for text in ("é" * width, *exempt):
            self.assertEqual(self.found(docs.line_width, text), [], text)
        for text in (long, f"- {long}", f"see [{long}](x)"):
            (found,) = self.found(docs.line_width, text)
            self.assertIn(f"columns: expected at most {width}", found)


if __name__ == "__main__":
    unittest.main()
