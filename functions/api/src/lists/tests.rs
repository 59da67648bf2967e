//! Lists in all formats, valid and invalid ones.

use std::io::Write;

use encoding_rs::Encoding;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use shared::message::{phone::Region, template::Template};

use crate::lists::{
    entry::{Entry, Personal},
    names::EntryNames,
    *,
};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Returns the entries of a list: phone numbers, and position, input and code of invalid entries.
pub(super) async fn entries(list: List) -> Vec<String> {
    let mut reading = list.read();
    let mut found = Vec::new();
    while let Some(chunk) = reading.chunks.recv().await {
        assert_eq!(chunk.errors, []);
        assert_eq!(chunk.positions.len(), chunk.entries.len());
        found.extend(chunk.entries.iter().map(|entry| match entry {
            Entry::Valid(phone) => phone.to_string(),
            Entry::Personal(personal) => {
                let Personal {
                    phone,
                    parts,
                    variables,
                    names: EntryNames { reference, group },
                    ..
                } = &**personal;
                let names = [("r", reference), ("g", group)].map(|(name, value)| {
                    let value = value.as_ref();
                    value.map_or_else(String::new, |value| format!(" {name}={value}"))
                });
                format!("{phone} {parts} {variables}{}", names.concat())
            }
            Entry::Invalid(refused) => {
                format!("{} {} {}", refused.position, refused.input, refused.code)
            }
        }));
    }
    reading.end.await.unwrap().unwrap();
    found
}

#[tokio::test]
async fn a_list_has_the_same_entries_in_each_format() {
    const A: &str = "+12012345678";
    const B: &str = "+60123456789";
    #[rustfmt::skip]
    let table: Vec<(Format, Vec<u8>, Vec<&str>)> = vec![
        (Format::Json, br#" ["+12012345678", {"phone": "+60 12-345 6789"}] "#.to_vec(), vec![A, B]),
        (Format::Json, br#"{"recipients": ["+12012345678", "x\u0041", 5]}"#.to_vec(), vec![A, "1 xA not-a-number", "2 5 wrong-type"]),
        (Format::Json, b"[]".to_vec(), vec![]),
        (Format::Ndjson, b"\xEF\xBB\xBF\"+12012345678\"\r\n\r\n{\"phone\":\"+60123456789\"}".to_vec(), vec![A, B]),
        (Format::Ndjson, b"{\"phone\":\"+12012345678\"}\nnull\n\"+60123456789\"\n".to_vec(), vec![A, "2 null wrong-type", B]),
        (Format::Csv, b"+12012345678\r\n+60123456789\r\nx\r\n\r\ny".to_vec(), vec![A, B, "3 x not-a-number", "5 y not-a-number"]),
        (Format::Csv, b"+12012345678\rx\r".to_vec(), vec![A, "2 x not-a-number"]),
        (Format::Csv, b"+12012345678\n\n \n+60123456789".to_vec(), vec![A, B]),
        (Format::Csv, b"\xEF\xBB\xBFPhone\r\n+12012345678\r\n".to_vec(), vec![A]),
        (Format::Csv, b"name, phone ,note\n\"Doe, \"\"J\"\"\",+12012345678,\"two\nlines\"\nRoe,x\nPoe\n".to_vec(),
            vec![A, "4 x not-a-number", "5  missing"]),
        (Format::Csv, b"\"phone\"\n\"+12012345678\"\n".to_vec(), vec![A]),
        (Format::Csv, b"phone\n\xFF\n".to_vec(), vec!["2  not-utf-8"]),
        (Format::Csv, b"\xEF\xBB\xBFname;phone\r\n\"Doe; J, Jr\";+12012345678\r\nRoe, R;x\r\n".to_vec(), vec![A, "3 x not-a-number"]),
        (Format::Csv, b"\"a;b;c\",phone\n;,+12012345678\n".to_vec(), vec![A]),
        (Format::Csv, b"phone\tnote\n+12012345678\ta,b;c\n+60123456789".to_vec(), vec![A, B]),
        (Format::Csv, b"number\n+12012345678".to_vec(), vec![A]),
        (Format::Csv, b"kontakte\n+12012345678".to_vec(), vec!["1 kontakte not-a-number", A]),
    ];
    for (format, text, expected) in table {
        let (what, zipped) = (String::from_utf8_lossy(&text).into_owned(), gzip(&text));
        let list = List {
            bytes: text.into(),
            format: Some(format),
            gzip: false,
            options: Options::default(),
            entries: Arc::default(),
        };
        assert_eq!(entries(list).await, expected, "{what}");
        for format in [Some(format), None] {
            let list = List {
                bytes: zipped.clone().into(),
                format,
                gzip: true,
                options: Options::default(),
                entries: Arc::default(),
            };
            assert_eq!(entries(list).await, expected, "gzip {format:?} {what}");
        }
    }
}

#[tokio::test]
async fn a_list_in_another_encoding_has_the_same_entries() {
    let text = "phone;name\r\n+12012345678;José\r\n+60123456789;Zoë\r\n";
    let windows = b"phone;name\r\n+12012345678;Jos\xE9\r\n+60123456789;Zo\xEB\r\n".to_vec();
    let mut utf16: Vec<u8> = vec![0xFF, 0xFE];
    utf16.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    let template = Arc::new(Template::parse("Hi {{name}}").unwrap().unwrap());
    let options = |charset: Option<&str>| Options {
        is_binary: true,
        charset: charset.map(|name| Encoding::for_label(name.as_bytes()).unwrap()),
        variables: AcceptedVariables::Of(Arc::clone(&template)),
        ..Options::default()
    };
    for (bytes, charset) in [
        (windows, Some("windows-1252")),
        (utf16, None),
        (text.as_bytes().to_vec(), None),
    ] {
        for (bytes, is_gzip) in [(gzip(&bytes), true), (bytes, false)] {
            let list = List {
                bytes: bytes.into(),
                format: None,
                gzip: is_gzip,
                options: options(charset),
                entries: Arc::default(),
            };
            let expected = [
                r#"+12012345678 1 {"name":"José"}"#,
                r#"+60123456789 1 {"name":"Zoë"}"#,
            ];
            assert_eq!(entries(list).await, expected, "{charset:?} gzip {is_gzip}");
        }
    }
}

#[tokio::test]
async fn a_column_is_selected_and_national_numbers_are_read() {
    const A: &str = "+60123456789";
    let table: Vec<(Option<&str>, &str, Vec<&str>)> = vec![
        (
            Some("mobile"),
            "name;phone,Mobile\nx,012-345 6789\n",
            vec![A],
        ),
        (
            Some("2"),
            "name,mobile\nx,012-345 6789\ny,abc\n",
            vec![A, "3 abc not-a-number"],
        ),
        (Some("2"), "x,0123456789\n", vec![A]),
        (Some("1"), "0123456789,x\n\n0060123456789,y", vec![A, A]),
        (Some("3"), "a,b\nc,d\n", vec!["1  missing", "2  missing"]),
        (None, "phone\n0123456789", vec![A]),
        (None, "0123456789", vec![A]),
    ];
    for (column, text, expected) in table {
        let options = Options {
            region: Region::parse("MY"),
            column: column.map(str::to_owned),
            ..Options::default()
        };
        let list = List {
            bytes: text.into(),
            format: Some(Format::Csv),
            gzip: false,
            options,
            entries: Arc::default(),
        };
        assert_eq!(entries(list).await, expected, "{column:?} {text}");
    }
    let options = Options {
        column: Some("mobile".to_owned()),
        ..Options::default()
    };
    let list = List {
        bytes: "name,phone\n".into(),
        format: Some(Format::Csv),
        gzip: false,
        options,
        entries: Arc::default(),
    };
    let error = list.read().end.await.unwrap().unwrap_err();
    assert!(
        format!("{error:?}").contains("found: name, phone"),
        "{error:?}"
    );
}

#[tokio::test]
async fn entries_have_variables_in_each_format() {
    let template = |message: &str| AcceptedVariables::of(message).unwrap();
    let greeting = "Hi {{name}}: {{amount|default('-')}}";
    #[rustfmt::skip]
    let table: Vec<(Format, AcceptedVariables, &str, Vec<&str>)> = vec![
        (Format::Json, template(greeting),
            r#"[{"vars": {"Name": "A\u0041", "amount": 1.10, "other": null}, "phone": "+12012345678"}, "+12012345679"]"#,
            vec![r#"+12012345678 1 {"amount":"1.10","name":"AA"}"#, "1 +12012345679 missing-variable"]),
        (Format::Ndjson, template(greeting), "{\"phone\":\"+12012345678\",\"vars\":{\"name\":[]}}\n{\"phone\":\"+12012345678\",\"vars\":5}",
            vec!["1 +12012345678 wrong-variables", "2 +12012345678 wrong-variables"]),
        (Format::Json, template("{{name|default('you')}}"), r#"["+12012345678", {"phone": "+12012345679", "vars": null}]"#,
            vec!["+12012345678 1 ", "+12012345679 1 "]),
        (Format::Json, AcceptedVariables::Any, r#"["+12012345678", {"phone": "+12012345679", "vars": {"a": "b"}}]"#,
            vec!["+12012345678", r#"+12012345679 0 {"a":"b"}"#]),
        (Format::Csv, template("{{first_name}} {{amount|default('0')}}"),
            "First Name,mobile,phone,Amount\nAna,x,+12012345678, 5 \n,x,+12012345679,6\nBo,x,+12012345670,\n",
            vec![r#"+12012345678 1 {"amount":"5","first_name":"Ana"}"#, "3 +12012345679 missing-variable",
                r#"+12012345670 1 {"first_name":"Bo"}"#]),
        (Format::Csv, AcceptedVariables::Any, "name,phone\nAna,+12012345678", vec!["+12012345678"]),
    ];
    for (format, variables, text, expected) in table {
        let list = |bytes: Vec<u8>, gzip| List {
            bytes: bytes.into(),
            format: Some(format),
            gzip,
            options: Options {
                variables: variables.clone(),
                ..Options::default()
            },
            entries: Arc::default(),
        };
        let plain = list(text.as_bytes().to_vec(), false);
        assert_eq!(entries(plain).await, expected, "{text}");
        let zipped = list(gzip(text.as_bytes()), true);
        assert_eq!(entries(zipped).await, expected, "gzip {text}");
    }
}

#[tokio::test]
async fn entries_have_references_and_groups_in_each_format() {
    let long = "x".repeat(65);
    #[rustfmt::skip]
    let table: Vec<(Format, AcceptedVariables, String, Vec<&str>)> = vec![
        (Format::Json, AcceptedVariables::Any,
            r#"[{"reference": "A 1", "phone": "+12012345678", "group": "KL"}, {"phone": "+12012345679", "reference": null}, {"phone": "+12012345670", "group": " \u00fc "}]"#.into(),
            vec!["+12012345678 0  r=A 1 g=KL", "+12012345679", "+12012345670 0  g=ü"]),
        (Format::Ndjson, AcceptedVariables::Any,
            format!("{{\"phone\":\"+12012345678\",\"reference\":5}}\n{{\"phone\":\"+12012345678\",\"group\":\"{long}\"}}\n{{\"phone\":\"x\",\"group\":\"a\"}}"),
            vec!["1 +12012345678 wrong-reference", "2 +12012345678 wrong-group", "3 x not-a-number"]),
        (Format::Csv, AcceptedVariables::Any,
            format!(" REFERENCE ,phone,Group\nR1,+12012345678, KL \n,+12012345679,\nR3,+12012345670\n{long},+12012345671,\n\"a\nb\",+12012345672,"),
            vec!["+12012345678 0  r=R1 g=KL", "+12012345679", "+12012345670 0  r=R3", "5 +12012345671 wrong-reference", "6 +12012345672 wrong-reference"]),
        // A column can be both a variable and a name.
        (Format::Csv, AcceptedVariables::of("Order {{reference}}").unwrap(), "phone;reference\n+12012345678;R1\n".into(),
            vec![r#"+12012345678 1 {"reference":"R1"} r=R1"#]),
        // A list without a header has no other columns; one of suppressions has no names.
        (Format::Csv, AcceptedVariables::Any, "+12012345678\n".into(), vec!["+12012345678"]),
        (Format::Csv, AcceptedVariables::None, format!("phone,reference\n+12012345678,{long}\n"), vec!["+12012345678"]),
    ];
    for (format, variables, text, expected) in table {
        let list = List {
            bytes: text.clone().into(),
            format: Some(format),
            gzip: false,
            options: Options {
                variables,
                ..Options::default()
            },
            entries: Arc::default(),
        };
        assert_eq!(entries(list).await, expected, "{text}");
    }
}

#[tokio::test]
async fn too_many_bytes_of_variables_are_refused() {
    let value = "x".repeat(4_096);
    let list = List {
        bytes: format!(r#"[{{"phone": "+12012345678", "vars": {{"a": "{value}"}}}}]"#).into(),
        format: Some(Format::Json),
        gzip: false,
        options: Options {
            variables: AcceptedVariables::Any,
            ..Options::default()
        },
        entries: Arc::default(),
    };
    assert_eq!(entries(list).await, ["0 +12012345678 variables-too-long"]);
}

#[tokio::test]
async fn a_long_list_is_read_in_chunks_and_in_order() {
    let numbers: Vec<_> = (0..20_001)
        .map(|n| format!("+1201{}", 2_000_000 + n))
        .collect();
    let zipped = [
        gzip(numbers[..9_000].join("\n").as_bytes()),
        gzip(b"\n"),
        gzip(numbers[9_000..].join("\n").as_bytes()),
    ];
    let list = List {
        bytes: zipped.concat().into(),
        format: None,
        gzip: true,
        options: Options::default(),
        entries: Arc::default(),
    };
    assert!(entries(list).await == numbers);
}

#[tokio::test]
async fn parsing_ends_when_the_receiver_is_dropped() {
    let bytes = "+12012345678\n".repeat(100_000).into();
    let mut reading = List {
        bytes,
        format: Some(Format::Csv),
        gzip: false,
        options: Options::default(),
        entries: Arc::default(),
    }
    .read();
    reading.chunks.recv().await.unwrap();
    drop(reading.chunks);
    assert!(reading.end.await.unwrap().is_err());
}

/// Reads a list; `None` if it was rejected.
fn read_all(
    bytes: Vec<u8>,
    format: Option<Format>,
    gzip: bool,
    variables: AcceptedVariables,
) -> Option<Vec<Entry>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let list = List {
        bytes: bytes.into(),
        format,
        gzip,
        options: Options {
            variables,
            ..Options::default()
        },
        entries: Arc::default(),
    };
    runtime.block_on(async {
        let mut reading = list.read();
        let mut found = Vec::new();
        while let Some(chunk) = reading.chunks.recv().await {
            found.extend(chunk.entries);
        }
        // A panic of the parser thread fails the test here.
        reading.end.await.unwrap().ok().map(|()| found)
    })
}

/// Strings that are rare in random text and have a meaning in one of the formats.
const PIECES: &str = "([\"\\\\,;:{}\\[\\]\r\n\t ]|phone|vars|recipients|null|\\+12012345678|\\\\u0041|[a-z0-9.eé\u{feff}-]|\\PC){0,60}";

proptest! {
    #[test]
    fn parsing_any_bytes_ends_without_a_panic(text in PIECES, noise in proptest::collection::vec(any::<u8>(), 0..40), at: proptest::sample::Index) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len() + 1);
        for bytes in [bytes.clone(), { bytes.splice(at..at, noise); bytes }] {
            for format in [None, Some(Format::Json), Some(Format::Ndjson), Some(Format::Csv)] {
                read_all(bytes.clone(), format, false, AcceptedVariables::of("{{a}}").unwrap());
                read_all(gzip(&bytes), format, true, AcceptedVariables::Any);
                // Arbitrary bytes as gzip.
                read_all(bytes.clone(), format, true, AcceptedVariables::None);
            }
        }
    }

    /// The entries and their variables do not depend on the format.
    #[test]
    fn a_list_is_read_as_it_was_written(names in proptest::collection::vec("[^\u{0}\r\u{fffd}]{0,20}[!-~]", 1..20)) {
        let phone = |at: usize| format!("+1201{}", 2_000_000 + at);
        let message = "{{name}}";
        let rows: Vec<_> =
            names.iter().enumerate().map(|(at, name)| serde_json::json!({"phone": phone(at), "vars": {"Name": name.trim()}})).collect();
        let ndjson = rows.iter().map(serde_json::Value::to_string).collect::<Vec<_>>().join("\n");
        let mut csv = ::csv::Writer::from_writer(Vec::new());
        csv.write_record(["NAME", "phone"]).unwrap();
        for (at, name) in names.iter().enumerate() {
            csv.write_record([name.trim(), &phone(at)]).unwrap();
        }
        let expected: Vec<_> = names.iter().enumerate().map(|(at, name)| (phone(at), serde_json::json!({"name": name.trim()}).to_string())).collect();
        let lists = [(Format::Json, serde_json::json!(rows).to_string().into_bytes()), (Format::Ndjson, ndjson.into_bytes()),
            (Format::Csv, csv.into_inner().unwrap())];
        for (format, bytes) in lists {
            let entries = read_all(bytes, Some(format), false, AcceptedVariables::of(message).unwrap()).unwrap();
            let found: Vec<_> = entries.into_iter().map(|entry| match entry {
                Entry::Personal(personal) => (personal.phone.to_string(), personal.variables),
                other => (format!("{other:?}"), String::new()),
            }).collect();
            prop_assert_eq!(&found, &expected, "{:?}", format);
        }
    }
}
