"""Tests that binaries.py finds each kind of binary that does not belong on Lambda.

infra/local/python infra/local/test_binaries.py
"""

import subprocess
import tempfile
import unittest
from pathlib import Path

import binaries
import build

X86_64, ARM64, RISCV = 62, 183, 243  # e_machine


def elf(machine):
    """Returns the header of an ELF binary of 64 bits without any content."""
    header = bytearray(64)
    header[:7] = b"\x7fELF\x02\x01\x01"
    header[16:24] = (3).to_bytes(2, "little") + machine.to_bytes(2, "little") + b"\1\0\0\0"
    header[52:54] = (64).to_bytes(2, "little")
    return bytes(header)


class Binaries(unittest.TestCase):
    """Breaks a binary, and checks that the finding names the reason."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        subprocess.run(
            ["cc", "-x", "c", "-", "-o", cls.folder / "small"],
            input=b"int main(void) { return 0; }",
            check=True,
        )
        cls.small = (cls.folder / "small").read_bytes()

    def found(self, content, architecture=None):
        """Returns the findings for a binary with this content."""
        binary = self.folder / "bootstrap"
        binary.write_bytes(content)
        return list(binaries.findings(binary, architecture or binaries.own_architecture()))

    def changed(self, old, new):
        """Returns the small binary with a name of the same length replaced."""
        self.assertIn(old, self.small)
        self.assertEqual(len(old), len(new))
        return self.small.replace(old, new)

    def test_a_binary_of_this_machine_is_accepted(self):
        self.assertEqual([], self.found(self.small))

    def test_a_binary_of_another_machine_is_found(self):
        other = {"x86_64": "arm64", "arm64": "x86_64"}[binaries.own_architecture()]
        (found,) = self.found(self.small, other)
        self.assertIn(f"and Architecture is {other}", found)

    def test_the_machine_is_that_of_the_header(self):
        for machine, architecture in ((X86_64, "x86_64"), (ARM64, "arm64")):
            self.assertEqual([], self.found(elf(machine), architecture))
        for machine, other in ((X86_64, "arm64"), (ARM64, "x86_64"), (RISCV, "arm64")):
            (found,) = self.found(elf(machine), other)
            self.assertIn(f"and Architecture is {other}", found)

    def test_what_is_no_binary_is_found(self):
        for content in (b"", b"#!/bin/sh\n", elf(X86_64)[:20]):
            self.assertEqual(["is no ELF binary"], self.found(content))
        missing = binaries.findings(self.folder / "none", "x86_64")
        self.assertEqual(["is missing"], list(missing))

    def test_a_newer_glibc_is_found(self):
        for version in (b"2.35", b"2.40", b"ABI_"):
            (found,) = self.found(self.changed(b"GLIBC_2.34", b"GLIBC_" + version))
            self.assertIn(f"needs glibc {version.decode()}", found)

    def test_another_library_is_found(self):
        (found,) = self.found(self.changed(b"libc.so.6\0", b"libz.so.1\0"))
        self.assertIn("needs the library libz.so.1", found)

    def test_fault_points_are_found(self):
        self.assertEqual(["contains fault points"], self.found(self.small + build.FAULT_MARK))

    def test_a_search_that_finds_no_fault_points_is_found(self):
        for name in binaries.WITH_FAULT_POINTS:
            (self.folder / name).mkdir()
            (self.folder / name / "bootstrap").write_bytes(self.small + build.FAULT_MARK)
        self.assertEqual([], list(binaries.search_findings(self.folder)))
        (self.folder / "send" / "bootstrap").write_bytes(self.small)
        (found,) = binaries.search_findings(self.folder)
        self.assertIn("send/bootstrap: no fault points were found", found)


if __name__ == "__main__":
    unittest.main()
