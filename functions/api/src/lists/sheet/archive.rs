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
/// What a reader buffers ahead of an element.
const READ_AHEAD: u64 = 64 * 1024;
/// Elements of a part that is kept in memory, at most: two for each distinct text.
const MAX_KEPT: u64 = 2_000_000;
/// Bytes of the parts that are kept in memory, at most.
const MAX_KEPT_BYTES: u64 = 64 * 1024 * 1024;
/// Parts of a file, at most: its readers keep a list of them.
const MAX_PARTS: usize = 10_000;
/// Elements in each other, at most.
const MAX_DEPTH: u32 = 256;

/// The beginning of a ZIP file.
const ZIP: &[u8] = b"PK\x03\x04";
/// The beginning of the entry of a part in the list of a ZIP file.
const ENTRY: &[u8] = b"PK\x01\x02";
/// The beginning of a compound file: XLS, or an encrypted spreadsheet.
const COMPOUND: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
const ENCRYPTED: &str = "EncryptedPackage";

const PASSWORD: &str = "expected a spreadsheet without a password: save it without one";
const OLD: &str =
    "expected XLSX or ODS, found a file of an older program, such as XLS: save it as XLSX";
const BINARY: &str = "expected XLSX or ODS, found XLSB: save it as XLSX";
const OTHER: &str = "expected XLSX or ODS, found a ZIP file with something else";
const TOO_LONG: &str = "an element or a text is too long";
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
    if memmem::find_iter(bytes, ENTRY).nth(MAX_PARTS).is_some() {
        return Err(damaged("it has too many parts"));
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
            let mut part = limits.watch(part, u64::MAX);
            io::copy(&mut part, &mut io::sink()).map_err(|error| limits.explain(&error))?;
        }
    }
    Ok(kind)
}

/// How many bytes were read.
#[derive(Default)]
struct Limits {
    /// Of all parts.
    total: Cell<u64>,
    /// Of the parts that are kept in memory.
    kept: Cell<u64>,
    /// Since the last element or text.
    piece: Cell<u64>,
}

impl Limits {
    /// Returns a reader of a part whose elements and texts have at most so many bytes.
    fn watch<R>(&self, inner: R, longest: u64) -> Watched<'_, R> {
        self.piece.set(0);
        Watched {
            inner,
            limits: self,
            longest,
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

    /// Counts an element or text of a part that is kept in memory.
    fn keep(&self, bytes: u64) -> Result<(), ApiError> {
        self.kept.set(self.kept.get() + bytes);
        if self.kept.get() > MAX_KEPT_BYTES {
            let limit = MAX_KEPT_BYTES / 1024 / 1024;
            return Err(ApiError::TooLarge(format!(
                "expected a spreadsheet with at most {limit} MB of distinct texts and formats; save the sheet as CSV, and append it in several calls"
            )));
        }
        Ok(())
    }
}

/// A reader that counts what it reads, and fails above the limits: also in the middle of an element,
/// which its reader would collect first.
struct Watched<'a, R> {
    inner: R,
    limits: &'a Limits,
    longest: u64,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let total = &self.limits.total;
        if total.get() > MAX_LIST {
            return Err(io::Error::other("too large"));
        }
        let piece = &self.limits.piece;
        if piece.get() > self.longest {
            return Err(io::Error::other(TOO_LONG));
        }
        let count = self.inner.read(buffer)?;
        total.set(total.get() + count as u64);
        piece.set(piece.get() + count as u64);
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
        let watched = limits.watch(part, MAX_TEXT + READ_AHEAD);
        let mut reader = Reader::from_reader(BufReader::new(watched));
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
                return Err(damaged(TOO_LONG));
            }
            if self.is_kept {
                limits.keep(position - end)?;
            }
            limits.piece.set(0);
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
