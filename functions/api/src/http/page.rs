//! Pages of a list, and the header that leads to the next one.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use url::form_urlencoded;

/// Which page of a list to read: at most `limit` entries, after a place in the order of the list.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<K> {
    /// The key of the last entry of the page before. A list in descending order continues below it.
    pub after: K,
    /// The largest number of entries.
    pub limit: u32,
}

/// How many rows of recipients one call reads at most. No index contains the state of a message or
/// its time, so that a filter for a rare value would otherwise walk over lists of millions.
pub const ROWS_PER_CALL: u32 = 100_000;

/// The rows of one list that a call reads, by their sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListWalk {
    /// The number after which it begins.
    pub after: u32,
    /// The last number that it may read.
    pub through: u32,
    /// The largest number of entries that it returns.
    pub limit: u32,
}

impl ListWalk {
    /// Returns the walk that reads at most `rows` rows.
    pub const fn new(after: u32, rows: u32, limit: u32) -> Self {
        let through = after.saturating_add(rows);
        Self {
            after,
            through,
            limit,
        }
    }

    /// Returns how many rows it has read, of a list whose last row has the number `end`.
    pub fn rows(&self, end: u32) -> u32 {
        self.through.min(end).saturating_sub(self.after)
    }

    /// Returns after which number the next call continues, if it has to: `found` are the numbers of
    /// the entries that this call returns.
    pub fn next(&self, found: impl ExactSizeIterator<Item = u32>, end: u32) -> Option<u32> {
        if found.len() >= self.limit as usize {
            return found.last();
        }
        (self.through < end).then_some(self.through)
    }
}

/// The header with the `changed_since` of the next poll. Only first pages have it: a change may
/// concern a row that a page before has shown, so that a later time could miss it.
pub const NEXT_CHANGED_SINCE: HeaderName = HeaderName::from_static("next-changed-since");
/// A change is visible at most this long after its time. A function runs for a minute after it has
/// read the clock (`WorkerTimeoutS`), and its last statement for another one.
const VISIBLE_AFTER: TimeDelta = TimeDelta::minutes(5);

/// What the headers of a page say.
#[derive(Clone, Copy, Debug)]
pub struct PageHead<'a> {
    /// The request.
    pub uri: &'a Uri,
    /// The cursor of the next page, if there is one.
    pub next_cursor: Option<&'a str>,
    /// Of a first page: a time before it was read.
    pub polled_at: Option<DateTime<Utc>>,
}

/// Returns the answer with a page in the format that was negotiated: it varies with `Accept`, and
/// `Link` (RFC 8288) names the next page, which is the same request with another cursor.
pub fn page_answer(head: PageHead<'_>, page: impl IntoResponse) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    if let Some(link) = head
        .next_cursor
        .and_then(|cursor| next_link(head.uri, cursor))
    {
        headers.insert(header::LINK, link);
    }
    let since = head.polled_at.map(|polled_at| polled_at - VISIBLE_AFTER);
    let since = since.map(|since| since.to_rfc3339_opts(SecondsFormat::Millis, true));
    if let Some(since) = since.and_then(|since| HeaderValue::try_from(since).ok()) {
        headers.insert(NEXT_CHANGED_SINCE, since);
    }
    (headers, page).into_response()
}

fn next_link(uri: &Uri, cursor: &str) -> Option<HeaderValue> {
    let given = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(given.filter(|(name, _)| name != "cursor"))
        .append_pair("cursor", cursor)
        .finish();
    HeaderValue::try_from(format!("<{}?{query}>; rel=\"next\"", uri.path())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_same_request_with_another_cursor() {
        let link = |uri: &'static str| {
            let link = next_link(&Uri::from_static(uri), "r1f").unwrap();
            link.to_str().unwrap().to_owned()
        };
        assert_eq!(link("/v1/a"), "</v1/a?cursor=r1f>; rel=\"next\"");
        assert_eq!(
            link("/v1/a?cursor=r2&from=2027-01-31T09%3A00%3A00%2B08:00&format=csv"),
            "</v1/a?from=2027-01-31T09%3A00%3A00%2B08%3A00&format=csv&cursor=r1f>; rel=\"next\""
        );
        // A plus sign that was not encoded stays the blank that it is read as.
        assert_eq!(
            link("/v1/a?phone=+60"),
            "</v1/a?phone=+60&cursor=r1f>; rel=\"next\""
        );
    }

    #[test]
    fn a_walk_continues_after_its_last_entry_or_its_last_row() {
        let walk = ListWalk::new(10, 100, 3);
        let next = |found: &[u32], end| walk.next(found.iter().copied(), end);
        assert_eq!(
            (walk.through, walk.rows(1_000), walk.rows(50)),
            (110, 100, 40)
        );
        // A full page continues after its last entry, also at the end of the list.
        assert_eq!(next(&[11, 20, 50], 50), Some(50));
        // A page that is not full continues after the last row that it read.
        assert_eq!(next(&[11], 1_000), Some(110));
        assert_eq!(next(&[], 111), Some(110));
        assert_eq!(next(&[11], 110), None);
    }

    #[test]
    fn a_walk_after_the_last_number_reads_nothing() {
        let walk = ListWalk::new(u32::MAX, ROWS_PER_CALL, 3);
        assert_eq!((walk.rows(17), walk.next([].into_iter(), 17)), (0, None));
    }
}
