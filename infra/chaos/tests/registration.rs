//! Every fault file is registered under its name and documented. Needs no database.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path};

use chaos::{lab, stack};

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names and descriptions of the faults in `place`.
fn faults(place: &str) -> Vec<(&'static str, &'static str)> {
    match place {
        "lab" => lab::FAULTS
            .iter()
            .map(|fault| (fault.name, fault.description))
            .collect(),
        "stack" => stack::FAULTS
            .iter()
            .map(|fault| (fault.name, fault.description))
            .collect(),
        other => panic!("{other} is no place"),
    }
}

/// The fault names that the files below `src/<place>/faults/<category>` stand for.
fn file_names(place: &str) -> BTreeSet<String> {
    let folder = crate_folder().join("src").join(place).join("faults");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|category| category.is_dir())
        .flat_map(|category| fs::read_dir(category).unwrap())
        .map(|entry| entry.unwrap().path())
        .map(|file| {
            file.file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .replace('_', "-")
        })
        .collect()
}

#[test]
fn each_fault_file_is_registered_under_its_name() {
    for place in ["lab", "stack"] {
        let faults = faults(place);
        let registered: BTreeSet<_> = faults.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(
            registered.len(),
            faults.len(),
            "a name occurs twice: {place}"
        );
        let files = file_names(place);
        let missing: Vec<_> = files.difference(&registered).collect();
        assert!(
            missing.is_empty(),
            "not in src/{place}/faults/mod.rs, or FAULT has another name: {missing:?}"
        );
        assert_eq!(registered, files, "{place}");
    }
}

#[test]
fn each_description_is_one_line_and_ends_with_a_full_stop() {
    for place in ["lab", "stack"] {
        for (name, description) in faults(place) {
            let fits_a_table = !description.contains(['\n', '|']) && !description.contains("  ");
            assert!(description.ends_with('.') && fits_a_table, "{place}/{name}");
        }
    }
}

#[test]
fn the_reliability_document_lists_each_fault() {
    let document = crate_folder().join("../../docs/reliability.md");
    let document = fs::read_to_string(document).unwrap();
    for place in ["lab", "stack"] {
        for (name, _) in faults(place) {
            let is_listed = document.lines().any(|line| {
                let mut cells = line.split('|').map(str::trim).skip(1);
                cells.next().map(|cell| cell.trim_matches('`')) == Some(name)
                    && cells.any(|cell| cell == place)
            });
            assert!(
                is_listed,
                "docs/reliability.md has no line for {place}/{name}"
            );
        }
    }
}
