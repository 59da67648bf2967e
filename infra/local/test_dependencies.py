"""That dependencies.py finds what it is for: a check that cannot fail proves nothing.

    infra/local/python infra/local/test_dependencies.py
"""

import unittest

import dependencies


def told(**changes):
    """A workspace of one crate, with one dependency that is as it should be but for the changes, and what else has to be there."""
    ours = {"id": "ours", "name": "ours", "version": "0.1.0", "license": None, "source": None, "dependencies": [{"name": "theirs"}]}
    theirs = {"id": "theirs", "name": "theirs", "version": "1.2.3", "license": "MIT OR Apache-2.0", "source": dependencies.SOURCE}
    borne = [theirs | {"id": name, "name": name, "dependencies": []} for name in dependencies.BORNE]
    brought = [(by, name) for name, (bringers, _) in dependencies.BORNE.items() for by in bringers]
    bringers = [theirs | {"id": by, "name": by, "dependencies": [{"name": name}]} for by, name in brought]
    theirs = theirs | {"dependencies": []} | changes
    return {"packages": [ours, theirs, *borne, *bringers], "workspace_members": ["ours"]}


class Dependencies(unittest.TestCase):
    """What is found, and what is not."""

    def test_nothing_is_found_where_all_is_as_it_should_be(self):
        for rule in dependencies.RULES:
            self.assertEqual(list(rule(told())), [], rule.__name__)

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
                found = list(rule(told(**changes)))
                self.assertEqual(len(found), 1)
                self.assertIn(f"{changes.get('name', 'theirs')} 1.2.3", found[0])

    def test_what_nobody_maintains_is_found_unless_it_is_borne(self):
        for name in sorted(set(dependencies.UNMAINTAINED) - set(dependencies.BORNE)):
            changed = told(name=name)
            changed["packages"][0]["dependencies"] = [{"name": name}]
            self.assertEqual(len(list(dependencies.unmaintained(changed))), 1, name)
        for name in dependencies.BORNE:
            changed = told()
            changed["packages"][0]["dependencies"].append({"name": name})
            self.assertIn("comes with ours", " ".join(dependencies.unmaintained(changed)), name)

    def test_what_is_borne_and_gone_is_found(self):
        for name in dependencies.BORNE:
            changed = told()
            changed["packages"] = [package for package in changed["packages"] if package["name"] != name]
            self.assertEqual(list(dependencies.unmaintained(changed)), [f"{name} is gone, and need not be borne any longer"])

    def test_a_licence_expression_is_read_as_spdx_means_it(self):
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
