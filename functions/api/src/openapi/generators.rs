//! Rewrites schemas into equivalent ones from which client generators make usable types.
//!
//! Generators make one type of each object. They read an `anyOf` beside `properties` as a choice
//! between other types, and then lose the properties, or the whole operation; an enum that contains
//! null becomes several types; and an object without a name gets one from its position. A schema
//! with a `title` is therefore moved to the schemas of the document, under that name.

use std::mem::take;

use serde_json::{Map, Value, json};

use crate::openapi::schemas::PLACE;

/// Rewrites a schema and all schemas within it. Those with a title are moved to `named`.
///
/// Two different schemas with the same title are a defect of the document: the second one stays
/// where it is, and keeps its title. A test rejects titles.
pub fn simplify(schema: &mut Value, named: &mut Map<String, Value>) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    separate_null(members);
    separate_choice(members);
    for part in parts(members) {
        simplify(part, named);
    }
    if let Some(Value::String(name)) = members.remove("title") {
        move_to(named, name, members);
    }
}

/// Writes an enum or an object that may be null as a choice between it and null.
fn separate_null(members: &mut Map<String, Value>) {
    let kinds = members.get("type").and_then(Value::as_array);
    let Some([kind, Value::String(null)]) = kinds.map(Vec::as_slice) else {
        return;
    };
    if null != "null" || !(members.contains_key("enum") || kind == "object") {
        return;
    }
    let kind = kind.clone();
    members.insert("type".to_owned(), kind);
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let annotations = take_annotations(members);
    let schema = take(members);
    *members = annotations;
    members.insert("anyOf".to_owned(), json!([schema, {"type": "null"}]));
}

/// Writes a choice between combinations of members as a further condition of the object.
fn separate_choice(members: &mut Map<String, Value>) {
    if !members.contains_key("properties") {
        return;
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(choice) = members.remove(keyword) {
            let conditions = members.entry("allOf").or_insert_with(|| json!([]));
            if let Value::Array(conditions) = conditions {
                conditions.push(json!({keyword: choice}));
            }
        }
    }
}

/// Returns the schemas directly within a schema.
fn parts(members: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    members.iter_mut().flat_map(|(keyword, value)| {
        let parts: Vec<&mut Value> = match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().collect(),
            ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => schemas.iter_mut().collect(),
            ("items" | "additionalProperties" | "not", value) => vec![value],
            _ => Vec::new(),
        };
        parts
    })
}

/// Moves a schema to the named ones, and leaves a reference. An enum has the same name wherever it
/// is used, but not the same description and default, which remain in their places.
fn move_to(named: &mut Map<String, Value>, name: String, members: &mut Map<String, Value>) {
    let mut place = Map::new();
    if members.contains_key("enum") {
        place = take_annotations(members);
    }
    let schema = Value::Object(take(members));
    let known = named.entry(&name).or_insert_with(|| schema.clone());
    if *known == schema {
        *members = place;
        members.insert("$ref".to_owned(), json!(format!("{PLACE}{name}")));
    } else if let Value::Object(schema) = schema {
        *members = schema;
        members.extend(place);
        members.insert("title".to_owned(), Value::String(name));
    }
}

fn take_annotations(members: &mut Map<String, Value>) -> Map<String, Value> {
    let annotations = ["default", "description"].into_iter();
    annotations
        .filter_map(|name| members.remove_entry(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_rewritten_without_changing_what_it_accepts() {
        let choice = json!([{"required": ["a"]}, {"required": ["b"]}]);
        let cases = [
            (
                json!({"type": ["string", "null"], "enum": ["x", null], "default": "x", "description": "D"}),
                json!({"anyOf": [{"type": "string", "enum": ["x"]}, {"type": "null"}], "default": "x", "description": "D"}),
            ),
            (
                json!({"type": ["object", "null"], "additionalProperties": false, "description": "D"}),
                json!({"anyOf": [{"type": "object", "additionalProperties": false}, {"type": "null"}], "description": "D"}),
            ),
            (
                json!({"type": ["string", "null"], "minLength": 1}),
                json!({"type": ["string", "null"], "minLength": 1}),
            ),
            (
                json!({"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": choice}),
                json!({"type": "object", "properties": {"a": {}, "b": {}}, "allOf": [{"anyOf": choice}]}),
            ),
            (
                json!({"type": "object", "properties": {"a": {}, "b": {}}, "oneOf": choice, "allOf": [{"minProperties": 1}]}),
                json!({"type": "object", "properties": {"a": {}, "b": {}}, "allOf": [{"minProperties": 1}, {"oneOf": choice}]}),
            ),
            (json!({"anyOf": choice}), json!({"anyOf": choice})),
        ];
        for (mut schema, expected) in cases {
            simplify(&mut schema, &mut Map::new());
            assert_eq!(schema, expected);
        }
    }

    #[test]
    fn parts_with_a_title_become_named_schemas() {
        let kind = || json!({"title": "Kind", "type": "string", "enum": ["x"], "default": "x"});
        let mut schema = json!({
            "type": "object",
            "title": "Entry",
            "properties": {
                "title": {"type": "string"},
                "kinds": {"type": "array", "items": kind()},
                "kind": {"title": "Kind", "type": ["string", "null"], "enum": ["x", null], "description": "D"},
            },
        });
        let mut named = Map::new();
        simplify(&mut schema, &mut named);
        let place = "#/components/schemas/Kind";
        assert_eq!(schema, json!({"$ref": "#/components/schemas/Entry"}));
        assert_eq!(named["Kind"], json!({"type": "string", "enum": ["x"]}));
        assert_eq!(
            named["Entry"]["properties"],
            json!({
                "title": {"type": "string"},
                "kinds": {"type": "array", "items": {"$ref": place, "default": "x"}},
                "kind": {"anyOf": [{"$ref": place}, {"type": "null"}], "description": "D"},
            })
        );
    }

    #[test]
    fn another_schema_with_the_same_title_keeps_it() {
        let mut named = Map::new();
        let mut second =
            json!({"title": "Kind", "type": "string", "enum": ["y"], "description": "D"});
        simplify(
            &mut json!({"title": "Kind", "type": "string", "enum": ["x"]}),
            &mut named,
        );
        let unchanged = second.clone();
        simplify(&mut second, &mut named);
        assert_eq!(second, unchanged);
    }
}
