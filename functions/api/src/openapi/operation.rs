//! What a handler says of itself: everything that the table of routes does not know.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// The schema of an answer, which goes to the others of the document.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A content type of a body, its schema, and examples by their names.
pub type Media = (&'static str, Value, Vec<(&'static str, Value)>);

/// An operation. Problems that every route of its kind has are not named here.
#[must_use]
pub struct Operation {
    /// Its name for programs, which never changes.
    pub id: &'static str,
    /// What it is about.
    pub tag: &'static str,
    /// A line.
    pub summary: &'static str,
    /// More than a line.
    pub text: &'static str,
    /// Parameters of the query.
    pub query: Vec<Value>,
    /// What it takes.
    pub body: Option<Takes>,
    /// What it answers when all is well.
    pub answers: Vec<Answer>,
    /// Slugs of its own problems.
    pub problems: Vec<&'static str>,
    /// It asks no database, and so never fails.
    pub from_memory: bool,
    /// Unknown parameters are none of its business.
    pub any_query: bool,
    /// The content type of its body is none of its business.
    pub any_type: bool,
}

/// What an operation takes: one or more content types.
#[must_use]
pub struct Takes {
    /// Whether there has to be one.
    pub required: bool,
    /// Each of them.
    pub media: Vec<Media>,
}

/// A success.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// When.
    pub text: &'static str,
    /// Its content types, its schema, an example; none: there is no body.
    pub media: Option<(Vec<&'static str>, SchemaOf, Value)>,
    /// Whether it has a `Location`.
    pub location: bool,
}

impl Operation {
    /// One that takes and answers nothing yet.
    pub const fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            text: "",
            query: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            from_memory: false,
            any_query: false,
            any_type: false,
        }
    }

    /// More than a line.
    pub fn text(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    /// A parameter of the query.
    pub fn query(mut self, name: &str, schema: Value, text: &str) -> Self {
        self.query
            .push(json!({"name": name, "in": "query", "description": text, "schema": schema}));
        self
    }

    /// Parameters that several operations have.
    pub fn queries(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.query.extend(parameters);
        self
    }

    /// What it takes.
    pub fn body(self, body: Takes) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    /// JSON of this type.
    pub fn answers<T: JsonSchema>(self, status: u16, text: &'static str, example: Value) -> Self {
        self.answers_as::<T>("application/json", status, text, example)
    }

    /// 201 with the address of what was made.
    pub fn makes<T: JsonSchema>(self, text: &'static str, example: Value) -> Self {
        let mut made = self.answers::<T>(201, text, example);
        if let Some(answer) = made.answers.last_mut() {
            answer.location = true;
        }
        made
    }

    /// An answer of another content type.
    pub fn answers_as<T: JsonSchema>(
        mut self,
        kind: &'static str,
        status: u16,
        text: &'static str,
        example: Value,
    ) -> Self {
        let media = Some((
            vec![kind],
            SchemaGenerator::subschema_for::<T> as SchemaOf,
            example,
        ));
        self.answers.push(Answer {
            status,
            text,
            media,
            location: false,
        });
        self
    }

    /// Another content type of the last answer.
    pub fn also_as(mut self, kind: &'static str) -> Self {
        if let Some((kinds, ..)) = self
            .answers
            .last_mut()
            .and_then(|answer| answer.media.as_mut())
        {
            kinds.push(kind);
        }
        self
    }

    /// 204.
    pub fn answers_nothing(mut self, text: &'static str) -> Self {
        self.answers.push(Answer {
            status: 204,
            text,
            media: None,
            location: false,
        });
        self
    }

    /// Problems of its own, by their slugs.
    pub fn problems(self, slugs: &[&'static str]) -> Self {
        Self {
            problems: slugs.to_vec(),
            ..self
        }
    }

    /// It asks no database.
    pub fn from_memory(self) -> Self {
        Self {
            from_memory: true,
            ..self
        }
    }

    /// The body is read whatever its type is said to be.
    pub fn any_type(self) -> Self {
        Self {
            any_type: true,
            ..self
        }
    }

    /// Unknown parameters are left alone.
    pub fn any_query(self) -> Self {
        Self {
            any_query: true,
            ..self
        }
    }
}

impl Takes {
    /// A JSON object, with one example.
    pub fn json(schema: Value, example: Value) -> Self {
        Self {
            required: true,
            media: vec![("application/json", schema, vec![("example", example)])],
        }
    }
}

/// An object of these members, and no others.
pub fn object(properties: Value, required: &[&str]) -> Value {
    let mut object =
        json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// An object in which at least one of these members has to be, and has to be as this says.
pub fn one_of_these(mut object: Value, members: &[(&str, Value)]) -> Value {
    let one =
        |(name, schema): &(&str, Value)| json!({"required": [name], "properties": {*name: schema}});
    object["anyOf"] = members.iter().map(one).collect();
    object
}

/// What may also be null, which counts as not given.
pub fn or_null(mut schema: Value) -> Value {
    if let Some(kind) = schema.get("type").cloned() {
        schema["type"] = json!([kind, "null"]);
        if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            words.push(Value::Null);
        }
        return schema;
    }
    json!({"anyOf": [schema, {"type": "null"}]})
}
