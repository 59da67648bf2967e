//! Rows of a table, from CSV or a spreadsheet: the first row that is not blank shows the columns,
//! the others are entries.

use csv::ByteRecord;
use shared::message::template::Variables;

use crate::{
    http::error::ApiError,
    lists::{
        entry::{Details, Sink, Stopped},
        header::{self, Header},
        names::NameColumns,
        options::AcceptedVariables,
        variables::Columns,
    },
};

const NOT_UTF_8: &str = "expected a phone number in UTF-8; name another encoding with charset, such as windows-1252, and send the \
                         list as application/octet-stream";

/// A table, row by row.
#[derive(Default)]
pub struct Table {
    layout: Option<Layout>,
}

impl Table {
    /// Reads a row, whose position is that of the sink. Rows without a filled field are skipped.
    pub fn row(&mut self, record: &ByteRecord, sink: &mut Sink) -> Result<(), ApiError> {
        sink.unused.set(0);
        if header::is_blank(record.as_slice()) {
            return Ok(());
        }
        if let Some(layout) = &self.layout {
            return layout.entry(record, sink);
        }
        let header = Header::find(record, sink)?;
        let layout = self.layout.insert(Layout::of(record, header, sink)?);
        if header.is_present {
            return Ok(());
        }
        layout.entry(record, sink)
    }

    /// Returns whether entries have something from a column.
    pub fn uses(&self, column: usize) -> bool {
        self.layout.as_ref().is_some_and(|layout| {
            layout.column == column
                || layout.names.contain(column)
                || layout
                    .variables
                    .as_ref()
                    .is_some_and(|columns| columns.contain(column))
        })
    }
}

/// The columns of a line.
struct Layout {
    /// The column with the phone number.
    column: usize,
    /// The columns with variables.
    variables: Option<Columns>,
    /// The columns with references and groups.
    names: NameColumns,
}

impl Layout {
    fn of(record: &ByteRecord, header: Header, sink: &Sink) -> Result<Self, ApiError> {
        let variables = match sink.accepted() {
            AcceptedVariables::Of(template) if header.is_present => {
                Some(Columns::of(record, header.column, template))
            }
            _ => None,
        };
        let names = match sink.accepted() {
            AcceptedVariables::None => NameColumns::default(),
            _ => NameColumns::find(record, header, sink)?,
        };
        Ok(Self {
            column: header.column,
            variables,
            names,
        })
    }

    fn entry(&self, record: &ByteRecord, sink: &mut Sink) -> Result<(), ApiError> {
        sink.set_column(self.column);
        let pushed = match record.get(self.column).map(std::str::from_utf8) {
            Some(Ok(field)) => self.known(field, record, sink),
            Some(Err(_)) => sink.refuse("", "not-utf-8", NOT_UTF_8),
            None => sink.refuse("", "missing", "expected a phone number in this column"),
        };
        // The sink has recorded the reason.
        pushed.map_err(|stopped| ApiError::Internal(stopped.to_string()))
    }

    /// Adds the entry of a row whose field with the phone number is text.
    fn known(&self, field: &str, record: &ByteRecord, sink: &mut Sink) -> Result<(), Stopped> {
        let columns = self.variables.as_ref();
        let variables = columns.map_or_else(|| Ok(Variables::new()), |them| them.read(record));
        match (variables, self.names.read(record)) {
            (Err(detail), _) => sink.refuse(field, "not-utf-8", detail),
            (_, Err(wrong)) => sink.refuse(field, wrong.code(), wrong.to_string()),
            (Ok(variables), Ok(names)) => sink.entry(field, Details { variables, names }),
        }
    }
}
