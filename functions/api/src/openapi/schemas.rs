//! Schemas of answers, derived from their types and made exact: no members but those that are named, and plain enums.

use std::borrow::Cow;

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema,
    transform::RecursiveTransform,
};
use serde_json::{Map, Value, json};
use shared::message::status::Status;

/// Where the document keeps them.
pub const PLACE: &str = "#/components/schemas/";

/// All schemas of the document.
pub struct Schemas {
    generator: SchemaGenerator,
    others: Map<String, Value>,
    /// Answers that several operations have.
    pub answers: Map<String, Value>,
}

impl Schemas {
    /// None yet.
    pub fn none() -> Self {
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
            others: Map::new(),
            answers: Map::new(),
        }
    }

    /// Where derived ones go.
    pub const fn generator(&mut self) -> &mut SchemaGenerator {
        &mut self.generator
    }

    /// Adds one under a name, and refers to it.
    pub fn add(&mut self, name: &str, schema: Value) -> Value {
        self.others.insert(name.to_owned(), schema);
        json!({"$ref": format!("{PLACE}{name}")})
    }

    /// All of them.
    pub fn finish(mut self) -> Map<String, Value> {
        let mut all = self.generator.take_definitions(true);
        all.extend(self.others);
        all
    }
}

/// Members that are not named are none, an integer's width is nobody's business, and an enum is one list.
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
    let words = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .and_then(|words| {
            words
                .iter()
                .map(|word| Some((word.get("const")?.as_str()?, word["description"].as_str()?)))
                .collect::<Option<Vec<_>>>()
        });
    let Some(words) = words else { return };
    let told: Vec<_> = words
        .iter()
        .map(|(word, text)| format!("- `{word}`: {text}"))
        .collect();
    let words: Vec<_> = words.iter().map(|(word, _)| json!(word)).collect();
    let text = format!(
        "{}\n\n{}",
        schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default(),
        told.join("\n")
    );
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("enum".to_owned(), json!(words));
    schema.insert("description".to_owned(), json!(text.trim()));
}

/// How many recipients are in each state: every state is named.
pub struct CountsSchema;

impl JsonSchema for CountsSchema {
    fn schema_name() -> Cow<'static, str> {
        "Counts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        counts(&Status::ALL)
    }
}

/// Likewise, of a batch: what is INVALID is in none.
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
    let words: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
    let each: Map<_, _> = words
        .iter()
        .map(|word| ((*word).to_owned(), json!({"type": "integer", "minimum": 0})))
        .collect();
    json_schema!({"description": "How many recipients are in each state.", "type": "object", "properties": each, "required": words})
}
