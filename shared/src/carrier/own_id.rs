//! Own ids: ids that we give our messages, so that a carrier can be asked for the status of a message
//! whose answer was lost.

use std::fmt;

use uuid::Uuid;

/// An own id, of a message or of one of its parts: what `BatchRow::own_id` and [`own_ids`] write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnId {
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// `recipients.seq`
    pub seq: u32,
    /// `recipients.attempt`
    pub attempt: u32,
    /// The part of a message of several parts, from 1.
    pub part: Option<u32>,
}

impl OwnId {
    /// Reads an own id. Returns `None` if the text is not an own id.
    pub fn read(id: &str) -> Option<Self> {
        let mut fields = id.split('-');
        let schedule_id = Uuid::try_parse(fields.next()?).ok()?;
        let (seq, attempt) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let part = fields.next().map(str::parse).transpose().ok()?;
        let own = Self {
            schedule_id,
            seq,
            attempt,
            part,
        };
        // Only exactly as we write it: no upper case, no leading zeros, nothing after it.
        (own.to_string() == id).then_some(own)
    }
}

impl fmt::Display for OwnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schedule_id = self.schedule_id.simple();
        write!(f, "{schedule_id}-{}-{}", self.seq, self.attempt)?;
        self.part.map_or(Ok(()), |part| write!(f, "-{part}"))
    }
}

/// Returns the ids that a message with an own id has at the carrier, joined by commas as
/// [`super::Carrier::status`] takes them.
pub fn own_ids(own_id: &str, parts: usize) -> String {
    if parts <= 1 {
        return own_id.to_owned();
    }
    (1..=parts)
        .map(|part| format!("{own_id}-{part}"))
        .collect::<Vec<_>>()
        .join(",")
}
