//! Lists in gzip.

use std::io::{BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use crate::{
    http::{
        body::{is_gzip, was_gzip},
        error::ApiError,
    },
    lists::{detect::detect, guard, options::Format},
};

/// Bytes of the text that are buffered at once, and so are available to detect the format.
pub const PEEK: usize = 16 * 1024;

/// Returns a reader of the text inside; concatenated gzip files count as one.
pub fn open(bytes: &[u8]) -> Result<impl Read + '_, ApiError> {
    if is_gzip(bytes) {
        Ok(MultiGzDecoder::new(bytes))
    } else if was_gzip(bytes) {
        Err(ApiError::Malformed(
            "expected gzip: it was converted as text on the way, which destroyed it".to_owned(),
        ))
    } else {
        Err(ApiError::Malformed(
            "expected gzip: its first two bytes, 1F 8B, are missing".to_owned(),
        ))
    }
}

/// Returns the format of the text inside, by its first bytes.
pub fn detect_inside(text: &mut impl BufRead) -> Result<Format, ApiError> {
    text.fill_buf()
        .map(detect)
        .map_err(|error| guard::explain(&error))
}
