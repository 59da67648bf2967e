//! The files of the console: complete, small, and as their authors published them.

use std::{collections::HashSet, fmt::Write as _, fs, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use ring::digest::{SHA256, digest};

use crate::resources::console::{
    files::{FILES, File},
    page,
};

const PAGE: &str = include_str!("page/index.html");

/// Files of others, with the SHA-256 of the file in the package of the npm registry that
/// `third-party.txt` names.
const THIRD_PARTY: [(&str, &str); 3] = [
    (
        "preact.js",
        "72284e8e9079c87817145df1110f74e8a2aa040b2fc384922e18dfcb46fc1fd7",
    ),
    (
        "uplot.js",
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    ),
    (
        "uplot.css",
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    ),
];

fn file(name: &str) -> &'static File {
    let found = FILES.iter().find(|file| file.name == name);
    found.unwrap_or_else(|| panic!("{name} is not in FILES"))
}

fn is_script(file: &File) -> bool {
    file.kind.starts_with("text/javascript")
}

/// Returns whether a file is code of this project.
fn is_ours(file: &File) -> bool {
    !file.kind.starts_with("text/plain") && THIRD_PARTY.iter().all(|(name, _)| *name != file.name)
}

/// Returns the names between `begin` and the next quote.
fn names_after<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let rests = text.split(begin).skip(1);
    rests
        .filter_map(|rest| rest.split(['"', '\'']).next())
        .collect()
}

/// Returns the files that a module imports at once.
fn imports(module: &File) -> Vec<&'static str> {
    names_after(module.text, " from \"./")
}

#[test]
fn every_file_of_the_folder_is_served() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/resources/console/page");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "index.html" {
            file(&name);
        }
    }
}

#[test]
fn modules_import_files_that_exist() {
    let modules = FILES.iter().filter(|file| is_script(file));
    for module in modules {
        for name in imports(module) {
            file(name);
        }
        for begin in ["import(\"./", "new URL(\"./"] {
            for name in names_after(module.text, begin) {
                file(name);
            }
        }
    }
    for name in names_after(PAGE, "console/{version}/") {
        file(name);
    }
}

#[test]
fn the_first_view_is_at_most_150_kb_compressed() {
    let mut left = names_after(PAGE, "console/{version}/");
    let mut seen = HashSet::new();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(PAGE.as_bytes()).unwrap();
    let mut size = packed.finish().unwrap().len();
    while let Some(name) = left.pop() {
        if seen.insert(name) {
            left.extend(imports(file(name)));
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(file(name).text.as_bytes()).unwrap();
            size += packed.finish().unwrap().len();
        }
    }
    assert!(seen.len() > 5, "{seen:?}");
    assert!(size <= 150_000, "{size} bytes in {} files", seen.len());
}

#[test]
fn the_page_names_what_its_first_view_imports() {
    // Otherwise the browser learns of a file only when it has loaded the file that imports it.
    let named = names_after(PAGE, "console/{version}/");
    for module in named
        .iter()
        .map(|name| file(name))
        .filter(|file| is_script(file))
    {
        for import in imports(module) {
            assert!(named.contains(&import), "{} imports {import}", module.name);
        }
    }
}

#[test]
fn nothing_is_inline_and_nothing_is_external() {
    for forbidden in ["<style", "style=", "onclick", "onload", "//", "=\"/"] {
        assert!(!PAGE.contains(forbidden), "{forbidden}");
    }
    assert_eq!(PAGE.matches("<script").count(), 1);
    for file in FILES.iter().filter(|file| is_ours(file)) {
        for forbidden in ["http://", "https://", "innerHTML", "eval(", "localStorage"] {
            assert!(!file.text.contains(forbidden), "{}: {forbidden}", file.name);
        }
    }
}

#[test]
fn files_of_others_are_those_of_the_registry() {
    for (name, expected) in THIRD_PARTY {
        let hash = digest(&SHA256, file(name).text.as_bytes());
        let mut hex = String::new();
        for byte in hash.as_ref() {
            write!(hex, "{byte:02x}").unwrap();
        }
        assert_eq!(hex, expected, "{name}");
        let notice = file("third-party.txt").text;
        assert!(notice.contains(expected) && notice.contains(name), "{name}");
    }
}

#[test]
fn our_files_are_short() {
    for file in FILES.iter().filter(|file| is_ours(file)) {
        let lines = file.text.lines().count();
        assert!(lines <= 400, "{}: {lines} lines", file.name);
    }
}

#[test]
fn the_version_follows_from_the_files() {
    let version = page::version();
    assert_eq!(version.len(), 16);
    assert!(version.bytes().all(|byte| byte.is_ascii_hexdigit()));
}
