//! `GET /docs`: a page that shows the document and can execute calls with a token. It is Swagger
//! UI, embedded in this binary: the page loads nothing from other origins, and its headers forbid
//! it.

use std::io::Read;

use axum::{
    Extension,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::{
    http::{error::ApiError, origin::PageFile, path::Path},
    openapi::Operation,
};

/// A file of the page.
#[derive(Clone, Copy)]
pub struct File {
    /// Its name below `/docs`.
    pub name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    gzip: bool,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// All files except the page itself.
pub const FILES: [File; 4] = [
    File {
        name: "page.css",
        kind: STYLE,
        bytes: include_bytes!("page/page.css"),
        gzip: false,
    },
    File {
        name: "page.js",
        kind: SCRIPT,
        bytes: include_bytes!("page/page.js"),
        gzip: false,
    },
    File {
        name: "swagger-ui.css",
        kind: STYLE,
        bytes: include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")),
        gzip: true,
    },
    File {
        name: "swagger-ui-bundle.js",
        kind: SCRIPT,
        bytes: include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")),
        gzip: true,
    },
];

/// Answers 200 with the page.
pub async fn page() -> Response {
    const PAGE: &str = include_str!("page/index.html");
    (
        Extension(PageFile::Revalidated),
        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
        PAGE,
    )
        .into_response()
}

/// Describes the operation `getPage`.
pub fn page_doc() -> Operation {
    Operation::new("getPage", "about", "Returns the documentation page")
        .text(
            "The page shows all calls and can execute them with a token. It loads nothing from other origins.",
        )
        .answers_as::<String>("text/html", 200, "The page.", Value::Null)
        .from_memory()
        .any_query()
}

/// Answers 200 with a file of the page, compressed if the client accepts gzip.
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let found = FILES.into_iter().find(|file| file.name == name);
    let file = found
        .ok_or_else(|| ApiError::NotFound("there is no such file; the page is /docs".to_owned()))?;
    let head: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, file.kind),
        (header::VARY, "accept-encoding"),
    ];
    let accepts_gzip = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .any(|value| value.as_bytes().windows(4).any(|name| name == b"gzip"));
    if file.gzip && accepts_gzip {
        return Ok((
            Extension(PageFile::Revalidated),
            head,
            [(header::CONTENT_ENCODING, "gzip")],
            file.bytes,
        )
            .into_response());
    }
    Ok((Extension(PageFile::Revalidated), head, file.plain()?).into_response())
}

impl File {
    fn plain(&self) -> Result<Vec<u8>, ApiError> {
        if !self.gzip {
            return Ok(self.bytes.to_vec());
        }
        let mut plain = Vec::new();
        GzDecoder::new(self.bytes)
            .read_to_end(&mut plain)
            .map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok(plain)
    }
}

/// Describes the operation `getPageFile`.
pub fn file_doc() -> Operation {
    Operation::new(
        "getPageFile",
        "about",
        "Returns a file of the documentation page",
    )
    .path(
        "file",
        json!({"type": "string", "enum": FILES.map(|file| file.name)}),
        "Its name.",
        json!("swagger-ui.css"),
    )
    .answers_as::<String>(
        "text/css",
        200,
        "A style sheet or a script of the page.",
        Value::Null,
    )
    .also_text("text/javascript", Value::Null)
    .problems(&["not-found"])
    .from_memory()
    .any_query()
}
