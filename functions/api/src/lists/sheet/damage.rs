//! Damaged spreadsheets: whatever is in a file, it is read or refused, and nothing panics.

use std::sync::Arc;

use proptest::prelude::*;

use crate::{
    http::error::ApiError,
    lists::{
        List, Options,
        sheet::files::{Book, ods_parts, packed},
    },
};

const ROWS: &str = r#"<row r="1" spans="1:2"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><r><t>day</t></r></is></c></row><row r="2"><c r="A2"><f t="shared" ref="A2:A3" si="0">B2+1</f><v>60123456789</v></c><c r="B2" s="2"><v>46335.25</v></c></row><row r="3"><c r="A3" t="e"><v>#N/A</v></c><c r="B3" t="d"><v>2026-11-09T08:30:00</v></c></row>"#;
const TABLE: &str = r#"<table:table table:name="A"><table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="3" office:value-type="float" office:value="60123456789"><text:p>1<text:s text:c="4"/>&amp;</text:p></table:table-cell></table:table-row></table:table>"#;

fn files() -> [Vec<(String, String)>; 2] {
    let book = Book {
        sheets: &[("A", ROWS)],
        texts: &["phone", "x"],
    };
    [book.parts(), ods_parts(TABLE)]
}

/// Reads a file to its end.
fn read(bytes: Vec<u8>) {
    let list = List {
        bytes: bytes.into(),
        format: Some(crate::lists::Format::Spreadsheet),
        gzip: false,
        options: Options {
            is_binary: true,
            ..Options::default()
        },
        entries: Arc::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut reading = list.read();
        while reading.chunks.recv().await.is_some() {}
        // A panic of the parser would be an error here.
        let end = reading.end.await.unwrap();
        assert!(!matches!(end, Err(ApiError::Internal(_))), "{end:?}");
    });
}

/// What a damage inserts: numbers at limits, references, elements without an end.
const PIECES: [&str; 14] = [
    "",
    "0",
    "-1",
    "18446744073709551615",
    "4294967295",
    "1e400",
    "ZZZZZZZZZ99999999999",
    "<v>",
    "</row>",
    "&x;",
    "\"",
    "]]>",
    "\u{FFFD}",
    "<![CDATA[",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_with_other_bytes_is_read_or_refused(
        kind in 0..2_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = packed(&files()[kind]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read(bytes);
    }

    #[test]
    fn a_file_with_other_parts_is_read_or_refused(
        kind in 0..2_usize,
        part in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(&PIECES[..])), 1..5),
        is_lost in prop::bool::weighted(0.1),
    ) {
        let mut parts = files()[kind].clone();
        let part = part.index(parts.len());
        if is_lost {
            parts.remove(part);
        } else {
            let content = &mut parts[part].1;
            for (at, length, piece) in changes {
                let begin = at.index(content.len() + 1);
                let end = (begin + length).min(content.len());
                if content.is_char_boundary(begin) && content.is_char_boundary(end) {
                    content.replace_range(begin..end, piece);
                }
            }
        }
        read(packed(&parts));
    }
}
