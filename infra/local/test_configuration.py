"""Compares the variables that template.yaml sets with those that the functions read.

infra/local/python infra/local/test_configuration.py

What the functions read is the table in docs/configuration.md, which a test of the code generates.
"""

import re
import unittest

from template import ROOT, functions, load, variables

TABLE = re.compile(r"<!-- variables: begin -->(.*)<!-- variables: end -->", re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| ([\w, ]+) \|", re.MULTILINE)
# Of all functions: the first is read by the logs, the second names the deployment to an operator.
COMMON = {"RUST_LOG", "GIT_COMMIT"}
# The binary of migrate is also the hook of CodeDeploy, with other variables.
BINARIES = {"SchemaCheck": "migrate"}
HOOK = {
    "PRE_TRAFFIC", "DATABASE_LOGIN", "DATABASE_URL", "DATABASE_SECRET_ARN", "DATABASE_USER",
}  # fmt: skip
PARTS = {"DATABASE_HOST", "DATABASE_NAME", "DATABASE_PORT"}


def read_table(text):
    """Returns {function: variables} of the table."""
    found = {}
    for variable, readers in ROW.findall(TABLE.search(text)[1]):
        for reader in readers.split(", "):
            found.setdefault(reader, set()).add(variable)
    return found


def differences(template, table):
    """Yields what a function reads and the template does not set, and the other way round."""
    for name in functions(template):
        binary = BINARIES.get(name, name.lower())
        given = set(variables(template, name)) - COMMON
        read = table[binary] - COMMON
        if name in BINARIES:
            read = HOOK | PARTS
        elif binary == "migrate":
            read = read - HOOK
        for variable in sorted(given - read):
            yield f"{name} gets {variable}, which {binary} does not read"
        for variable in sorted(read - given):
            yield f"{name} does not get {variable}, which {binary} reads"


class Configuration(unittest.TestCase):
    def setUp(self):
        self.table = read_table((ROOT / "docs/configuration.md").read_text())

    def test_each_function_gets_the_variables_that_it_reads(self):
        self.assertEqual(list(differences(load(), self.table)), [])

    def test_a_difference_is_found(self):
        self.table["send"].remove("SEND_IN_FLIGHT")
        self.table["notify"].add("INVENTED")
        found = list(differences(load(), self.table))
        self.assertEqual(
            found,
            [
                "Send gets SEND_IN_FLIGHT, which send does not read",
                "Notify does not get INVENTED, which notify reads",
            ],
        )


if __name__ == "__main__":
    unittest.main()
