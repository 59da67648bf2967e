//! Large and hostile spreadsheets: what a file of at most 4.6 MB may unpack to.

use std::io::{Cursor, Write};

use serde_json::Value;
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::{ConnectOptions, MySqlPool};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{Lambda, base64, common::insert_key};

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const ODS: &str = "application/vnd.oasis.opendocument.spreadsheet";

/// What a call may carry.
const MOST_BYTES: usize = 4_600_000;
/// The distinct texts of a file are kept: 64 MB of XML at most, and what each of a million costs.
const MOST_MB: u64 = 200;

/// A ZIP file that is written piece by piece, since its parts are large.
struct Parts(ZipWriter<Cursor<Vec<u8>>>);

impl Parts {
    fn new() -> Self {
        Self(ZipWriter::new(Cursor::new(Vec::new())))
    }

    /// Adds a part: a beginning, a piece many times, an end.
    fn add(mut self, name: &str, begin: &str, piece: (&str, usize), end: &str) -> Self {
        let options = SimpleFileOptions::default().compression_level(Some(1));
        self.0.start_file(name, options).unwrap();
        self.0.write_all(begin.as_bytes()).unwrap();
        let (piece, times) = piece;
        let thousand = piece.repeat(1_000);
        for _ in 0..times / 1_000 {
            self.0.write_all(thousand.as_bytes()).unwrap();
        }
        let rest = piece.repeat(times % 1_000);
        self.0.write_all(rest.as_bytes()).unwrap();
        self.0.write_all(end.as_bytes()).unwrap();
        self
    }

    fn text(self, name: &str, content: &str) -> Self {
        self.add(name, content, ("", 0), "")
    }

    fn file(self) -> Vec<u8> {
        self.0.finish().unwrap().into_inner()
    }
}

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";

/// Returns an XLSX file with one sheet, without its texts and the sheet.
fn workbook() -> Parts {
    let relation = |kind: &str, target: &str| {
        format!(
            r#"<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Type="{OFFICE}/{kind}" Target="{target}"/></Relationships>"#
        )
    };
    let book = format!(
        r#"<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="A" sheetId="1" r:id="rId1"/></sheets></workbook>"#
    );
    Parts::new()
        .text("[Content_Types].xml", "<Types/>")
        .text(
            "_rels/.rels",
            &relation("officeDocument", "xl/workbook.xml"),
        )
        .text("xl/workbook.xml", &book)
        .text(
            "xl/_rels/workbook.xml.rels",
            &relation("worksheet", "worksheets/sheet1.xml"),
        )
}

/// Returns an XLSX file whose sheet has a piece of XML many times.
fn sheet(parts: Parts, piece: (&str, usize)) -> Vec<u8> {
    let begin = format!(r#"<worksheet xmlns="{MAIN}"><sheetData>"#);
    let end = "</sheetData></worksheet>";
    parts
        .add("xl/worksheets/sheet1.xml", &begin, piece, end)
        .file()
}

/// Adds the distinct texts of an XLSX file.
fn texts(parts: Parts, texts: impl Iterator<Item = String>) -> Parts {
    let texts = texts.fold(String::new(), |all, text| {
        all + "<si><t>" + &text + "</t></si>"
    });
    let begin = format!(r#"<sst xmlns="{MAIN}">"#);
    parts.add("xl/sharedStrings.xml", &begin, (&texts, 1), "</sst>")
}

/// Returns an ODS file whose content has a piece of XML many times between two others.
fn ods(begin: &str, piece: (&str, usize), end: &str) -> Vec<u8> {
    let names =
        [("office", "office"), ("table", "table"), ("text", "text")].map(|(prefix, name)| {
            format!(r#"xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0""#)
        });
    let begin = format!(
        "<office:document-content {}><office:body><office:spreadsheet>{begin}",
        names.join(" ")
    );
    let end = format!("{end}</office:spreadsheet></office:body></office:document-content>");
    Parts::new()
        .text("mimetype", ODS)
        .add("content.xml", &begin, piece, &end)
        .text("META-INF/manifest.xml", "<manifest/>")
        .file()
}

/// A file, and the status of the answer.
struct Case {
    what: &'static str,
    kind: &'static str,
    file: Vec<u8>,
    status: u64,
}

const fn case(what: &'static str, kind: &'static str, file: Vec<u8>, status: u64) -> Case {
    Case {
        what,
        kind,
        file,
        status,
    }
}

/// Rows of the long sheet. A million, which take minutes without optimization, with
/// `SPREADSHEET_ROWS=1000000`.
fn rows() -> usize {
    let given = std::env::var("SPREADSHEET_ROWS");
    given.map_or(100_000, |rows| rows.parse().unwrap())
}

/// Files that people have.
fn large() -> Vec<Case> {
    let number = "<row><c><v>60123456789</v></c></row>";
    let named = r#"<row><c><v>60123456789</v></c><c t="s"><v>1</v></c></row>"#;
    let wide = format!("<row>{}</row>", "<c><v>1</v></c>".repeat(16_384));
    let cell = r#"<table:table-cell office:value-type="float" office:value="60123456789"><text:p>60123456789</text:p></table:table-cell>"#;
    let row = format!("<table:table-row>{cell}</table:table-row>");
    let distinct = (0..100_000).map(|n| format!("Guest {n}"));
    let table = r#"<table:table table:name="A">"#;
    vec![
        case(
            "rows of one number",
            XLSX,
            sheet(workbook(), (number, rows())),
            200,
        ),
        case(
            "100,000 distinct texts",
            XLSX,
            sheet(texts(workbook(), distinct), (named, 100_000)),
            200,
        ),
        case(
            "50 rows of 16,384 cells",
            XLSX,
            sheet(workbook(), (&wide, 50)),
            200,
        ),
        case(
            "50,000 rows",
            ODS,
            ods(table, (&row, 50_000), "</table:table>"),
            200,
        ),
    ]
}

/// Files that only somebody makes who wants to do harm.
fn hostile() -> Vec<Case> {
    let bomb = workbook().add("xl/media/image1.png", "", (&"0".repeat(1_000), 300_000), "");
    let long = "x".repeat(100_000);
    let wide = format!("<row>{}</row>", "<c><v>1</v></c>".repeat(16_385));
    let many = (0..3_000).fold(workbook(), |parts, n| {
        (0..4).fold(parts, |parts, m| parts.text(&format!("{n}-{m}"), ""))
    });
    let table = r#"<table:table table:name="A"><table:table-row><table:table-cell>"#;
    let spaces = (r#"<text:p><text:s text:c="32767"/></text:p>"#, 1_000_000);
    let end = "</table:table-cell></table:table-row></table:table>";
    let repeated = r#"<table:table table:name="A"><table:table-row table:number-rows-repeated="4294967295"><table:table-cell><text:p>1</text:p>"#;
    let tables = (r#"<table:table table:name="A"></table:table>"#, 100_000);
    let one = || ("<row><c><v>1</v></c></row>", 1);
    vec![
        case("a part of 300 MB", XLSX, sheet(bomb, one()), 413),
        case(
            "a text of 100 MB",
            XLSX,
            sheet(workbook(), (&long, 1_000)),
            400,
        ),
        case(
            "texts of 300 MB",
            XLSX,
            sheet(
                workbook().add(
                    "xl/sharedStrings.xml",
                    "<sst>",
                    (&format!("<si><t>{long}</t></si>"), 3_000),
                    "</sst>",
                ),
                one(),
            ),
            413,
        ),
        case(
            "a row that is too wide",
            XLSX,
            sheet(workbook(), (&wide, 1)),
            400,
        ),
        case("12,000 parts", XLSX, sheet(many, one()), 400),
        case(
            "a cell of 33 GB of spaces",
            ODS,
            ods(table, spaces, end),
            413,
        ),
        case(
            "a row that is repeated 4,294,967,295 times",
            ODS,
            ods(repeated, ("", 0), end),
            400,
        ),
        case("100,000 sheets", ODS, ods("", tables, ""), 413),
    ]
}

/// Converts the files, one after the other, with one process.
async fn convert(pool: &MySqlPool, cases: Vec<Case>, most_mb: u64) {
    let url = pool.connect_options().to_url_lossy().to_string();
    let mut lambda = Lambda::start(&url).await;
    let token = &insert_key(pool, &Permission::GRANTABLE, None).await;
    for Case {
        what,
        kind,
        file,
        status,
    } in cases
    {
        assert!(file.len() <= MOST_BYTES, "{what}: {} bytes", file.len());
        let (begun, body) = (std::time::Instant::now(), base64(&file));
        let (found, answer) = lambda
            .call(token, "/v1/spreadsheets/convert", kind, Value::String(body))
            .await;
        let shown: String = answer.to_string().chars().take(200).collect();
        println!(
            "{what}: {found} after {:.1} s, peak {} MB {shown}",
            begun.elapsed().as_secs_f64(),
            lambda.peak()
        );
        assert_eq!(found, status, "{what}: {shown}");
        assert!(lambda.peak() < most_mb, "{what}: {} MB", lambda.peak());
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn large_spreadsheets_are_read_in_bounded_memory(pool: MySqlPool) {
    convert(&pool, large(), MOST_MB).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn hostile_spreadsheets_are_refused_in_bounded_memory(pool: MySqlPool) {
    convert(&pool, hostile(), MOST_MB).await;
}
