//! Lists in gzip.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::http::{
    body::{is_gzip, was_gzip},
    error::ApiError,
};

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
