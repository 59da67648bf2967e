//! Schemas of answers, derived from their types and made exact: no additional members, and enums as
//! one list.

use std::borrow::Cow;

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema,
    transform::RecursiveTransform,
};
use serde_json::{Map, Value, json};
use shared::message::status::Status;

use crate::openapi::generators::simplify;

/// Where the document contains the schemas.
pub const PLACE: &str = "#/components/schemas/";

/// Returns a reference to the schema of a type that an answer contains.
pub fn derived<T: JsonSchema>() -> Value {
    json!({"$ref": format!("{PLACE}{}", T::schema_name())})
}

/// All schemas of the document.
pub struct Schemas {
    generator: SchemaGenerator,
    written: Map<String, Value>,
    /// Parts of other schemas, by their titles.
    named: Map<String, Value>,
}

impl Schemas {
    /// Returns an empty collection.
    pub fn empty() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .for_serialize()
            .with(|settings| {
                settings.definitions_path =
                    PLACE.trim_start_matches('#').trim_end_matches('/').into();
                settings.meta_schema = None;
            });
        Self {
            generator: settings
                .with_transform(RecursiveTransform(exact))
                .into_generator(),
            written: Map::new(),
            named: Map::new(),
        }
    }

    /// Returns the generator, which collects the derived schemas.
    pub const fn generator(&mut self) -> &mut SchemaGenerator {
        &mut self.generator
    }

    /// Adds a schema that is not derived; returns a reference to it.
    pub fn add(&mut self, name: &str, schema: Value) -> Value {
        self.written.insert(name.to_owned(), schema);
        json!({"$ref": format!("{PLACE}{name}")})
    }

    /// Returns a schema that is not derived as generators of clients need it. Its parts with a title
    /// are added under these names.
    pub fn simplified(&mut self, mut schema: Value) -> Value {
        simplify(&mut schema, &mut self.named);
        schema
    }

    /// Returns all schemas, by their names.
    pub fn finish(mut self) -> Map<String, Value> {
        let mut all = self.generator.take_definitions(true);
        all.append(&mut self.written);
        for schema in all.values_mut() {
            simplify(schema, &mut self.named);
        }
        for (name, schema) in self.named {
            let derived = all.insert(name, schema);
            debug_assert!(derived.is_none(), "two schemas have one name: {derived:?}");
        }
        all
    }
}

/// Rejects additional members, removes the width of integers, and writes an enum as one list.
fn exact(schema: &mut Schema) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    if schema.contains_key("properties") && !schema.contains_key("additionalProperties") {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    if schema
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| format.contains("int"))
    {
        schema.remove("format");
    }
    let values = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .and_then(|values| {
            values
                .iter()
                .map(|value| {
                    Some((
                        value.get("const")?.as_str()?,
                        value["description"].as_str()?,
                    ))
                })
                .collect::<Option<Vec<_>>>()
        });
    let Some(values) = values else { return };
    let lines: Vec<_> = values
        .iter()
        .map(|(value, text)| format!("- `{value}`: {text}"))
        .collect();
    let values: Vec<_> = values.iter().map(|(value, _)| json!(value)).collect();
    let text = format!(
        "{}\n\n{}",
        schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default(),
        lines.join("\n")
    );
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("enum".to_owned(), json!(values));
    schema.insert("description".to_owned(), json!(text.trim()));
}

/// The schema of the number of recipients in each state, with all states.
pub struct CountsSchema;

impl JsonSchema for CountsSchema {
    fn schema_name() -> Cow<'static, str> {
        "Counts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        counts(&Status::ALL)
    }
}

/// The same for a batch, which contains no INVALID recipients.
pub struct BatchCounts;

impl JsonSchema for BatchCounts {
    fn schema_name() -> Cow<'static, str> {
        "BatchCounts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let statuses: Vec<_> = Status::ALL
            .into_iter()
            .filter(|status| *status != Status::Invalid)
            .collect();
        counts(&statuses)
    }
}

fn counts(statuses: &[Status]) -> Schema {
    let names: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
    let properties: Map<_, _> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "integer", "minimum": 0})))
        .collect();
    json_schema!({"description": "The number of recipients in each state.", "type": "object", "properties": properties, "required": names})
}
