//! Lists as spreadsheets, valid and invalid ones.
#![allow(clippy::format_collect, reason = "small texts of tests")]

use std::sync::Arc;

use shared::message::{phone::Region, template::Template};

use crate::{
    http::error::ApiError,
    lists::{
        AcceptedVariables, List, Options,
        entry::Entry,
        sheet::files::{Book, ods, ods_parts, packed, zip},
        tests::entries,
    },
};

/// A header, and rows as spreadsheets store them: a number, a text, dates, the result of a formula,
/// an error, and formatted cells without a value.
const GUESTS: &str = r#"<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>1</v></c><c r="C2" t="s"><v>2</v></c><c r="D2" t="s"><v>3</v></c><c r="E2" s="1"/></row>
<row r="3"><c r="A3" t="s"><v>4</v></c><c r="B3"><v>60123456789</v></c><c r="C3" s="1"><v>46335</v></c><c r="D3" s="3"><v>0.35416666666666669</v></c></row>
<row r="4"><c r="A4" t="inlineStr"><is><t>Jos</t></is></c><c r="B4"><v>6.0123456780000000E10</v></c><c r="C4" s="2"><v>46335.5</v></c><c r="D4" s="4"><v>1.5</v></c></row>
<row r="6"><c r="B6" t="str"><f>"x"&amp;"y"</f><v>xy</v></c></row>
<row r="7"><c r="A7" t="s"><v>4</v></c><c r="B7"><v>60123456781</v></c><c r="C7" t="e"><v>#N/A</v></c></row>
<row r="8"><c r="A8" t="e"><v>#REF!</v></c><c r="B8"><f>60123456700+82</f><v>60123456782</v></c><c r="C8"><v>0.30000000000000004</v></c><c r="D8" t="b"><v>1</v></c><c r="F8" t="e"><v>#N/A</v></c></row>
<row r="9"><c r="A9" s="1"/><c r="B9" s="1"/></row>
<row r="1048576"><c r="XFD1048576" s="1"/></row>"#;
const TEXTS: [&str; 5] = ["Note", "Mobile", "Day", "Time", "Ana &amp; Jo"];

const TABLE: &str = r#"<table:table table:name="Guests"><table:table-column table:number-columns-repeated="16384"/>
<table:table-row><table:table-cell table:number-columns-repeated="16384"/></table:table-row>
<table:table-row><table:table-cell office:value-type="string"><text:p>Note</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>Mobile</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>Day</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>Time</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell office:value-type="string"><office:annotation><text:p>not this</text:p></office:annotation><text:p>Ana<text:s text:c="2"/>&amp; Jo</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="60123456789"><text:p>6,01E+10</text:p></table:table-cell><table:table-cell office:value-type="date" office:date-value="2026-11-09"><text:p>9.11.26</text:p></table:table-cell><table:table-cell office:value-type="time" office:time-value="PT08H30M00S"><text:p>8:30</text:p></table:table-cell></table:table-row>
<table:table-row table:number-rows-repeated="2"><table:table-cell/><table:table-cell table:formula="of:=1" office:value-type="string" office:string-value="xy"><text:p>xy</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:number-columns-repeated="2" office:value-type="float" office:value="60123456781"/><table:table-cell calcext:value-type="error" office:value-type="string" office:string-value=""><text:p>#N/A</text:p></table:table-cell></table:table-row>
<table:table-row table:number-rows-repeated="1048570"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>
</table:table>"#;

fn template(text: &str) -> AcceptedVariables {
    AcceptedVariables::Of(Arc::new(Template::parse(text).unwrap().unwrap()))
}

fn list(bytes: Vec<u8>, sheet: Option<&str>) -> List {
    let options = Options {
        region: Region::parse("MY"),
        sheet: sheet.map(str::to_owned),
        is_binary: true,
        variables: template("At {{day|default('')}} {{time|default('')}}"),
        ..Options::default()
    };
    List {
        bytes: bytes.into(),
        format: None,
        gzip: false,
        options,
        entries: Arc::default(),
    }
}

/// Returns the error of a list.
pub async fn error(list: List) -> ApiError {
    let mut reading = list.read();
    while reading.chunks.recv().await.is_some() {}
    reading.end.await.unwrap().unwrap_err()
}

#[tokio::test]
async fn cells_are_read_as_a_person_would_write_them() {
    let book = Book {
        sheets: &[("hidden:Old", ""), ("Guests", GUESTS)],
        texts: &TEXTS,
    };
    let xlsx = entries(list(book.file(), None)).await;
    let expected = [
        r#"+60123456789 1 {"day":"2026-11-09","time":"08:30:00"}"#,
        r#"+60123456780 1 {"day":"2026-11-09T12:00:00","time":"36:00:00"}"#,
        "6 xy not-a-number",
        "7 #N/A formula-error",
        r#"+60123456782 1 {"day":"0.3","time":"TRUE"}"#,
    ];
    assert_eq!(xlsx, expected);
    let ods = entries(list(ods(TABLE), None)).await;
    let expected = [
        r#"+60123456789 1 {"day":"2026-11-09","time":"08:30:00"}"#,
        "4 xy not-a-number",
        "5 xy not-a-number",
        "6 #N/A formula-error",
    ];
    assert_eq!(ods, expected);
}

#[tokio::test]
async fn texts_of_ods_keep_their_spaces_and_lines() {
    let table = r#"<table:table table:name="A"><table:table-row><table:table-cell office:value-type="string"><text:p>phone</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>day</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell office:value-type="string"><text:p>+60123456789</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>a<text:s text:c="2"/>b<text:tab/>&lt;</text:p><text:p>c<text:line-break/>&#x64;</text:p></table:table-cell></table:table-row></table:table>"#;
    let found = entries(list(ods(table), None)).await;
    assert_eq!(found, [r#"+60123456789 1 {"day":"a  b\t<\nc\nd"}"#]);
}

#[tokio::test]
async fn the_request_selects_a_sheet() {
    let phone = |n: u8| format!(r#"<row><c t="str"><v>+6012345678{n}</v></c></row>"#);
    let (first, second) = (phone(1), phone(2));
    let book = Book {
        sheets: &[("One", &first), ("hidden:Two", &second)],
        texts: &[],
    };
    let table = |name: &str, n: u8| {
        format!(
            r#"<table:table table:name="{name}"><table:table-row><table:table-cell office:value-type="string"><text:p>+6012345678{n}</text:p></table:table-cell></table:table-row></table:table>"#
        )
    };
    let tables = table("One", 1) + &table("Two", 2);
    for bytes in [book.file(), ods(&tables)] {
        for (sheet, expected) in [
            (None, "+60123456781"),
            (Some("One"), "+60123456781"),
            (Some("Two"), "+60123456782"),
        ] {
            let found = entries(list(bytes.clone(), sheet)).await;
            assert_eq!(found[0].split(' ').next(), Some(expected));
        }
        let ApiError::Invalid(errors, ..) = error(list(bytes, Some("Three"))).await else {
            panic!("no such sheet")
        };
        assert_eq!(
            (&*errors[0].field, errors[0].code),
            ("sheet", "no-such-sheet")
        );
        assert!(
            errors[0].detail.contains("`One`, `Two`"),
            "{}",
            errors[0].detail
        );
    }
}

#[tokio::test]
async fn refused_entries_name_their_cells() {
    let book = Book {
        sheets: &[("My guests", GUESTS)],
        texts: &TEXTS,
    };
    let mut reading = list(book.file(), None).read();
    let chunk = reading.chunks.recv().await.unwrap();
    let cells: Vec<_> = chunk
        .entries
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Invalid(refused) => refused.cell,
            _ => None,
        })
        .collect();
    assert_eq!(cells, ["'My guests'!B6", "'My guests'!C7"]);
    let book = Book {
        sheets: &[(
            "Guests",
            r#"<row r="3"><c r="A3" t="str"><v>a</v></c><c r="B3" t="str"><v>b</v></c></row>"#,
        )],
        texts: &[],
    };
    let ApiError::Invalid(errors, ..) = error(list(book.file(), None)).await else {
        panic!("no column")
    };
    assert_eq!(errors[0].position, Some(3));
    assert!(
        errors[0].detail.ends_with("in the sheet `Guests`"),
        "{}",
        errors[0].detail
    );
}

/// Returns the file with a part replaced.
fn with(mut parts: Vec<(String, String)>, name: &str, content: String) -> Vec<u8> {
    let part = parts.iter_mut().find(|(known, _)| known == name).unwrap();
    part.1 = content;
    packed(&parts)
}

#[tokio::test]
async fn files_that_cannot_be_read_are_explained() {
    let parts = Book {
        sheets: &[("Guests", GUESTS)],
        texts: &TEXTS,
    }
    .parts();
    let compound = |rest: &str| {
        let mut bytes = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
        bytes.extend(rest.encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    };
    let encrypted = r"<manifest:manifest><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
    let strings = r#"<sst uniqueCount="99999999999999999"><si><t>a</t></si></sst>"#;
    let deep = "<a>".repeat(300) + &"</a>".repeat(300);
    let backwards = r#"<worksheet><sheetData><row r="2"><c r="A2"><v>1</v></c></row><row r="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet>"#;
    let truncated = ods_parts("")[1].1.replace("</office:body>", "");
    #[rustfmt::skip]
    let table: Vec<(Vec<u8>, &str)> = vec![
        (compound("EncryptedPackage"), "without a password"),
        (compound("Workbook"), "such as XLS"),
        (with(ods_parts(TABLE), "META-INF/manifest.xml", encrypted.to_owned()), "without a password"),
        (zip(&[("a.csv", b"phone")]), "ZIP file with something else"),
        (zip(&[("xl/workbook.bin", b"x")]), "XLSB"),
        (b"PK\x03\x04".to_vec(), "not damaged"),
        (with(parts.clone(), "xl/sharedStrings.xml", strings.to_owned()), "lacks texts"),
        (with(parts.clone(), "xl/styles.xml", deep), "nested too deeply"),
        (with(parts.clone(), "xl/worksheets/sheet0.xml", backwards.to_owned()), "not in their order"),
        (with(parts, "xl/worksheets/sheet0.xml", "<worksheet><sheetData>".to_owned()), "ends too early"),
        (with(ods_parts(TABLE), "content.xml", truncated), "not damaged"),
        (ods(""), "no sheet"),
        (Book { sheets: &[], texts: &[] }.file(), "no sheet"),
    ];
    for (bytes, expected) in table {
        let ApiError::Malformed(detail) = error(list(bytes, None)).await else {
            panic!("{expected}")
        };
        assert!(detail.contains(expected), "{detail} {expected}");
    }
}

#[tokio::test]
async fn small_files_that_contain_large_ones_are_refused() {
    let parts = Book {
        sheets: &[("Guests", GUESTS)],
        texts: &TEXTS,
    }
    .parts();
    let strings = format!("<sst>{}</sst>", "<si/>".repeat(2_000_001));
    let bytes = vec![b' '; 140 << 20];
    // A text that many cells share, and a row that is repeated.
    let text = "x".repeat(30_000);
    let sheet = |rows: &str| {
        let sheets = [("A", rows)];
        let texts = [&*text];
        let book = Book {
            sheets: &sheets,
            texts: &texts,
        };
        book.file()
    };
    let shared = sheet(&format!(
        "<row>{}</row>",
        r#"<c t="s"><v>0</v></c>"#.repeat(10)
    ));
    let many = sheet(&format!(
        r#"<row><c t="str"><v>phone</v></c></row>{}"#,
        r#"<row><c/><c t="s"><v>0</v></c></row>"#.repeat(5_000)
    ));
    let far = sheet(&format!(
        r#"<row r="1"><c r="A1" t="str"><v>phone</v></c></row>{}"#,
        (2..1_300)
            .map(|row| format!(r#"<row r="{row}"><c r="XFD{row}"><v>1</v></c></row>"#))
            .collect::<String>()
    ));
    let wide = format!(
        r#"<table:table table:name="A"><table:table-row table:number-rows-repeated="1000000"><table:table-cell table:number-columns-repeated="10000" office:value-type="string"><text:p>{text}</text:p></table:table-cell></table:table-row></table:table>"#
    );
    #[rustfmt::skip]
    let table: Vec<(Vec<u8>, &str)> = vec![
        (zip(&[("content.xml", b"<a/>"), ("mimetype", b"x"), ("Pictures/a.png", &bytes)]), "128 MB when it is unpacked"),
        (with(parts, "xl/sharedStrings.xml", strings), "1000000 distinct texts"),
        (shared, "256 KB in each row"),
        (many, "128 MB of text"),
        (far, "20000000 cells"),
        (ods(&wide), "256 KB in each row"),
    ];
    for (bytes, expected) in table {
        assert!(bytes.len() < 4_600_000, "{} {expected}", bytes.len());
        let ApiError::TooLarge(detail) = error(list(bytes, None)).await else {
            panic!("{expected}")
        };
        assert!(detail.contains(expected), "{detail} {expected}");
    }
}
