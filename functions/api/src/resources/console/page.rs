//! `GET /console`: the page, and the files that it loads.
//!
//! The page is revalidated at each load and names the version of its files, which is a hash of them.
//! So browsers store the files for ever, and load them anew after a deployment that changed them.

use std::sync::LazyLock;

use axum::{
    Extension,
    http::header,
    response::{IntoResponse, Response},
};
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use crate::{
    http::{error::ApiError, origin::PageFile, path::Path},
    openapi::Operation,
    resources::console::files::FILES,
};

/// The page; `{version}` stands for the version of its files.
const PAGE: &str = include_str!("page/index.html");

/// Returns the version of the files: 16 hexadecimal digits of a hash of their names and contents.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hash = Context::new(&SHA256);
        for file in &FILES {
            for part in [file.name, file.text] {
                hash.update(&part.len().to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        let hash = hash.finish();
        let first = &hash.as_ref()[..8];
        let number = first
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{number:016x}")
    });
    &VERSION
}

/// Answers 200 with the page.
pub async fn page() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| PAGE.replace("{version}", version()));
    (
        Extension(PageFile::Revalidated),
        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
        TEXT.as_str(),
    )
        .into_response()
}

/// Describes the operation `getConsole`.
pub fn page_doc() -> Operation {
    Operation::new("getConsole", "about", "Returns the console")
        .text(
            "A page for people: it sends lists, shows schedules and what needs an operator. It uses this API only, and loads nothing from other origins.",
        )
        .answers_as::<String>("text/html", 200, "The page.", Value::Null)
        .from_memory()
        .any_query()
}

/// Answers 200 with a file of the page.
///
/// While a deployment shifts its traffic, the page of one version may ask the function of another
/// one for its files. It gets those that exist, and the browser does not store them under the
/// version that they do not have.
pub async fn file(Path((asked, name)): Path<(String, String)>) -> Result<Response, ApiError> {
    let found = FILES.iter().find(|file| file.name == name);
    let file = found.ok_or_else(|| {
        ApiError::NotFound("there is no such file; the page is /console".to_owned())
    })?;
    let cache = if asked == version() {
        PageFile::Immutable
    } else {
        PageFile::Revalidated
    };
    let head = [(header::CONTENT_TYPE, file.kind)];
    Ok((Extension(cache), head, file.text).into_response())
}

/// Describes the operation `getConsoleFile`.
pub fn file_doc() -> Operation {
    Operation::new(
        "getConsoleFile",
        "about",
        "Returns a file of the console",
    )
    .path(
        "version",
        json!({"type": "string", "minLength": 1}),
        "The version of the files, which the page names. If the server has another version, the answer is the current file, and is not stored.",
        json!("0123456789abcdef"),
    )
    .path(
        "file",
        json!({"type": "string", "minLength": 1}),
        "Its name.",
        json!("console.css"),
    )
    .answers_as::<String>(
        "text/css",
        200,
        "A style sheet, a script or a licence of the page.",
        Value::Null,
    )
    .also_text("text/javascript", Value::Null)
    .also_text("text/plain", Value::Null)
    .problems(&["not-found"])
    .from_memory()
    .any_query()
}
