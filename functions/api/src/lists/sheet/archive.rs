//! The file around a spreadsheet: a ZIP file of XML. It is read once as a whole, because its readers
//! trust it: a truncated part, an announced number of strings, or a part that unpacks to gigabytes
//! would keep them busy, or take all memory.

use std::{
    cell::Cell,
    io::{self, BufReader, Cursor, Read},
};

use memchr::memmem;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use zip::ZipArchive;

use crate::{
    http::error::ApiError,
    lists::{guard::MAX_LIST, sheet::damaged},
};

/// Bytes of one element or text, at most; a cell has at most 32,767 characters.
const MAX_TEXT: u64 = 256 * 1024;
/// Elements of a part that is kept in memory, at most: two for each distinct text.
const MAX_KEPT: u64 = 2_000_000;
/// Elements in each other, at most.
const MAX_DEPTH: u32 = 256;

/// The beginning of a ZIP file.
const ZIP: &[u8] = b"PK\x03\x04";
/// The beginning of a compound file: XLS, or an encrypted spreadsheet.
const COMPOUND: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
const ENCRYPTED: &str = "EncryptedPackage";

const PASSWORD: &str = "expected a spreadsheet without a password: save it without one";
const OLD: &str =
    "expected XLSX or ODS, found a file of an older program, such as XLS: save it as XLSX";
const BINARY: &str = "expected XLSX or ODS, found XLSB: save it as XLSX";
const OTHER: &str = "expected XLSX or ODS, found a ZIP file with something else";
const NO_ZIP: &str = "expected XLSX or ODS: the file does not begin as one";

/// The format of a spreadsheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Office Open XML.
    Xlsx,
    /// `OpenDocument`.
    Ods,
}

/// Returns whether a file begins as a ZIP file.
pub fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP)
}

/// Returns whether a file begins as a compound file.
pub fn is_compound(bytes: &[u8]) -> bool {
    bytes.starts_with(COMPOUND)
}

/// Returns the format of a file whose parts are complete and not too large.
pub fn inspect(bytes: &[u8]) -> Result<Kind, ApiError> {
    if is_compound(bytes) {
        let name: Vec<u8> = ENCRYPTED
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let is_encrypted = memmem::find(bytes, &name).is_some();
        let reason = if is_encrypted { PASSWORD } else { OLD };
        return Err(ApiError::Malformed(reason.to_owned()));
    }
    if !is_zip(bytes) {
        return Err(ApiError::Malformed(NO_ZIP.to_owned()));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let has = |name: &str| archive.index_for_name(name).is_some();
    let kind = if has("content.xml") && has("mimetype") {
        Kind::Ods
    } else if has("xl/workbook.bin") {
        return Err(ApiError::Malformed(BINARY.to_owned()));
    } else if has("[Content_Types].xml") {
        Kind::Xlsx
    } else {
        return Err(ApiError::Malformed(OTHER.to_owned()));
    };
    let limits = Limits::default();
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(damaged)?;
        let name = part.name().map_err(damaged)?.to_ascii_lowercase();
        if [".xml", ".rels"].iter().any(|end| name.ends_with(end)) {
            Part::new(&name, &limits).check(part)?;
        } else {
            let mut part = limits.watch(part);
            io::copy(&mut part, &mut io::sink()).map_err(|error| limits.explain(&error))?;
        }
    }
    Ok(kind)
}

/// How many bytes were read of all parts.
#[derive(Default)]
struct Limits {
    total: Cell<u64>,
}

impl Limits {
    const fn watch<R>(&self, inner: R) -> Watched<'_, R> {
        Watched {
            inner,
            limits: self,
        }
    }

    /// Converts the error of a read.
    fn explain(&self, error: impl std::fmt::Display) -> ApiError {
        if self.total.get() > MAX_LIST {
            let limit = MAX_LIST / 1024 / 1024;
            return ApiError::TooLarge(format!(
                "expected a spreadsheet of at most {limit} MB when it is unpacked; save the sheet as CSV, and append it in several calls"
            ));
        }
        damaged(error)
    }
}

/// A reader that counts what it reads, and fails above the limit.
struct Watched<'a, R> {
    inner: R,
    limits: &'a Limits,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let total = &self.limits.total;
        if total.get() > MAX_LIST {
            return Err(io::Error::other("too large"));
        }
        let count = self.inner.read(buffer)?;
        total.set(total.get() + count as u64);
        Ok(count)
    }
}

/// One part of XML.
struct Part<'a> {
    limits: &'a Limits,
    /// Whether its reader keeps all of it: sheets and the content of ODS are read piece by piece.
    is_kept: bool,
    is_manifest: bool,
    depth: u32,
    elements: u64,
    /// The number of texts that the part announces, and for which its reader reserves memory.
    announced: u64,
}

impl<'a> Part<'a> {
    fn new(name: &str, limits: &'a Limits) -> Self {
        Self {
            limits,
            is_kept: !name.contains("worksheets/") && name != "content.xml",
            is_manifest: name == "meta-inf/manifest.xml",
            depth: 0,
            elements: 0,
            announced: 0,
        }
    }

    /// Checks that the part is well-formed to its end.
    fn check(mut self, part: impl Read) -> Result<(), ApiError> {
        let limits = self.limits;
        let mut reader = Reader::from_reader(BufReader::new(limits.watch(part)));
        let (mut buffer, mut end) = (Vec::new(), 0);
        loop {
            buffer.clear();
            match reader.read_event_into(&mut buffer) {
                Ok(Event::Start(element)) => {
                    self.depth += 1;
                    self.element(&element)?;
                }
                Ok(Event::Empty(element)) => self.element(&element)?,
                Ok(Event::End(_)) => self.depth = self.depth.saturating_sub(1),
                Ok(Event::Eof) => break,
                Ok(_) => {}
                Err(error) => return Err(limits.explain(error)),
            }
            let position = reader.buffer_position();
            if position - end > MAX_TEXT {
                return Err(damaged("an element or a text is too long"));
            }
            end = position;
        }
        if self.depth > 0 {
            return Err(damaged("a part of it ends too early"));
        }
        if self.announced > self.elements {
            return Err(damaged("it lacks texts that it announces"));
        }
        Ok(())
    }

    fn element(&mut self, element: &BytesStart<'_>) -> Result<(), ApiError> {
        self.elements += 1;
        if self.depth > MAX_DEPTH {
            return Err(damaged("its elements are nested too deeply"));
        }
        if self.is_kept && self.elements > MAX_KEPT {
            let detail = format!(
                "expected a spreadsheet with at most {} distinct texts; save the sheet as CSV, and append it in several calls",
                MAX_KEPT / 2
            );
            return Err(ApiError::TooLarge(detail));
        }
        let name = element.local_name();
        if self.is_manifest && name.as_ref() == "encryption-data" {
            return Err(ApiError::Malformed(PASSWORD.to_owned()));
        }
        if name.as_ref() == "sst"
            && let Some(count) = element.try_get_attribute("uniqueCount").map_err(damaged)?
        {
            let count = count.value.trim().parse();
            self.announced = count.map_err(|_| damaged("it announces a wrong number of texts"))?;
        }
        Ok(())
    }
}
