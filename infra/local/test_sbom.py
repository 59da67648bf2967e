"""Tests the bill of materials on a small workspace.

infra/local/python infra/local/test_sbom.py
"""

import json
import unittest

import build
import sbom

SUM = "a" * 64


def package(name, source=sbom.REGISTRY, folder="/anywhere"):
    """Returns a package as `cargo metadata` describes it."""
    place = source or f"path+file://{folder}/{name}"
    return {
        "id": f"{place}#{name}@1.0.0" if source else f"{place}#1.0.0",
        "name": name, "version": "1.0.0", "source": source, "license": "MIT/Apache-2.0",
    }  # fmt: skip


def workspace(folder="/anywhere"):
    """Returns a function with a dependency, another crate, and crates for its build and its tests."""
    ours = [package("send", None, folder), package("simulator", None, folder)]
    others = [package("serde"), package("cc"), package("wiremock"), package("itoa")]
    ids = {each["name"]: each["id"] for each in ours + others}

    def needs(*names, kind=None):
        return [{"pkg": ids[name], "dep_kinds": [{"kind": kind}]} for name in names]

    edges = {
        "send": [*needs("serde"), *needs("cc", kind="build"), *needs("wiremock", kind="dev")],
        "simulator": needs("wiremock"),
        "serde": needs("itoa"),
    }
    nodes = [{"id": id, "deps": edges.get(name, [])} for name, id in ids.items()]
    members = [each["id"] for each in ours]
    return {"packages": ours + others, "workspace_members": members, "resolve": {"nodes": nodes}}


class BillOfMaterials(unittest.TestCase):
    """What the document contains."""

    def document(self, **changes):
        """Returns the document of the small workspace."""
        return sbom.document(
            workspace(**changes), {("serde", "1.0.0"): SUM}, "x86_64-unknown-linux-gnu", "v3"
        )

    def test_only_what_is_compiled_into_a_function_is_listed(self):
        self.assertEqual(
            ["itoa", "serde"], [each["name"] for each in self.document()["components"]]
        )
        application = self.document()["metadata"]["component"]
        self.assertEqual(["send"], [each["name"] for each in application["components"]])

    def test_a_crate_has_its_licence_and_checksum(self):
        serde = next(each for each in self.document()["components"] if each["name"] == "serde")
        self.assertEqual("pkg:cargo/serde@1.0.0", serde["purl"])
        self.assertEqual([{"alg": "SHA-256", "content": SUM}], serde["hashes"])
        self.assertEqual([{"expression": "MIT OR Apache-2.0"}], serde["licenses"])

    def test_each_reference_is_that_of_a_component(self):
        document = self.document()
        application = document["metadata"]["component"]
        entries = [application, *application["components"], *document["components"]]
        known = {each["bom-ref"] for each in entries}
        self.assertEqual(known, {each["ref"] for each in document["dependencies"]})
        for each in document["dependencies"]:
            self.assertLessEqual(set(each["dependsOn"]), known)

    def test_the_folder_of_the_work_tree_makes_no_difference(self):
        self.assertEqual(self.document(), self.document(folder="/elsewhere"))
        self.assertNotIn("anywhere", json.dumps(self.document()))

    def test_every_function_is_known(self):
        self.assertEqual(build.FUNCTIONS, sbom.FUNCTIONS)


if __name__ == "__main__":
    unittest.main()
