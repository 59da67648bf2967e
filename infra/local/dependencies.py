"""Checks the dependencies: their licences, their sources, and crates that must not be used.

It reads Cargo.lock through `cargo metadata`, so that the check covers every platform and every
locked feature. Advisories need a download; CI checks them.

    infra/local/python infra/local/dependencies.py
"""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Licences that require attribution at most.
LICENCES = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause",
    "BSL-1.0", "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
}  # fmt: skip
# The only allowed source other than this workspace.
SOURCE = "registry+https://github.com/rust-lang/crates.io-index"
# Crates that must not be used, and the reason.
BANNED = {
    "aws-lc-rs": "ring is the only TLS provider; this one takes half a minute to compile",
    "aws-lc-sys": "ring is the only TLS provider; this one takes half a minute to compile",
    "native-tls": "rustls is used for TLS",
    "openssl": "rustls is used for TLS, and the version of OpenSSL on Lambda is unknown",
    "openssl-sys": "rustls is used for TLS, and the version of OpenSSL on Lambda is unknown",
    "rust-crypto": "unmaintained since 2016",
    "rustc-serialize": "unmaintained, and a deeply nested document crashes the process",
}
# Unmaintained crates, and their replacements.
UNMAINTAINED = {
    "ansi_term": "nu-ansi-term",
    "atomic-polyfill": "portable-atomic",
    "atty": "std::io::IsTerminal",
    "backoff": "a loop",
    "bincode": "postcard",
    "dotenv": "dotenvy",
    "failure": "anyhow, thiserror",
    "fxhash": "rustc-hash",
    "instant": "web-time",
    "json5": "serde_json",
    "net2": "socket2",
    "paste": "pastey",
    "proc-macro-error": "proc-macro-error2",
    "rustls-pemfile": "rustls-pki-types",
    "serde_yaml": "serde_norway",
    "stdweb": "web-sys",
    "term_size": "terminal_size",
    "tempdir": "tempfile",
    "yaml-rust": "yaml-rust2",
}
# Accepted unmaintained crates: the only crates that may depend on them, and the reason. An
# exception that is no longer needed is a finding too.
ACCEPTED = {
    "atomic-polyfill": (
        {"heapless"},
        "a dependency of phonenumber's postcard on processors without compare-and-swap only",
    ),
}


def read_metadata():
    """Returns the locked dependencies as cargo describes them."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def external(metadata):
    """Returns the packages that are not members of the workspace."""
    return [
        package
        for package in metadata["packages"]
        if package["id"] not in metadata["workspace_members"]
    ]


def label(package):
    """Returns the name and version of a package."""
    return f"{package['name']} {package['version']}"


def allowed(expression):
    """Returns whether the licences satisfy an SPDX expression; the old `A/B` means `A OR B`."""
    parts = re.findall(r"[()]|[^\s()/]+|/", expression)
    words = ["OR" if part == "/" else part for part in parts]

    def one():
        word = words.pop(0)
        if word == "(":
            found = either()
            if words.pop(0) != ")":
                raise ValueError
            return found
        if word in ("AND", "OR", "WITH", ")"):
            raise ValueError
        if words[:1] == ["WITH"]:
            word = f"{word} WITH {words[1]}"
            del words[:2]
        return word in LICENCES

    def both():
        found = one()
        while words[:1] == ["AND"]:
            words.pop(0)
            found = one() and found
        return found

    def either():
        found = both()
        while words[:1] == ["OR"]:
            words.pop(0)
            found = both() or found
        return found

    try:
        return either() and not words
    except (IndexError, ValueError):
        return False  # an invalid expression is not allowed


def licences(metadata):
    """Each licence is allowed."""
    for package in external(metadata):
        if not allowed(package["license"] or ""):
            yield f"{label(package)} has the licence {package['license'] or 'that is not declared'}"


def sources(metadata):
    """Each package comes from the one registry or from this workspace."""
    for package in external(metadata):
        if package["source"] != SOURCE:
            yield f"{label(package)} comes from {package['source'] or package.get('manifest_path')}"


def banned(metadata):
    """No banned crate is used."""
    for package in external(metadata):
        if package["name"] in BANNED:
            yield f"{label(package)}: {BANNED[package['name']]}"


def unmaintained(metadata):
    """No unmaintained crate is used, except the accepted ones by the accepted crates."""
    found = {package["name"] for package in external(metadata)}
    for name in sorted(found & set(UNMAINTAINED)):
        users = {
            package["name"]
            for package in metadata["packages"]
            if any(dependency["name"] == name for dependency in package["dependencies"])
        }
        if users := users - ACCEPTED.get(name, (set(), ""))[0]:
            names = ", ".join(sorted(users))
            yield f"{name} is unmaintained, use {UNMAINTAINED[name]}; it is a dependency of {names}"
    for name in sorted(set(ACCEPTED) - found):
        yield f"{name} is no longer a dependency: remove it from ACCEPTED"


RULES = (licences, sources, banned, unmaintained)


def main():
    """Prints each finding; exits with 1 if there is one."""
    locked = read_metadata()
    findings = [finding for rule in RULES for finding in rule(locked)]
    if findings:
        raise SystemExit("\n".join(findings))
    print(f"{len(external(locked))} dependencies: licences, sources and names are allowed")


if __name__ == "__main__":
    main()
