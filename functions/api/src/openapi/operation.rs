//! The description of a handler: everything that its route does not state.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::openapi::parameters::in_path;

/// Adds the schema of an answer to the schemas of the document.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One content type of a body.
pub struct Media {
    /// The content type.
    pub content_type: &'static str,
    /// Its schema.
    pub schema: Value,
    /// Examples by their names.
    pub examples: Vec<(&'static str, Value)>,
}

/// An operation. The problems that all routes of a kind have are added elsewhere
/// (`openapi/common.rs`).
#[must_use]
pub struct Operation {
    /// Its name for programs; it never changes.
    pub id: &'static str,
    /// The resource that it belongs to.
    pub tag: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The description, which may be longer.
    pub text: &'static str,
    /// Parameters of the path that are specific to this operation.
    pub path: Vec<Value>,
    /// Parameters of the query.
    pub query: Vec<Value>,
    /// The body.
    pub body: Option<Takes>,
    /// The successful answers.
    pub answers: Vec<AnswerDoc>,
    /// The slugs of the problems that are specific to it.
    pub problems: Vec<&'static str>,
    /// The handler uses no database, and so never fails.
    pub from_memory: bool,
    /// Unknown query parameters are ignored.
    pub any_query: bool,
    /// The content type of the body is ignored.
    pub any_type: bool,
}

/// The body of an operation, in one or more content types.
#[must_use]
pub struct Takes {
    /// Whether the body is required.
    pub required: bool,
    /// The content types.
    pub media: Vec<Media>,
}

/// A successful answer.
pub struct AnswerDoc {
    /// The status.
    pub status: u16,
    /// What the answer means.
    pub text: &'static str,
    /// The body in each of its content types; empty if there is none.
    pub media: Vec<AnswerMedia>,
    /// The headers that are specific to it, such as `Location`.
    pub headers: Vec<&'static str>,
}

/// The body of a successful answer, in one content type.
pub struct AnswerMedia {
    /// The content type.
    pub content_type: &'static str,
    /// Its schema.
    pub schema: SchemaOf,
    /// The schema of each line, if each is a JSON document (`x-item-schema`).
    pub item_schema: Option<SchemaOf>,
    /// An example.
    pub example: Value,
}

impl AnswerMedia {
    fn new<T: JsonSchema>(content_type: &'static str, example: Value) -> Self {
        Self {
            content_type,
            schema: SchemaGenerator::subschema_for::<T>,
            item_schema: None,
            example,
        }
    }
}

impl Operation {
    /// Returns an operation without parameters, body and answers.
    pub const fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            text: "",
            path: Vec::new(),
            query: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            from_memory: false,
            any_query: false,
            any_type: false,
        }
    }

    /// Sets the description.
    pub fn text(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    /// Adds a parameter of the path.
    pub fn path(mut self, name: &str, schema: Value, text: &str, example: Value) -> Self {
        self.path.push(in_path(name, schema, text, example));
        self
    }

    /// Adds a parameter of the query.
    pub fn query(mut self, name: &str, schema: Value, text: &str) -> Self {
        self.query
            .push(json!({"name": name, "in": "query", "description": text, "schema": schema}));
        self
    }

    /// Adds a query parameter without which the call is refused.
    pub fn required_query(mut self, name: &str, schema: Value, text: &str) -> Self {
        self.query.push(
            json!({"name": name, "in": "query", "description": text, "required": true, "schema": schema}),
        );
        self
    }

    /// Adds query parameters that several operations have.
    pub fn queries(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.query.extend(parameters);
        self
    }

    /// Sets the body.
    pub fn body(self, body: Takes) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    /// Adds an answer with JSON of this type.
    pub fn answers<T: JsonSchema>(self, status: u16, text: &'static str, example: Value) -> Self {
        self.answers_as::<T>("application/json", status, text, example)
    }

    /// Adds the answer 201 with the address of the created resource.
    pub fn makes<T: JsonSchema>(self, text: &'static str, example: Value) -> Self {
        self.answers::<T>(201, text, example)
            .with_header("Location")
    }

    /// Adds an answer of another content type.
    pub fn answers_as<T: JsonSchema>(
        mut self,
        content_type: &'static str,
        status: u16,
        text: &'static str,
        example: Value,
    ) -> Self {
        self.answers.push(AnswerDoc {
            status,
            text,
            media: vec![AnswerMedia::new::<T>(content_type, example)],
            headers: Vec::new(),
        });
        self
    }

    /// Adds another content type, of text, to the last answer.
    pub fn also_text(self, content_type: &'static str, example: Value) -> Self {
        self.also(AnswerMedia::new::<String>(content_type, example))
    }

    /// Adds another content type to the last answer: lines of JSON of this type.
    pub fn also_lines<T: JsonSchema>(self, content_type: &'static str, example: Value) -> Self {
        self.also(AnswerMedia {
            item_schema: Some(SchemaGenerator::subschema_for::<T>),
            ..AnswerMedia::new::<String>(content_type, example)
        })
    }

    fn also(mut self, media: AnswerMedia) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.media.push(media);
        }
        self
    }

    /// Adds a header to the last answer.
    pub fn with_header(mut self, name: &'static str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push(name);
        }
        self
    }

    /// Adds the answer 204.
    pub fn answers_nothing(mut self, text: &'static str) -> Self {
        self.answers.push(AnswerDoc {
            status: 204,
            text,
            media: Vec::new(),
            headers: Vec::new(),
        });
        self
    }

    /// Sets the problems that are specific to the operation, by their slugs.
    pub fn problems(self, slugs: &[&'static str]) -> Self {
        Self {
            problems: slugs.to_vec(),
            ..self
        }
    }

    /// States that the handler uses no database.
    pub fn from_memory(self) -> Self {
        Self {
            from_memory: true,
            ..self
        }
    }

    /// States that the content type of the body is ignored.
    pub fn any_type(self) -> Self {
        Self {
            any_type: true,
            ..self
        }
    }

    /// States that unknown query parameters are ignored.
    pub fn any_query(self) -> Self {
        Self {
            any_query: true,
            ..self
        }
    }
}

impl Takes {
    /// Returns a required JSON body with one example.
    pub fn json(schema: Value, example: Value) -> Self {
        Self::json_with(schema, vec![("example", example)])
    }

    /// Returns a required body of text in another format.
    pub fn text(content_type: &'static str, example: &'static str) -> Self {
        Self {
            required: true,
            media: vec![Media {
                content_type,
                schema: json!({"type": "string", "contentMediaType": content_type}),
                examples: vec![("example", json!(example))],
            }],
        }
    }

    /// Returns a JSON body that may be missing.
    pub fn optional_json(schema: Value, example: Value) -> Self {
        Self {
            required: false,
            ..Self::json(schema, example)
        }
    }

    /// Returns a required JSON body with these examples.
    pub fn json_with(schema: Value, examples: Vec<(&'static str, Value)>) -> Self {
        Self {
            required: true,
            media: vec![Media {
                content_type: "application/json",
                schema,
                examples,
            }],
        }
    }
}

/// Returns the schema of an object with these members and no others.
pub fn object(properties: Value, required: &[&str]) -> Value {
    let mut object =
        json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// Returns the schema of an object that contains at least one of these members, with the given
/// schema.
pub fn one_of_these(mut object: Value, members: &[(&str, Value)]) -> Value {
    let one =
        |(name, schema): &(&str, Value)| json!({"required": [name], "properties": {*name: schema}});
    object["anyOf"] = members.iter().map(one).collect();
    object
}

/// Returns a schema that also accepts null, which counts as not given.
pub fn or_null(mut schema: Value) -> Value {
    if let Some(kind) = schema.get("type").cloned() {
        schema["type"] = json!([kind, "null"]);
        if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            values.push(Value::Null);
        }
        return schema;
    }
    let mut choice = json!({});
    if let Some(members) = schema.as_object_mut() {
        for annotation in ["default", "description"] {
            if let Some(value) = members.remove(annotation) {
                choice[annotation] = value;
            }
        }
    }
    choice["anyOf"] = json!([schema, {"type": "null"}]);
    choice
}
