//! The document as a document: the copy that is committed, its references, its links, its examples.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::http::problems::PROBLEMS;

const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

/// Every operation: `get /health` and what stands there.
fn operations() -> Vec<(String, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &'static Value)| {
        methods
            .as_object()
            .unwrap()
            .iter()
            .map(|(method, operation)| (format!("{method} {path}"), operation))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// What a reference leads to, or the thing itself.
fn resolved(value: &'static Value) -> &'static Value {
    let place = value.get("$ref").and_then(Value::as_str);
    place.map_or(value, |place| {
        document().pointer(place.trim_start_matches('#')).unwrap()
    })
}

fn members<'a>(value: &'a Value, name: &str) -> Vec<(&'a String, &'a Value)> {
    value
        .get(name)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .collect()
}

/// A validator of a schema of the document, which may refer to the others.
fn validator(schema: &Value) -> jsonschema::Validator {
    let mut root =
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema]});
    root["components"] = document()["components"].clone();
    jsonschema::options()
        .should_validate_formats(true)
        .build(&root)
        .unwrap()
}

fn assert_valid(what: &str, schema: &Value, example: &Value) {
    let errors: Vec<_> = validator(schema)
        .iter_errors(example)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {}", errors.join("\n"));
}

#[test]
fn the_committed_copy_is_what_the_code_makes() {
    let made = serde_json::to_string_pretty(document()).unwrap() + "\n";
    if std::env::var_os("RENEW_OPENAPI").is_some() {
        std::fs::write(COPY, &made).unwrap();
    }
    let copy = std::fs::read_to_string(COPY).unwrap_or_default();
    assert!(
        copy == made,
        "docs/openapi.json is not what the code makes: `make openapi` renews it"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| match value {
                Value::String(place) if name == "$ref" => _ = found.insert(place.clone()),
                value => walk(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(document(), &mut found);
    for place in &found {
        assert!(
            document().pointer(place.trim_start_matches('#')).is_some(),
            "{place}"
        );
    }
    for kind in ["schemas", "headers", "parameters", "responses"] {
        for (name, _) in members(&document()["components"], kind) {
            assert!(
                found.contains(&format!("#/components/{kind}/{name}")),
                "nothing refers to {kind} {name}"
            );
        }
    }
}

#[test]
fn names_are_unique_and_links_lead_to_them() {
    let operations = operations();
    let ids: BTreeSet<_> = operations
        .iter()
        .map(|(_, operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), operations.len());
    assert_eq!(operations.len(), table().len());
    let by_id = |id: &str| {
        operations
            .iter()
            .find(|(_, operation)| operation["operationId"] == id)
            .map(|(_, operation)| *operation)
    };
    let mut made = 0;
    for (what, operation) in &operations {
        for (_, answer) in members(operation, "responses") {
            for (_, link) in members(answer, "links") {
                made += 1;
                let to = by_id(link["operationId"].as_str().unwrap())
                    .unwrap_or_else(|| panic!("{what}: {link}"));
                let known: Vec<_> = to["parameters"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|parameter| parameter["name"].clone())
                    .collect();
                assert!(
                    members(link, "parameters")
                        .iter()
                        .all(|(name, _)| known.contains(&json!(name))),
                    "{what}: {link}"
                );
            }
        }
    }
    assert_eq!(made, links::count(), "a line of the links names no answer");
    let tags: BTreeSet<_> = document()["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let used: BTreeSet<_> = operations
        .iter()
        .map(|(_, operation)| operation["tags"][0].as_str().unwrap())
        .collect();
    assert_eq!(tags, used);
}

#[test]
fn every_example_is_as_its_schema_says() {
    for (what, operation) in operations() {
        for (kind, media) in members(&operation["requestBody"], "content") {
            let examples = members(media, "examples");
            assert!(
                !examples.is_empty() || kind == "application/gzip",
                "{what} has no example"
            );
            for (name, example) in examples {
                assert_valid(
                    &format!("{what} {name}"),
                    &media["schema"],
                    &example["value"],
                );
            }
        }
        for (status, answer) in members(operation, "responses") {
            for (kind, media) in members(resolved(answer), "content") {
                if let Some(example) = media.get("example") {
                    assert_valid(&format!("{what} {status}"), &media["schema"], example);
                } else {
                    let none = kind != "application/json" || what == "get /openapi.json";
                    assert!(none, "{what} {status} has no example");
                }
            }
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            if let Some(example) = parameter.get("example") {
                assert_valid(
                    &format!("{what} {}", parameter["name"]),
                    &parameter["schema"],
                    example,
                );
            }
        }
    }
}

#[test]
fn operations_name_problems_that_there_are() {
    for route in table() {
        let operation = (route.doc)();
        for slug in &operation.problems {
            assert!(
                PROBLEMS.iter().any(|page| page.slug == *slug),
                "{}: {slug}",
                operation.id
            );
        }
        assert!(
            !operation.summary.is_empty() && !operation.answers.is_empty(),
            "{}",
            operation.id
        );
        for parameter in parameters::of_path(route.path) {
            assert_ne!(
                parameter["description"], "",
                "{}: the parameter {} is unknown to parameters.rs",
                route.path, parameter["name"]
            );
        }
    }
    let told: BTreeSet<_> = members(&document()["components"], "schemas")
        .iter()
        .filter_map(|(_, schema)| {
            schema["properties"]["type"]["const"]
                .as_str()?
                .strip_prefix("/problems/")
        })
        .collect();
    // Of a route that does not exist, and of a method that a route does not take.
    let of_no_route = ["method-not-allowed"];
    let all: BTreeSet<_> = PROBLEMS
        .iter()
        .map(|page| page.slug)
        .filter(|slug| !of_no_route.contains(slug))
        .collect();
    assert_eq!(told, all);
}
