"""Prints the software bill of materials of the functions, as CycloneDX 1.6 in JSON.

    python3 infra/local/sbom.py x86_64-unknown-linux-gnu v1.2.3

It lists each crate that is compiled into a function for that target, with its version, licence and
checksum, and which crate depends on which. Everything comes from Cargo.lock and `cargo metadata`,
so the same commit has the same list. Crates that only tests or build scripts need are left out.

A tool for this exists (cargo-cyclonedx). It is not used, because it and its dependencies would be
compiled in the job that makes the release.
"""

import json
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ("api", "dispatch", "migrate", "notify", "recheck", "send")
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def metadata(target):
    """Returns what cargo knows about the crates for a target."""
    command = [
        "cargo",
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        target,
    ]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def checksums(lock):
    """Returns {(name, version): checksum} of Cargo.lock."""
    packages = tomllib.loads(lock)["package"]
    return {
        (each["name"], each["version"]): each["checksum"] for each in packages if "checksum" in each
    }


def compiled(found):
    """Returns ({package id: ids that it is compiled with}, ids of the functions)."""
    needs = {
        node["id"]: [
            dependency["pkg"]
            for dependency in node["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
        for node in found["resolve"]["nodes"]
    }
    members = set(found["workspace_members"])
    roots = [
        package["id"]
        for package in found["packages"]
        if package["id"] in members and package["name"] in FUNCTIONS
    ]
    reached, waiting = {}, list(roots)
    while waiting:
        package = waiting.pop()
        if package not in reached:
            reached[package] = sorted(needs[package])
            waiting += reached[package]
    return reached, roots


def component(package, known, version):
    """Returns the entry of one crate. Crates of this workspace have the version of the release."""
    ours = package["source"] is None
    name, number = package["name"], version if ours else package["version"]
    entry = {
        "type": "application" if ours and name in FUNCTIONS else "library",
        "bom-ref": package["id"],
        "name": name,
        "version": number,
    }
    if package.get("license"):
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["source"] == REGISTRY:
        entry["purl"] = f"pkg:cargo/{name}@{number}"
        if checksum := known.get((name, package["version"])):
            entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def document(found, known, target, version):
    """Returns the whole document."""
    reached, roots = compiled(found)
    packages = {each["id"]: each for each in found["packages"]}
    # Ids of this workspace contain the path of the work tree, which differs between machines.
    short = {
        package: package.rpartition("/")[2] if packages[package]["source"] is None else package
        for package in reached
    }

    def entry(package):
        return component(packages[package] | {"id": short[package]}, known, version)

    application = {
        "type": "application", "bom-ref": "sms", "name": "sms", "version": version,
        "components": [entry(package) for package in sorted(roots)],
        "properties": [{"name": "cargo:target", "value": target}],
    }  # fmt: skip
    libraries = sorted(set(reached) - set(roots), key=short.get)
    edges = {short[package]: sorted(map(short.get, needs)) for package, needs in reached.items()}
    edges["sms"] = sorted(map(short.get, roots))
    content = {
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "infra/local/sbom.py"}]},
            "component": application,
        },
        "components": [entry(package) for package in libraries],
        "dependencies": [{"ref": ref, "dependsOn": edges[ref]} for ref in sorted(edges)],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    head = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX",
        "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1,
    }  # fmt: skip
    return head | content


def main():
    """Prints the document for a target and a version."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: sbom.py TARGET VERSION")
    target, version = sys.argv[1:]
    known = checksums((ROOT / "Cargo.lock").read_text())
    print(json.dumps(document(metadata(target), known, target, version), indent=1))


if __name__ == "__main__":
    main()
