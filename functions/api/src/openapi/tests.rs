//! The document itself: the committed copy, its references, its links, its examples.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Endpoint, links, parameters};
use crate::{
    http::problems::PROBLEMS,
    routes::{document, table},
};

const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

/// Returns all operations: a name such as `get /health`, and the operation.
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

/// Returns the target of a reference, or the value itself if it is none.
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

/// Returns a validator of a schema, which may refer to the schemas of the document.
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
fn the_committed_copy_is_what_the_code_generates() {
    let generated = serde_json::to_string_pretty(document()).unwrap() + "\n";
    if std::env::var_os("RENEW_OPENAPI").is_some() {
        std::fs::write(COPY, &generated).unwrap();
    }
    let copy = std::fs::read_to_string(COPY).unwrap_or_default();
    assert!(
        copy == generated,
        "docs/openapi.json is not what the code generates: run `make openapi`"
    );
}

#[test]
fn each_reference_has_a_target() {
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
                "no reference to {kind} {name}"
            );
        }
    }
}

#[test]
fn each_schema_is_one_of_json_schema() {
    let assert_schema = |what: &str, schema: &Value| {
        let valid = jsonschema::draft202012::meta::validate(schema);
        assert!(valid.is_ok(), "{what}: {valid:?}\n{schema}");
    };
    for (name, schema) in members(&document()["components"], "schemas") {
        assert_schema(name, schema);
    }
    for (what, operation) in operations() {
        for parameter in operation["parameters"].as_array().unwrap() {
            assert_schema(&what, &resolved(parameter)["schema"]);
        }
        for (_, media) in members(&operation["requestBody"], "content") {
            assert_schema(&what, &media["schema"]);
        }
    }
}

#[test]
fn each_title_names_one_schema() {
    fn assert_untitled(place: &str, value: &Value) {
        assert!(
            !value.get("title").is_some_and(Value::is_string),
            "{place}: another schema has the title {}",
            value["title"]
        );
        match value {
            Value::Object(members) => members
                .iter()
                .for_each(|(name, value)| assert_untitled(&format!("{place}/{name}"), value)),
            Value::Array(items) => items.iter().for_each(|item| assert_untitled(place, item)),
            _ => {}
        }
    }
    for (name, schema) in members(&document()["components"], "schemas") {
        assert_untitled(name, schema);
    }
    for (what, operation) in operations() {
        assert_untitled(&what, &operation["parameters"]);
        for (_, media) in members(&operation["requestBody"], "content") {
            assert_untitled(&what, &media["schema"]);
        }
    }
}

#[test]
fn operation_ids_are_unique() {
    let operations = operations();
    let ids: BTreeSet<_> = operations
        .iter()
        .map(|(_, operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), operations.len());
    assert_eq!(operations.len(), table().len());
}

#[test]
fn links_lead_to_operations_with_these_parameters() {
    let operations = operations();
    let find = |id: &Value| {
        let found = operations
            .iter()
            .find(|(_, operation)| operation["operationId"] == *id);
        found.map(|(_, operation)| *operation)
    };
    let mut count = 0;
    for (what, operation) in &operations {
        let answers = members(operation, "responses");
        for (_, link) in answers
            .iter()
            .flat_map(|(_, answer)| members(answer, "links"))
        {
            count += 1;
            let target = find(&link["operationId"]).unwrap_or_else(|| panic!("{what}: {link}"));
            let parameters = target["parameters"].as_array().unwrap();
            for (name, _) in members(link, "parameters") {
                let known = parameters
                    .iter()
                    .any(|parameter| parameter["name"] == **name);
                assert!(known, "{what}: {link}");
            }
        }
    }
    let all = links::count();
    assert_eq!(
        count, all,
        "a row of the links names an answer that does not exist"
    );
}

#[test]
fn each_tag_is_described_and_used() {
    let tags: BTreeSet<_> = document()["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let operations = operations();
    let used: BTreeSet<_> = operations
        .iter()
        .map(|(_, operation)| operation["tags"][0].as_str().unwrap())
        .collect();
    assert_eq!(tags, used);
}

#[test]
fn each_example_is_valid_by_its_schema() {
    for (what, operation) in operations() {
        for (_, media) in members(&operation["requestBody"], "content") {
            let examples = members(media, "examples");
            assert!(
                !examples.is_empty() || media["schema"]["format"] == "binary",
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
fn operations_are_complete_and_name_existing_problems() {
    for Endpoint {
        operation, path, ..
    } in table().into_iter().map(|route| route.endpoint)
    {
        let operation = operation();
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
        for parameter in parameters::of_path(path, &operation) {
            assert_ne!(
                parameter["description"], "",
                "{path}: the parameter {} has no description",
                parameter["name"]
            );
        }
    }
    let described: BTreeSet<_> = members(&document()["components"], "schemas")
        .iter()
        .filter_map(|(_, schema)| {
            schema["properties"]["type"]["const"]
                .as_str()?
                .strip_prefix("/problems/")
        })
        .collect();
    // Answered without a route: no operation describes it.
    let of_no_route = ["method-not-allowed"];
    let all: BTreeSet<_> = PROBLEMS
        .iter()
        .map(|page| page.slug)
        .filter(|slug| !of_no_route.contains(slug))
        .collect();
    assert_eq!(described, all);
}
