"""Tests that dependencies.py finds each kind of violation.

infra/local/python infra/local/test_dependencies.py
"""

import unittest

import dependencies


def package(name, *dependencies_of_it, **fields):
    """A package as cargo describes it, with nothing to object to."""
    return {
        "id": name,
        "name": name,
        "version": "1.2.3",
        "license": "MIT OR Apache-2.0",
        "source": dependencies.SOURCE,
        "dependencies": [{"name": each} for each in dependencies_of_it],
    } | fields


def metadata(**changes):
    """A workspace of one crate with one dependency, to which the changes apply.

    It also contains the accepted unmaintained crates and the crates that depend on them.
    """
    accepted = [package(name) for name in dependencies.ACCEPTED]
    users = [package(user, name) for name, (by, _) in dependencies.ACCEPTED.items() for user in by]
    ours = package("ours", "theirs", version="0.1.0", license=None, source=None)
    theirs = package("theirs") | changes
    return {"packages": [ours, theirs, *accepted, *users], "workspace_members": ["ours"]}


class Dependencies(unittest.TestCase):
    """Which violations are found."""

    def test_nothing_is_found_in_a_valid_workspace(self):
        for rule in dependencies.RULES:
            self.assertEqual(list(rule(metadata())), [], rule.__name__)

    def test_every_kind_of_violation_is_found(self):
        at = (
            (dependencies.licences, {"license": "GPL-3.0-only"}),
            (dependencies.licences, {"license": None}),
            (dependencies.sources, {"source": "git+https://example.com/theirs?rev=1#1"}),
            (dependencies.sources, {"source": "registry+https://registry.example.com/index"}),
            (dependencies.sources, {"source": None, "manifest_path": "/elsewhere/Cargo.toml"}),
            *((dependencies.banned, {"name": name}) for name in dependencies.BANNED),
        )
        for rule, changes in at:
            with self.subTest(rule=rule.__name__, changes=changes):
                found = list(rule(metadata(**changes)))
                self.assertEqual(len(found), 1)
                self.assertIn(f"{changes.get('name', 'theirs')} 1.2.3", found[0])

    def test_an_unmaintained_crate_is_found_unless_it_is_accepted(self):
        for name in sorted(set(dependencies.UNMAINTAINED) - set(dependencies.ACCEPTED)):
            changed = metadata(name=name)
            changed["packages"][0]["dependencies"] = [{"name": name}]
            self.assertEqual(len(list(dependencies.unmaintained(changed))), 1, name)
        for name in dependencies.ACCEPTED:
            changed = metadata()
            changed["packages"][0]["dependencies"].append({"name": name})
            self.assertIn("dependency of ours", " ".join(dependencies.unmaintained(changed)), name)

    def test_an_exception_without_its_crate_is_found(self):
        for name in dependencies.ACCEPTED:
            changed = metadata()
            changed["packages"] = [each for each in changed["packages"] if each["name"] != name]
            found = list(dependencies.unmaintained(changed))
            self.assertEqual(found, [f"{name} is no longer a dependency: remove it from ACCEPTED"])

    def test_licence_expressions_follow_spdx(self):
        table = (
            ("MIT", True),
            ("GPL-3.0-only OR MIT", True),
            ("GPL-3.0-only AND MIT", False),
            ("MIT/Apache-2.0", True),
            ("Apache-2.0 / MIT", True),
            ("(MIT OR GPL-3.0-only) AND BSD-3-Clause", True),
            ("MIT AND (GPL-3.0-only OR AGPL-3.0-only)", False),
            ("MIT OR GPL-3.0-only AND AGPL-3.0-only", True),
            ("GPL-3.0-only AND MIT OR AGPL-3.0-only", False),
            ("Apache-2.0 WITH LLVM-exception", True),
            ("MIT WITH Some-exception", False),
            ("MIT GPL-3.0-only", False),
            ("(MIT", False),
            ("MIT OR", False),
            ("", False),
        )
        for expression, expected in table:
            self.assertEqual(dependencies.allowed(expression), expected, expression)


if __name__ == "__main__":
    unittest.main()
