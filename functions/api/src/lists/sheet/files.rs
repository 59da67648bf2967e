//! Makes small spreadsheets for tests.
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "small texts of tests"
)]

use std::io::{Cursor, Write};

use zip::{ZipWriter, write::SimpleFileOptions};

/// Returns a ZIP file.
pub fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const TYPES: &str =
    r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#;
const PACKAGE: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
/// The styles: 0 general, 1 date, 2 date and time, 3 time, 4 duration.
const STYLES: &str = r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd\ hh:mm"/><numFmt numFmtId="165" formatCode="[h]:mm:ss"/></numFmts><cellXfs count="5"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="20"/><xf numFmtId="165"/></cellXfs></styleSheet>"#;

/// An XLSX file: the names of its sheets with the XML of their rows, and its texts.
pub struct Book<'a> {
    pub sheets: &'a [(&'a str, &'a str)],
    pub texts: &'a [&'a str],
}

impl Book<'_> {
    /// Returns the parts of the file.
    pub fn parts(&self) -> Vec<(String, String)> {
        let (mut names, mut targets) = (String::new(), String::new());
        let mut parts = Vec::new();
        for (at, (name, rows)) in self.sheets.iter().enumerate() {
            let (name, state) = name
                .strip_prefix("hidden:")
                .map_or((*name, "visible"), |name| (name, "hidden"));
            names +=
                &format!(r#"<sheet name="{name}" sheetId="{at}" state="{state}" r:id="rId{at}"/>"#);
            targets += &format!(
                r#"<Relationship Id="rId{at}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet{at}.xml"/>"#
            );
            let sheet = format!(
                r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>"#
            );
            parts.push((format!("xl/worksheets/sheet{at}.xml"), sheet));
        }
        let texts: String = self
            .texts
            .iter()
            .map(|text| format!("<si><t>{text}</t></si>"))
            .collect();
        let texts = format!(
            r#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" uniqueCount="{}">{texts}</sst>"#,
            self.texts.len()
        );
        let workbook = format!(
            r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>{names}</sheets></workbook>"#
        );
        let targets = format!(
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{targets}</Relationships>"#
        );
        parts.extend(
            [
                ("[Content_Types].xml", TYPES),
                ("_rels/.rels", PACKAGE),
                ("xl/workbook.xml", &workbook),
                ("xl/_rels/workbook.xml.rels", &targets),
                ("xl/sharedStrings.xml", &texts),
                ("xl/styles.xml", STYLES),
            ]
            .map(|(name, content)| (name.to_owned(), content.to_owned())),
        );
        parts
    }

    /// Returns the file.
    pub fn file(&self) -> Vec<u8> {
        packed(&self.parts())
    }
}

/// Returns the ZIP file of some texts.
pub fn packed(parts: &[(String, String)]) -> Vec<u8> {
    let parts: Vec<_> = parts
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_bytes()))
        .collect();
    zip(&parts)
}

/// Returns the parts of an ODS file with the XML of its tables.
pub fn ods_parts(tables: &str) -> Vec<(String, String)> {
    let content = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"><office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"#
    );
    let manifest = r#"<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry manifest:full-path="content.xml"/></manifest:manifest>"#;
    [
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", &content),
        ("META-INF/manifest.xml", manifest),
    ]
    .map(|(name, content)| (name.to_owned(), content.to_owned()))
    .into()
}

/// Returns an ODS file.
pub fn ods(tables: &str) -> Vec<u8> {
    packed(&ods_parts(tables))
}
