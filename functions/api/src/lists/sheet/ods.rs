//! A sheet of an ODS file (ODF 1.3, part 3, section 9), cell by cell.

use std::io::{BufReader, Cursor, Read};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
};
use zip::ZipArchive;

use crate::{
    http::error::ApiError,
    lists::sheet::{
        Rows, Sheets, check_names, damaged, no_such_sheet,
        rows::{MAX_ROW, row_too_long},
        text,
    },
};

/// Spaces that one element stands for, at most: more than the text of a cell.
const MAX_SPACES: usize = 32_767;

/// Reads the sheet that the request names, or else the first. Returns the names of all sheets.
pub fn read(bytes: &[u8], wanted: Option<&str>, rows: &mut Rows<'_>) -> Result<Sheets, ApiError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let content = archive.by_name("content.xml").map_err(damaged)?;
    let mut reader = Reader::from_reader(BufReader::new(content));
    reader.config_mut().expand_empty_elements = true;
    let mut content = Content { reader };
    let (mut buffer, mut all, mut found) = (Vec::new(), Vec::new(), None);
    loop {
        buffer.clear();
        let event = content.reader.read_event_into(&mut buffer);
        match event.map_err(damaged)? {
            Event::Start(element) if element.local_name().as_ref() == "table" => {
                let name = attribute(&element, "table:name")?.unwrap_or_default();
                all.push(name.clone());
                check_names(&all)?;
                if found.is_none() && wanted.is_none_or(|wanted| *wanted == name) {
                    rows.begin(&name);
                    content.table(rows)?;
                    found = Some(name);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match found {
        Some(sheet) => Ok(Sheets { sheet, all }),
        None if all.is_empty() => Err(damaged("it has no sheet")),
        None => Err(no_such_sheet(&all)),
    }
}

/// The rest of the content.
struct Content<R: Read> {
    reader: Reader<BufReader<R>>,
}

impl<R: Read> Content<R> {
    fn table(&mut self, rows: &mut Rows<'_>) -> Result<(), ApiError> {
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            match self.reader.read_event_into(&mut buffer).map_err(damaged)? {
                Event::Start(element) if element.local_name().as_ref() == "table-row" => {
                    let repeats = repeats(&element, "table:number-rows-repeated")?;
                    self.row(rows)?;
                    rows.finish(repeats)?;
                }
                Event::End(element) if element.local_name().as_ref() == "table" => return Ok(()),
                Event::Eof => return Err(damaged("a sheet has no end")),
                _ => {}
            }
        }
    }

    fn row(&mut self, rows: &mut Rows<'_>) -> Result<(), ApiError> {
        let (mut buffer, mut column) = (Vec::new(), 0_usize);
        loop {
            buffer.clear();
            match self.reader.read_event_into(&mut buffer).map_err(damaged)? {
                Event::Start(element)
                    if matches!(
                        element.local_name().as_ref(),
                        "table-cell" | "covered-table-cell"
                    ) =>
                {
                    let repeats = repeats(&element, "table:number-columns-repeated")? as usize;
                    let given = Value::read(&element)?;
                    let content = self.content(element.local_name().as_ref())?;
                    let value = given.or_content(content);
                    for column in column..column.saturating_add(repeats) {
                        match &value {
                            Value::Text(text) if text.is_empty() => break,
                            Value::Text(text) => rows.cell(column, text)?,
                            Value::Error(error) => rows.error(column, error.clone())?,
                            Value::Content => break,
                        }
                    }
                    column = column.saturating_add(repeats);
                }
                Event::End(element) if element.local_name().as_ref() == "table-row" => {
                    return Ok(());
                }
                Event::Eof => return Err(damaged("a row has no end")),
                _ => {}
            }
        }
    }

    /// Reads the paragraphs of a cell up to its end; comments in it are left out.
    fn content(&mut self, cell: &str) -> Result<String, ApiError> {
        let (mut buffer, mut text) = (Vec::new(), String::new());
        let (mut paragraphs, mut is_inside, mut comments) = (0, false, 0_u32);
        loop {
            buffer.clear();
            // Before the cell ends: an element of a few bytes may stand for many spaces.
            if text.len() > MAX_ROW {
                return Err(row_too_long());
            }
            match self.reader.read_event_into(&mut buffer).map_err(damaged)? {
                Event::Start(element) => match element.local_name().as_ref() {
                    "annotation" => comments += 1,
                    "p" if comments == 0 => {
                        if paragraphs > 0 {
                            text.push('\n');
                        }
                        (paragraphs, is_inside) = (paragraphs + 1, true);
                    }
                    "s" if is_inside => {
                        let count = repeats(&element, "text:c")? as usize;
                        text.extend(std::iter::repeat_n(' ', count.min(MAX_SPACES)));
                    }
                    "tab" if is_inside => text.push('\t'),
                    "line-break" if is_inside => text.push('\n'),
                    _ => {}
                },
                Event::End(element) => match element.local_name().as_ref() {
                    "annotation" => comments = comments.saturating_sub(1),
                    "p" if comments == 0 => is_inside = false,
                    name if name == cell => return Ok(text),
                    _ => {}
                },
                Event::Text(part) if is_inside => text.push_str(&part.xml10_content()),
                Event::CData(part) if is_inside => text.push_str(&part.xml10_content()),
                Event::GeneralRef(reference) if is_inside => text.push(resolve(&reference)?),
                Event::Eof => return Err(damaged("a cell has no end")),
                _ => {}
            }
        }
    }
}

/// The value of a cell.
enum Value {
    Text(String),
    /// The error of a formula.
    Error(String),
    /// That of its paragraphs.
    Content,
}

impl Value {
    fn read(cell: &BytesStart<'_>) -> Result<Self, ApiError> {
        if attribute(cell, "calcext:value-type")?.as_deref() == Some("error") {
            return Ok(Self::Error(String::new()));
        }
        let Some(kind) = attribute(cell, "office:value-type")? else {
            return Ok(Self::Content);
        };
        let name = match kind.as_str() {
            "float" | "percentage" | "currency" => "office:value",
            "date" => "office:date-value",
            "time" => "office:time-value",
            "boolean" => "office:boolean-value",
            _ => "office:string-value",
        };
        let Some(given) = attribute(cell, name)? else {
            return Ok(Self::Content);
        };
        Ok(Self::Text(match kind.as_str() {
            "float" | "percentage" | "currency" => {
                let number = given.trim().parse();
                text::number(number.map_err(|_| damaged("a number is none"))?)
            }
            "date" => text::iso_moment(&given).to_owned(),
            "time" => text::iso_duration(&given),
            "boolean" => given.to_ascii_uppercase(),
            _ => given,
        }))
    }

    fn or_content(self, content: String) -> Self {
        match self {
            Self::Text(text) => Self::Text(text),
            Self::Error(_) => Self::Error(content),
            Self::Content => Self::Text(content),
        }
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let Some(found) = element.try_get_attribute(name).map_err(damaged)? else {
        return Ok(None);
    };
    let value = found.normalized_value(XmlVersion::Implicit1_0);
    Ok(Some(value.map_err(damaged)?.into_owned()))
}

/// Returns how often something is repeated; 1 if the element does not say.
fn repeats(element: &BytesStart<'_>, name: &str) -> Result<u32, ApiError> {
    let Some(given) = attribute(element, name)? else {
        return Ok(1);
    };
    given.trim().parse().map_err(|_| damaged("a count is none"))
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, ApiError> {
    if let Some(character) = reference.resolve_char_ref().map_err(damaged)? {
        return Ok(character);
    }
    match reference.as_ref() {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(damaged("it has an unknown entity")),
    }
}
