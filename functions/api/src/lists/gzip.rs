//! gzip around a list.

use std::io::{BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use crate::http::error::ApiError;
use crate::{
    http::body,
    lists::{Format, guard},
};

/// How much of the text is in the buffer at once, and so can be looked at beforehand.
pub const PEEK: usize = 16 * 1024;

/// The text inside; several gzip files behind each other count as one.
pub fn open(bytes: &[u8]) -> Result<impl Read + '_, ApiError> {
    if body::is_gzip(bytes) {
        Ok(MultiGzDecoder::new(bytes))
    } else if body::was_gzip(bytes) {
        Err(ApiError::Malformed(
            "expected gzip: something on the way took it for a text and destroyed it".to_owned(),
        ))
    } else {
        Err(ApiError::Malformed(
            "expected gzip: its first two bytes, 1F 8B, are missing".to_owned(),
        ))
    }
}

/// How the text inside is written, by its beginning.
pub fn sniff(text: &mut impl BufRead) -> Result<Format, ApiError> {
    text.fill_buf()
        .map(body::sniff)
        .map_err(|error| guard::explain(&error))
}
