//! Lists in the OpenAPI document: their schemas, their content types, and the parameters that
//! control how they are read. The limits are those of the parsers beside this file.

use serde_json::{Value, json};
use shared::{message::template::MAX_VARIABLES, schedule::unique_by::UniqueBy};

use crate::{
    lists::{
        entry::MAX_ENTRIES,
        names,
        options::{Format, LONGEST_COLUMN, NumberTypes, OnDuplicate},
        request::{LONGEST_SHEET, ODS, XLSX},
    },
    openapi::{
        Takes,
        operation::{Media, object},
    },
};

/// Returns the schema of a valid entry. Any other JSON value is an invalid entry.
pub fn entry_schema(variables: bool) -> Value {
    let mut members = json!({"phone": phone_schema()});
    if variables {
        members["vars"] = json!({
            "title": "Variables",
            "type": ["object", "null"],
            "additionalProperties": {"type": ["string", "number", "null"]},
            "description": format!("The variables of the message for this recipient; at most {MAX_VARIABLES} bytes of JSON."),
        });
        members["reference"] = name_schema("What your system calls it; need not be unique.");
        members["group"] =
            name_schema("Such as a region or a store; recipients are counted by it.");
    }
    let mut entry = object(members, &["phone"]);
    entry["title"] = json!(if variables {
        "RecipientEntry"
    } else {
        "NumberEntry"
    });
    json!({"anyOf": [phone_schema(), entry]})
}

/// Returns the schema of a number in a list. Which notations are numbers depends on the country, so
/// that the schema names no pattern.
fn phone_schema() -> Value {
    json!({"type": "string", "minLength": 1, "examples": ["+60123456789"],
        "description": "A number in E.164, such as `+60123456789`; with `default_country` also a national number, or an international one without its plus sign. Spaces, dots, dashes and brackets are ignored."})
}

/// Returns the schema of a reference or a group: without a control character, and without white
/// space at either end.
fn name_schema(text: &str) -> Value {
    json!({"type": ["string", "null"], "minLength": 1, "maxLength": names::LONGEST, "pattern": r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$",
        "description": text})
}

/// Returns the schema of an array of entries.
pub fn entries_schema(variables: bool) -> Value {
    json!({"type": "array", "items": entry_schema(variables), "minItems": 1, "maxItems": MAX_ENTRIES})
}

/// Returns the schema of a country's two letters.
pub fn country_schema() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z]{2}$"})
}

/// Returns the schema of the name or position of a column.
pub fn column_schema() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": LONGEST_COLUMN, "pattern": r"\S", "not": {"const": "0"}})
}

/// The description of [`on_duplicate_schema`].
pub const ON_DUPLICATE: &str = "An entry whose number is in the schedule already, or in the list before (with `unique_by: reference`: whose reference is): `skip`: it has no effect; \
     `update`: its variables, reference and group (and its number) replace those of the recipient; `reject`: it refuses the call.";

/// Returns the schema of the effect of duplicates.
pub fn on_duplicate_schema() -> Value {
    json!({"title": "OnDuplicate", "type": "string", "enum": OnDuplicate::ALL.map(OnDuplicate::as_str)})
}

/// Returns the same for a field of a body.
pub fn on_duplicate_field_schema() -> Value {
    let mut schema = on_duplicate_schema();
    schema["default"] = json!(OnDuplicate::Skip.as_str());
    schema["description"] = json!(ON_DUPLICATE);
    schema
}

/// Returns the schema of what the entries of a list differ by.
pub fn unique_by_schema() -> Value {
    json!({"title": "UniqueBy", "type": "string", "enum": UniqueBy::ALL.map(UniqueBy::as_str), "default": UniqueBy::Phone.as_str(),
        "description": "What no two recipients have in common. With `reference` each entry has a reference, a number may occur up to 16 times, and each \
            of its recipients gets a message of its own."})
}

/// The description of [`types_schema`].
pub const TYPES: &str = "The kinds of numbers that are accepted: `any`, or only `mobile`: landlines and the numbers of services (premium rate, shared cost, \
     toll-free) are invalid entries. In North America mobile numbers and landlines look alike, so all of them are accepted.";

/// Returns the schema of the kinds of numbers that are accepted.
pub fn types_schema() -> Value {
    json!({"title": "NumberTypes", "type": "string", "enum": NumberTypes::ALL.map(NumberTypes::as_str)})
}

/// Returns the same for a field of a body.
pub fn types_field_schema() -> Value {
    let mut schema = types_schema();
    schema["default"] = json!(NumberTypes::Any.as_str());
    schema["description"] = json!(TYPES);
    schema
}

/// Returns the parameters that control how a list is read.
pub fn list_parameters() -> [Value; 5] {
    let parameter = |name: &str, schema: Value, text: &str| json!({"name": name, "in": "query", "schema": schema, "description": text});
    [
        parameter(
            "default_country",
            country_schema(),
            "Two letters (ISO 3166), such as `MY`: phone numbers without a plus sign are read as national numbers of this country, or as international ones that start with its code.",
        ),
        parameter(
            "column",
            column_schema(),
            "In CSV and spreadsheets, the column with the phone numbers: its name in the header, or its position from 1. Default: the column `phone`, the only one that is named like phone numbers (`Mobile`, `Tel.`, `msisdn`), or the only column.",
        ),
        parameter(
            "sheet",
            sheet_schema(),
            "In spreadsheets, the name of the sheet. Default: the first.",
        ),
        parameter(
            "format",
            json!({"title": "ListFormat", "type": "string", "enum": Format::ALL.map(Format::as_str)}),
            "The format of a list as `application/gzip` or `application/octet-stream`. Default: detected from the first bytes. For other content types it \
             must be the format of the content type.",
        ),
        parameter(
            "charset",
            json!({"type": "string", "pattern": r"^\s*[A-Za-z0-9._:()+-]+\s*$"}),
            "The encoding of a list as `application/gzip` or `application/octet-stream`, such as `windows-1252`; also as a parameter of the content type. \
             Default: UTF-8, or that of the byte order mark. Text types are always UTF-8.",
        ),
    ]
}

/// Returns the parameters that select the columns of references and groups.
pub fn name_column_parameters() -> [Value; 2] {
    ["reference", "group"].map(|name| {
        let text = format!(
            "In CSV and spreadsheets, the column with the {name} of each recipient: its name in the header, or its position from 1. Default: the column `{name}`, if there is one."
        );
        json!({"name": format!("{name}_column"), "in": "query", "schema": column_schema(), "description": text})
    })
}

/// Returns the schema of a list in JSON: an array of entries, or an object that contains it.
///
/// It is one schema for both. Generators read a choice between an array and an object as a choice
/// between classes, and the Python client would fail at run time to tell the two apart. Without a
/// `type` beside the members they read it as the object, and validators as both.
fn list_schema(variables: bool) -> Value {
    let entries = entries_schema(variables);
    json!({
        "title": if variables { "RecipientList" } else { "NumberList" },
        "description": "The entries; also the array alone.",
        "not": {"type": ["boolean", "null", "number", "string"]},
        "items": entries["items"],
        "minItems": entries["minItems"],
        "maxItems": entries["maxItems"],
        "properties": {"recipients": entries},
        "required": ["recipients"],
        "additionalProperties": false,
    })
}

/// Returns the body of a list in all content types; `variables`: with an example of variables.
pub fn list_body(variables: bool) -> Takes {
    let examples = examples(variables);
    let text = |description: &str| json!({"type": "string", "description": description});
    let gzip = json!({
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/gzip",
        "description": "JSON, NDJSON or CSV, compressed with gzip.",
    });
    let media = |content_type, schema, examples| Media {
        content_type,
        schema,
        examples,
    };
    let mut all = vec![
        media(
            "application/json",
            list_schema(variables),
            vec![
                ("array", examples.array),
                ("object", json!({"recipients": ["+60123456784"]})),
            ],
        ),
        media(
            "application/x-ndjson",
            text("One entry per line, as in the array."),
            vec![("lines", json!(examples.lines))],
        ),
        media(
            "text/csv",
            text("One column, or a header with the column `phone` or the one that `column` names."),
            vec![("table", json!(examples.table))],
        ),
        media("application/gzip", gzip, Vec::new()),
        octets(
            "Each of the other formats. Text is in the encoding that `charset` names: for files that are not UTF-8.",
        ),
    ];
    all.extend(spreadsheet_media());
    Takes {
        required: true,
        media: all,
    }
}

/// Returns the schema of the name of a sheet.
pub fn sheet_schema() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": LONGEST_SHEET})
}

/// Returns the content type of bytes of any kind.
pub fn octets(description: &str) -> Media {
    Media {
        content_type: "application/octet-stream",
        schema: json!({"type": "string", "format": "binary", "contentMediaType": "application/octet-stream", "description": description}),
        examples: Vec::new(),
    }
}

/// Returns the content types of spreadsheets.
pub fn spreadsheet_media() -> Vec<Media> {
    let media = |content_type| Media {
        content_type,
        schema: json!({
            "type": "string",
            "format": "binary",
            "contentMediaType": content_type,
            "description": "The sheet that `sheet` names, or the first, with the columns of `text/csv`. Numbers, dates and the results of formulas are read as they would be written.",
        }),
        examples: Vec::new(),
    };
    vec![media(XLSX), media(ODS)]
}

/// The same list in each format.
struct Examples {
    array: Value,
    lines: &'static str,
    table: &'static str,
}

fn examples(variables: bool) -> Examples {
    if variables {
        Examples {
            array: json!(["+60123456789", {"phone": "+60123456780", "vars": {"name": "Ana"}, "reference": "4711", "group": "Penang"}]),
            lines: "\"+60123456781\"\n{\"phone\": \"+60123456782\", \"vars\": {\"name\": \"Ana\"}}\n",
            table: "phone,name,reference,group\n+60123456783,Ana,4711,Penang\n",
        }
    } else {
        Examples {
            array: json!(["+60123456789", {"phone": "+60123456780"}]),
            lines: "\"+60123456781\"\n{\"phone\": \"+60123456782\"}\n",
            table: "phone\n+60123456783\n",
        }
    }
}
