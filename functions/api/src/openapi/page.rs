//! `GET /docs`: a page that shows the document, and lets one try the calls with a token. It is Swagger UI, which is in this binary: nothing
//! comes from elsewhere, and the page's headers say so to the browser.

use std::io::Read;

use axum::{
    Extension,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::http::{error::ApiError, origin::OwnPage, path::Path};
use crate::openapi::Operation;

/// A file of the page.
#[derive(Clone, Copy)]
pub struct File {
    /// Below `/docs`.
    pub name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    gzip: bool,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Every file but the page itself.
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

/// 200 with the page.
pub async fn page() -> Response {
    const PAGE: &str = include_str!("page/index.html");
    (
        Extension(OwnPage),
        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
        PAGE,
    )
        .into_response()
}

/// For the document.
pub fn page_doc() -> Operation {
    Operation::new("getPage", "about", "The document as a page")
        .text(
            "Shows every call, and lets one try it with a token. It takes nothing from elsewhere.",
        )
        .answers_as::<String>("text/html", 200, "The page.", Value::Null)
        .from_memory()
        .any_query()
}

/// 200 with a file of it, as it lies here where the client takes gzip.
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let found = FILES.into_iter().find(|file| file.name == name);
    let file = found
        .ok_or_else(|| ApiError::NotFound("there is no such file; /docs is the page".to_owned()))?;
    let head: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, file.kind),
        (header::VARY, "accept-encoding"),
    ];
    let takes = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .any(|value| value.as_bytes().windows(4).any(|word| word == b"gzip"));
    if file.gzip && takes {
        return Ok((
            Extension(OwnPage),
            head,
            [(header::CONTENT_ENCODING, "gzip")],
            file.bytes,
        )
            .into_response());
    }
    Ok((Extension(OwnPage), head, file.plain()?).into_response())
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

/// For the document.
pub fn file_doc() -> Operation {
    Operation::new("getPageFile", "about", "A file of the page")
        .answers_as::<String>(
            "text/css",
            200,
            "A file of the page, a style sheet or a script.",
            Value::Null,
        )
        .also_as("text/javascript")
        .problems(&["not-found"])
        .from_memory()
        .any_query()
}
