//! What a call changes about a recipient: its number, its variables, its reference and its group.

use serde_json::{Value, json};
use shared::{
    message::{
        phone::Phone,
        template::{MAX_VARIABLES, Variables},
    },
    schedule::unique_by::UniqueBy,
};

use crate::{
    App,
    http::{
        error::{ApiError, FieldError},
        fields::Fields,
    },
    lists::{
        AcceptedVariables, Options,
        names::{self, LONGEST, NameKind},
        number::read_number,
        options::ListDefaults,
        variables,
    },
    openapi::operation::{object, or_null},
    resources::schedules::store::LockedSchedule,
};

/// The new values of a recipient, as given. `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct RecipientEdit {
    phone: Option<String>,
    vars: Option<Variables>,
    names: NameEdit,
}

/// The new reference and group of a recipient. `None` stays as it is, `Some(None)` is removed.
#[derive(Clone, Debug, Default)]
pub struct NameEdit {
    /// What the client's system calls it.
    pub reference: Option<Option<Box<str>>>,
    /// Its group.
    pub group: Option<Option<Box<str>>>,
}

impl NameEdit {
    /// Reads both members. An error is recorded in `fields`.
    fn read(fields: &mut Fields) -> Self {
        let mut name = |kind: NameKind| {
            let given = fields.nullable(kind.as_str(), |fields| fields.text(kind.as_str()))?;
            let read = names::read(kind, given.as_deref().unwrap_or_default());
            read.map_err(|error| fields.complain(kind.as_str(), error.code(), error.to_string()))
                .ok()
        };
        Self {
            reference: name(NameKind::Reference),
            group: name(NameKind::Group),
        }
    }

    /// Returns whether both stay as they are.
    pub const fn is_empty(&self) -> bool {
        self.reference.is_none() && self.group.is_none()
    }
}

/// The new values of a recipient, valid for its schedule.
#[derive(Clone, Debug, Default)]
pub struct ValidEdit {
    /// The number.
    pub phone: Option<Phone>,
    /// The variables as a JSON object; empty if there are none.
    pub vars: Option<String>,
    /// The number of parts of the text; 0 if the variables stay as they are, or no text uses them.
    pub parts: u16,
}

impl RecipientEdit {
    /// Reads the members of an object. An error is recorded in `fields`.
    pub fn read(fields: &mut Fields) -> Self {
        let phone = fields.text("phone");
        let vars = fields.raw("vars").and_then(|given| {
            let read = variables::read(given);
            read.map_err(|error| fields.complain("vars", error.code(), error.to_string()))
                .ok()
        });
        let names = NameEdit::read(fields);
        let edit = Self { phone, vars, names };
        if !edit.alters_message() && edit.names.is_empty() && fields.is_faultless() {
            let expected = "expected at least one of: phone, vars, reference, group";
            fields.complain("", "nothing-to-change", expected);
        }
        edit
    }

    /// Returns the fields that it changes, for the audit log.
    pub fn fields(&self) -> Vec<&'static str> {
        let given = [
            ("phone", self.phone.is_some()),
            ("vars", self.vars.is_some()),
            ("reference", self.names.reference.is_some()),
            ("group", self.names.group.is_some()),
        ];
        given
            .into_iter()
            .filter(|(_, given)| *given)
            .map(|(name, _)| name)
            .collect()
    }

    /// Returns whether it changes the number or the text of the message.
    pub const fn alters_message(&self) -> bool {
        self.phone.is_some() || self.vars.is_some()
    }

    /// Returns the new reference and group.
    pub const fn names(&self) -> &NameEdit {
        &self.names
    }

    /// Checks the values as an append to the schedule would.
    pub fn check(
        &self,
        app: &App,
        message: &str,
        defaults: Option<&str>,
    ) -> Result<ValidEdit, ApiError> {
        let mut options = Options {
            countries: app.allowed_countries(),
            number_types: app.number_types,
            variables: AcceptedVariables::of(message)?,
            ..Options::default()
        };
        ListDefaults::read(defaults).apply(&mut options);
        let wrong = |field: &str, code, detail: String| {
            ApiError::invalid(vec![FieldError::new(field, code, detail)])
        };
        let phone = self
            .phone
            .as_deref()
            .map(|given| read_number(given, &options));
        let phone = phone
            .transpose()
            .map_err(|refused| wrong("phone", refused.code, refused.detail))?;
        let Some(vars) = &self.vars else {
            return Ok(ValidEdit {
                phone,
                ..ValidEdit::default()
            });
        };
        let stored = if vars.is_empty() {
            String::new()
        } else {
            json!(vars).to_string()
        };
        if stored.len() > MAX_VARIABLES {
            let expected = format!("expected at most {MAX_VARIABLES} bytes of variables");
            return Err(wrong("vars", "variables-too-long", expected));
        }
        if vars
            .values()
            .any(|value| value.contains(char::REPLACEMENT_CHARACTER))
        {
            let expected =
                "expected complete texts: U+FFFD replaces characters that were lost before";
            return Err(wrong("vars", "replacement-character", expected.to_owned()));
        }
        let mut parts = 0;
        if let AcceptedVariables::Of(template) = &options.variables {
            let rendered = template.render(vars);
            let rendered =
                rendered.map_err(|error| wrong("vars", error.code(), error.to_string()))?;
            parts = rendered.parts;
        }
        Ok(ValidEdit {
            phone,
            vars: Some(stored),
            parts,
        })
    }

    /// Checks the values under the lock of the schedule.
    pub fn check_locked(
        &self,
        app: &App,
        schedule: &LockedSchedule,
    ) -> Result<ValidEdit, ApiError> {
        if schedule.unique_by == UniqueBy::Reference && self.names.reference == Some(None) {
            let expected = "expected a reference, because the schedule is `unique_by: reference`";
            let error = FieldError::new("reference", "missing-reference", expected);
            return Err(ApiError::invalid(vec![error]));
        }
        self.check(app, &schedule.message, schedule.list_defaults.as_deref())
    }
}

/// Returns the schema of the object that [`RecipientEdit::read`] reads.
pub fn schema() -> Value {
    let phone = json!({"type": "string", "description": "The new number; without a country code if the schedule has a `default_country`."});
    let vars = json!({"title": "Variables", "type": "object", "additionalProperties": {"type": ["string", "number", "null"]},
        "description": "The new variables, which replace all old ones."});
    let name = json!({"type": ["string", "null"], "maxLength": LONGEST, "description": "Null, or an empty text, removes it."});
    let mut schema = object(
        json!({"phone": or_null(phone), "vars": or_null(vars), "reference": name, "group": name}),
        &[],
    );
    schema["title"] = json!("RecipientEdit");
    schema["anyOf"] = json!([
        {"required": ["phone"], "properties": {"phone": {"type": "string"}}},
        {"required": ["vars"], "properties": {"vars": {"type": "object"}}},
        {"required": ["reference"]},
        {"required": ["group"]},
    ]);
    schema
}
