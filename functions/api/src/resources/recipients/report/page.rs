//! A page of a report. It ends at the row that would exceed a limit, and the next page begins with
//! that row, so that no row is lost or doubled.
//!
//! The answer names the next page in its header, so a page is complete before it is sent: it is held
//! in memory, at most [`MOST_BYTES`] of it, and its rows are read in chunks of [`CHUNK`].

use std::{
    io,
    time::{Duration, Instant},
};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use csv::{Terminator, Writer, WriterBuilder};
use sqlx::MySqlConnection;

use crate::{
    http::{
        error::ApiError,
        format::Format,
        page::{ListWalk, PageRequest, ROWS_PER_CALL},
    },
    resources::{
        recipients::{
            found::recipients_at,
            names::{Include, NameFilter, keys_in, named_seqs},
            report::{
                list::ReportedList,
                row::{COLUMNS, Column, ReportRow, VARIABLES},
                store::{ReportFilter, ReportedRecipient, reported_recipients},
            },
        },
        schedules::store::places::{last_seq, skip_gap},
    },
};

/// Bytes that Lambda returns at most (6 MB), in which the body is one JSON string.
#[cfg(test)]
const MAX_ANSWER: usize = 6 * 1024 * 1024;
/// Bytes of the other members of that answer: status and headers.
#[cfg(test)]
const MAX_HEADERS: usize = 64 * 1024;
/// Bytes of a page. A compressed page is binary, which takes a third more in base64; so this many
/// bytes fit even if the compression gains nothing.
const MOST_BYTES: usize = 4_600_000;
/// Bytes of a page as a JSON string, in which quotes and line ends take two bytes each.
const MOST_JSON_BYTES: usize = 6_000_000;
/// Rows that one statement reads. Each may have 4 KB of variables.
const CHUNK: u32 = 1_000;
/// Entries as which each list of a page counts at least, so that a page of many short lists ends.
const LIST_COST: u32 = 500;
/// A page reads no further chunk after this time: the gateway gives up at 30 s, and a statement is
/// ended after 15 s.
const MOST_TIME: Duration = Duration::from_secs(8);

/// A page of a report, while it is written.
pub struct ReportPage {
    body: Body,
    /// The length of the rows that are within the limits.
    len: usize,
    /// The length of them as a JSON string.
    json_len: usize,
    /// A row was refused, because it would exceed a limit of bytes.
    is_over: bool,
    rows_left: u32,
    entries_left: u32,
    begun: Instant,
    include: Option<Include>,
}

/// The rows in their format.
enum Body {
    Csv(Box<Writer<Vec<u8>>>),
    Ndjson(Vec<u8>),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Csv(writer) => writer.get_ref(),
            Self::Ndjson(bytes) => bytes,
        }
    }

    fn append(&mut self, row: &ReportRow, include: Option<Include>) -> io::Result<()> {
        match self {
            Self::Csv(writer) => {
                for (_, cell) in columns(include) {
                    writer.write_field(&*cell(row))?;
                }
                writer.write_record(None::<&[u8]>)?;
                writer.flush()
            }
            Self::Ndjson(bytes) => {
                serde_json::to_writer(&mut *bytes, row)?;
                bytes.push(b'\n');
                Ok(())
            }
        }
    }
}

impl ReportPage {
    /// Returns a page without rows: of CSV if the format is CSV, else of NDJSON.
    pub fn new(format: Format, limit: u32, include: Option<Include>) -> Result<Self, ApiError> {
        let body = if format == Format::Csv {
            let mut writer = WriterBuilder::new()
                .terminator(Terminator::CRLF)
                .from_writer(Vec::new());
            let header = writer.write_record(columns(include).map(|(name, _)| name));
            header
                .map_err(io::Error::from)
                .and_then(|()| writer.flush())
                .map_err(|error| unwritten(&error))?;
            Body::Csv(Box::new(writer))
        } else {
            Body::Ndjson(Vec::new())
        };
        Ok(Self {
            len: body.bytes().len(),
            json_len: json_len(body.bytes()),
            body,
            is_over: false,
            rows_left: limit,
            entries_left: ROWS_PER_CALL + LIST_COST,
            begun: Instant::now(),
            include,
        })
    }

    /// Returns how many rows it can still take.
    pub const fn rows_left(&self) -> u32 {
        self.rows_left
    }

    /// Whether it ends here.
    pub fn is_full(&self) -> bool {
        self.is_over
            || self.rows_left == 0
            || self.entries_left == 0
            || self.begun.elapsed() > MOST_TIME
    }

    /// Counts entries of lists that were read for it.
    pub const fn count_entries(&mut self, entries: u32) {
        self.entries_left = self.entries_left.saturating_sub(entries);
    }

    /// Appends a row. Returns false if it would exceed a limit of bytes: the page ends before it.
    pub fn append(&mut self, row: &ReportRow) -> Result<bool, ApiError> {
        let appended = self.body.append(row, self.include);
        appended.map_err(|error| unwritten(&error))?;
        let bytes = self.body.bytes();
        let json_len = self.json_len + json_len(&bytes[self.len..]);
        if bytes.len() > MOST_BYTES || json_len > MOST_JSON_BYTES {
            self.is_over = true;
            return Ok(false);
        }
        (self.len, self.json_len) = (bytes.len(), json_len);
        self.rows_left = self.rows_left.saturating_sub(1);
        Ok(true)
    }

    /// Appends the recipients of a list after a place. Returns after which place the next page
    /// continues, unless it has reached the end of the list.
    pub async fn append_list(
        &mut self,
        connection: &mut MySqlConnection,
        list: &ReportedList,
        filter: ReportFilter<'_>,
        mut after: u32,
    ) -> Result<Option<u32>, ApiError> {
        self.count_entries(LIST_COST);
        if let Some(names) = filter.names {
            return self
                .append_named(connection, list, (filter, names), after)
                .await;
        }
        let end = last_seq(connection, list.id()).await?;
        while after < end {
            if self.is_full() {
                return Ok(Some(after));
            }
            // Entries that are appended meanwhile belong to a later report.
            let entries = self.entries_left.min(end - after);
            let walk = ListWalk::new(after, entries, self.rows_left.min(CHUNK));
            let found = reported_recipients(connection, list.id(), filter, walk).await?;
            let read_to = walk.next(found.iter().map(|recipient| recipient.seq), end);
            let read_to = read_to.unwrap_or(end);
            self.count_entries(read_to - after);
            for row in list.complete(connection, found, self.include).await? {
                if !self.append(&row)? {
                    return Ok(Some(after));
                }
                after = row.seq;
            }
            after = if read_to < end {
                skip_gap(connection, list.id(), read_to).await?
            } else {
                read_to
            };
        }
        Ok(None)
    }

    /// Appends the recipients of a list that have a reference or a group, after a place, as
    /// [`ReportPage::append_list`] does.
    async fn append_named(
        &mut self,
        connection: &mut MySqlConnection,
        list: &ReportedList,
        (filter, names): (ReportFilter<'_>, &NameFilter),
        mut after: u32,
    ) -> Result<Option<u32>, ApiError> {
        while !self.is_full() {
            let limit = self.rows_left.min(self.entries_left).min(CHUNK);
            let page = PageRequest { after, limit };
            let seqs = named_seqs(connection, list.id(), names, page).await?;
            self.count_entries(seqs.len() as u32);
            let keys = keys_in(list.id(), seqs.iter().copied());
            let found = recipients_at(connection, &keys, filter).await?;
            let found = found.into_iter().map(ReportedRecipient::from).collect();
            for row in list.complete(connection, found, self.include).await? {
                if !self.append(&row)? {
                    return Ok(Some(after));
                }
                after = row.seq;
            }
            after = seqs.last().copied().unwrap_or(after);
            if seqs.len() < limit as usize {
                return Ok(None);
            }
        }
        Ok(Some(after))
    }

    /// What the page adds to each recipient.
    pub const fn include(&self) -> Option<Include> {
        self.include
    }

    /// Returns the page as text.
    pub fn finish(self) -> Result<Vec<u8>, ApiError> {
        let mut bytes = match self.body {
            Body::Csv(writer) => {
                let bytes = writer.into_inner();
                bytes.map_err(|error| unwritten(error.error()))?
            }
            Body::Ndjson(bytes) => bytes,
        };
        bytes.truncate(self.len);
        Ok(bytes)
    }

    /// Returns the answer with the page.
    pub fn answer(self) -> Result<Response, ApiError> {
        let format = match self.body {
            Body::Csv(_) => Format::Csv,
            Body::Ndjson(_) => Format::Ndjson,
        };
        let headers = [(header::CONTENT_TYPE, format.content_type())];
        Ok((headers, self.finish()?).into_response())
    }
}

/// Returns the columns of CSV.
fn columns(include: Option<Include>) -> impl Iterator<Item = Column> {
    let with_variables = include == Some(Include::Variables);
    COLUMNS
        .into_iter()
        .chain(with_variables.then_some(VARIABLES))
}

/// Returns the length of a text as the content of a JSON string.
fn json_len(text: &[u8]) -> usize {
    let len = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 2,
        0..=0x1F => 6,
        _ => 1,
    };
    text.iter().map(len).sum()
}

/// Writing to memory never fails.
fn unwritten(error: &io::Error) -> ApiError {
    ApiError::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::recipients::report::row::tests::row;

    fn text(page: ReportPage) -> String {
        String::from_utf8(page.finish().unwrap()).unwrap()
    }

    #[test]
    fn csv_has_a_header_and_crlf() {
        let empty = text(ReportPage::new(Format::Csv, 1, None).unwrap());
        let header = "phone,status,carrier_status,attempt,sends,resends,parts,planned_at,sent_at,final_at,error,seq,message_id,schedule_id,input,reference,group,price,cost,currency\r\n";
        assert_eq!(empty, header);
        let mut page = ReportPage::new(Format::Csv, 1, None).unwrap();
        assert!(page.append(&row(7)).unwrap() && page.is_full());
        let at = "2027-01-31T01:00:00.007Z";
        let line = format!(
            "+60123456789,DELIVRD,'=1+1,2,2,1,3,{at},{at},{at},\"a, \"\"b\"\"\",7,\"m1,m2\",{},,\"r, 1\",Penang,0.05,0.30,EUR\r\n",
            uuid::Uuid::nil()
        );
        assert_eq!(text(page), header.to_owned() + &line);
    }

    #[test]
    fn a_page_ends_before_the_row_that_exceeds_the_bytes() {
        for format in [Format::Csv, Format::Ndjson] {
            let mut page = ReportPage::new(format, u32::MAX, None).unwrap();
            let mut written = 0;
            let mut odd = row(1);
            // Quotes take two bytes each in JSON, and four in NDJSON.
            odd.error = Some("\"".repeat(40));
            while page.append(&odd).unwrap() {
                written += 1;
            }
            assert!(page.is_full());
            let text = text(page);
            let header = usize::from(format == Format::Csv);
            assert_eq!(text.lines().count(), written + header, "{format:?}");
            assert!(text.ends_with('\n'));
            let encoded = serde_json::to_string(&text).unwrap().len();
            assert!(encoded <= MOST_JSON_BYTES + 2, "{encoded}");
            assert!(text.len() > 3_500_000, "{}", text.len());
        }
    }

    #[test]
    fn the_largest_page_fits_into_an_answer() {
        const { assert!(MOST_JSON_BYTES + MAX_HEADERS <= MAX_ANSWER) };
        // Gzip adds less than a thousandth to what it cannot compress.
        let gzip = MOST_BYTES + MOST_BYTES / 1_000;
        assert!(gzip.div_ceil(3) * 4 + MAX_HEADERS <= MAX_ANSWER);
        let text = "\u{1}\"\\\n\r\tü\u{8}";
        let encoded = serde_json::to_string(text).unwrap();
        assert_eq!(json_len(text.as_bytes()) + 2, encoded.len());
    }
}
