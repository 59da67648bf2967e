//! Extracts the two files of Swagger UI from the archive in its crate. The files of a zip archive are
//! deflated; gzip is the same data with other bytes at the beginning and the end, so the files are
//! not decompressed here.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::{env, fs, path::Path};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ZIP;

/// Returns the little-endian number of `width` bytes at an offset of the archive.
fn number(at: usize, width: usize) -> usize {
    ZIP[at..at + width]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Returns a file of the archive as gzip (RFC 1952); `name` is the end of its name. The offsets are
/// those of an entry of the central directory (APPNOTE 4.3.12).
fn gzip(name: &str) -> Vec<u8> {
    let end = ZIP
        .windows(4)
        .rposition(|four| four == b"PK\x05\x06")
        .expect("the end of a zip file");
    let mut at = number(end + 16, 4);
    while ZIP[at..].starts_with(b"PK\x01\x02") {
        let lengths = [number(at + 28, 2), number(at + 30, 2), number(at + 32, 2)];
        if ZIP[at + 46..at + 46 + lengths[0]].ends_with(name.as_bytes()) {
            assert_eq!(number(at + 10, 2), 8, "expected {name} to be deflated");
            let local = number(at + 42, 4);
            let begin = local + 30 + number(local + 26, 2) + number(local + 28, 2);
            let header = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
            return [
                &header,
                &ZIP[begin..begin + number(at + 20, 4)],
                &ZIP[at + 16..at + 20],
                &ZIP[at + 24..at + 28],
            ]
            .concat();
        }
        at += 46 + lengths.iter().sum::<usize>();
    }
    panic!("there is no {name} in the archive")
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").unwrap();
    for name in ["swagger-ui-bundle.js", "swagger-ui.css"] {
        fs::write(
            Path::new(&out).join(format!("{name}.gz")),
            gzip(&format!("/dist/{name}")),
        )
        .unwrap();
    }
}
