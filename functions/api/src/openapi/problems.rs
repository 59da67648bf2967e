//! Problem documents (RFC 9457): one schema per type of problem, from the definitions in
//! [`crate::http::problems`].

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};
use shared::access::Permission;

use crate::{
    http::{
        error::FieldError,
        problems::{PROBLEMS, ProblemType},
    },
    openapi::schemas::Schemas,
};

/// The members that some problems add to the standard ones. Problems of one resource are described
/// by that resource.
pub struct ProblemMembers {
    /// The slugs of the problems that have these members.
    pub problems: &'static [&'static str],
    /// Returns the schema of each member.
    pub properties: fn(&mut SchemaGenerator) -> Value,
    /// The members that are always present.
    pub required: &'static [&'static str],
}

/// The members of problems that any resource may report.
const COMMON_MEMBERS: [ProblemMembers; 3] = [
    ProblemMembers {
        problems: &["forbidden"],
        properties: |_| {
            let permissions = Permission::ALL.map(Permission::as_str);
            json!({"permission": {"enum": permissions, "description": "The permission that the caller lacks."}})
        },
        required: &[],
    },
    ProblemMembers {
        problems: &["invalid-request"],
        properties: |generator| {
            let error = generator.subschema_for::<FieldError>();
            json!({
                "errors": {"type": "array", "items": error, "minItems": 1},
                "errors_total": {"type": "integer", "minimum": 1, "description": "The number of all errors; `errors` contains the first hundred."},
            })
        },
        required: &["errors", "errors_total"],
    },
    ProblemMembers {
        problems: &["rate-limited", "login-locked", "daily-limit"],
        properties: |_| json!({"retry_after_s": {"type": "integer", "minimum": 0, "description": "The same as `Retry-After`."}}),
        required: &["retry_after_s"],
    },
];

/// The problem answers of the document. Operations with the same problems share an answer.
pub struct ProblemAnswers<'a> {
    own_members: &'a [ProblemMembers],
    answers: Map<String, Value>,
}

impl<'a> ProblemAnswers<'a> {
    /// Returns an empty collection; `own_members` are the members that the resources describe.
    pub fn new(own_members: &'a [ProblemMembers]) -> Self {
        Self {
            own_members,
            answers: Map::new(),
        }
    }

    /// Returns all answers, by their names.
    pub fn finish(self) -> Map<String, Value> {
        self.answers
    }

    /// Returns references to the answers for the problems with these slugs: one answer per status.
    pub fn references(&mut self, slugs: &[&str], schemas: &mut Schemas) -> BTreeMap<u16, Value> {
        let mut by_status = BTreeMap::<u16, Vec<&ProblemType>>::new();
        for problem in PROBLEMS {
            if slugs.contains(&problem.slug) {
                by_status.entry(problem.status).or_default().push(problem);
            }
        }
        by_status
            .into_iter()
            .map(|(status, problems)| (status, self.reference(status, &problems, schemas)))
            .collect()
    }

    fn reference(
        &mut self,
        status: u16,
        problems: &[&ProblemType],
        schemas: &mut Schemas,
    ) -> Value {
        let name = problems.iter().fold(status.to_string(), |name, problem| {
            name + "." + problem.slug
        });
        if !self.answers.contains_key(&name) {
            let answer = self.answer(status, problems, schemas);
            self.answers.insert(name.clone(), answer);
        }
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    fn answer(&self, status: u16, problems: &[&ProblemType], schemas: &mut Schemas) -> Value {
        let mut references = Vec::new();
        for problem in problems {
            let schema = self.schema(problem, schemas);
            references.push(schemas.add(&schema_name(problem.slug), schema));
        }
        let schema = if references.len() == 1 {
            references.remove(0)
        } else {
            json!({"oneOf": references})
        };
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| format!("- `{}`: {}", problem.slug, problem.meaning))
            .collect();
        json!({
            "description": lines.join("\n"),
            "headers": headers(status),
            "content": {"application/problem+json": {"schema": schema}},
        })
    }

    fn schema(&self, problem: &ProblemType, schemas: &mut Schemas) -> Value {
        let mut properties = json!({
            "type": {"const": format!("/problems/{}", problem.slug)},
            "title": {"type": "string"},
            "status": {"const": problem.status},
            "detail": {"type": "string", "description": "What was expected, as text."},
        });
        let mut required = vec!["type", "title", "status", "detail"];
        let mut members = COMMON_MEMBERS.iter().chain(self.own_members);
        if let Some(members) = members.find(|members| members.problems.contains(&problem.slug)) {
            required.extend(members.required);
            let own = (members.properties)(schemas.generator());
            if let (Some(properties), Value::Object(own)) = (properties.as_object_mut(), own) {
                properties.extend(own);
            }
        }
        json!({
            "type": "object",
            "description": format!("{} {}", problem.meaning, problem.remedy),
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }
}

/// Returns the name of a schema: `NotFoundProblem` for `not-found`.
fn schema_name(slug: &str) -> String {
    slug.split('-').map(capitalized).collect::<String>() + "Problem"
}

/// Returns the name with its first letter in upper case.
pub fn capitalized(name: &str) -> String {
    let (first, rest) = name.split_at(1.min(name.len()));
    first.to_uppercase() + rest
}

/// Returns the headers of an answer. Those of the rate are present only if requests are counted.
fn headers(status: u16) -> Map<String, Value> {
    let own: &[&str] = match status {
        401 | 403 => &["WWW-Authenticate"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    let common = ["X-Request-Id", "RateLimit", "RateLimit-Policy"];
    let names = own.iter().chain(&common);
    names
        .map(|name| {
            let reference = json!({"$ref": format!("#/components/headers/{name}")});
            ((*name).to_owned(), reference)
        })
        .collect()
}
