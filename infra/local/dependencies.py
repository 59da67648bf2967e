"""What may come into the workspace from outside: licences, sources, and crates that must not come in. Asked of Cargo.lock, by way of
`cargo metadata`, so that it holds for every platform and every feature that is locked. Advisories need a download, and are CI's.

    infra/local/python infra/local/dependencies.py
"""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# All that asks for no more than to be named.
LICENCES = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0",
    "Unicode-3.0", "Unlicense", "Zlib",
}
# The only source beside this workspace.
SOURCE = "registry+https://github.com/rust-lang/crates.io-index"
# Crates that must not come in, and why.
BANNED = {
    "aws-lc-rs": "ring is the one TLS provider; this one costs half a minute of C to compile",
    "aws-lc-sys": "ring is the one TLS provider; this one costs half a minute of C to compile",
    "native-tls": "TLS is rustls everywhere",
    "openssl": "TLS is rustls everywhere, and the functions' system has no OpenSSL that we know",
    "openssl-sys": "TLS is rustls everywhere, and the functions' system has no OpenSSL that we know",
    "rust-crypto": "left alone since 2016",
    "rustc-serialize": "left alone, and a deep document ends the process",
}
# Crates that nobody maintains, and what stands in their place.
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
# Exceptions: (name, the only crates that may bring it) and why it is borne. One that is no longer needed is a finding too.
BORNE = {
    "atomic-polyfill": ({"heapless"}, "phonenumber's postcard brings it for processors without compare-and-swap; no binary of ours has it"),
}


def metadata():
    """The locked dependencies, as cargo tells them."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def foreign(told):
    """The packages that are not the workspace's own."""
    return [package for package in told["packages"] if package["id"] not in told["workspace_members"]]


def called(package):
    """Its name and version."""
    return f"{package['name']} {package['version']}"


def allowed(expression):
    """Whether an SPDX expression can be met with the allowed licences alone; the old `A/B` means `A OR B`."""
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
        return False  # not understood is not allowed


def licences(told):
    """Every licence is one of the allowed."""
    for package in foreign(told):
        if not allowed(package["license"] or ""):
            yield f"{called(package)} has the licence {package['license'] or 'that no expression names'}"


def sources(told):
    """Everything comes from the one registry, or lies in this workspace."""
    for package in foreign(told):
        if package["source"] != SOURCE:
            yield f"{called(package)} comes from {package['source'] or package.get('manifest_path')}"


def banned(told):
    """Nothing comes in that must not."""
    yield from (f"{called(package)}: {BANNED[package['name']]}" for package in foreign(told) if package["name"] in BANNED)


def unmaintained(told):
    """Nothing comes in that nobody maintains, but for what is borne, and by whom it was brought."""
    found = {package["name"] for package in foreign(told)}
    for name in sorted(found & set(UNMAINTAINED)):
        users = {package["name"] for package in told["packages"] for wanted in package["dependencies"] if wanted["name"] == name}
        by = users - BORNE.get(name, (set(), ""))[0]
        if by:
            yield f"{name} is unmaintained ({UNMAINTAINED[name]} is not), and comes with {', '.join(sorted(by))}"
    yield from (f"{name} is gone, and need not be borne any longer" for name in sorted(set(BORNE) - found))


RULES = (licences, sources, banned, unmaintained)


def main():
    """Says what is wrong; ends with 1 if anything is."""
    told = metadata()
    findings = [finding for rule in RULES for finding in rule(told)]
    if findings:
        raise SystemExit("\n".join(findings))
    print(f"{len(foreign(told))} dependencies: licences, source and names as they should be")


if __name__ == "__main__":
    main()
