//! The formats of a list, and the choice between them: by `?format=`, or by `Accept` (RFC 9110,
//! section 12.5.1).

use axum::http::{HeaderMap, header};

use crate::http::{error::ApiError, problems, query::Query};

/// A format of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON document per page.
    Json,
    /// Comma-separated values (RFC 4180) with a header row, in UTF-8.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

impl Format {
    /// Each format. Of formats that a client accepts alike, the first is used.
    pub const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Ndjson];

    /// Returns the value of `?format=`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// Returns the media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// Returns the value of `Content-Type`. The parameters of CSV are those of RFC 7111.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            _ => self.media_type(),
        }
    }
}

/// Reads `format`; [`negotiated`] chooses if it is not given.
pub fn requested(query: &mut Query) -> Option<Format> {
    query.choice("format", &Format::ALL, Format::as_str)
}

/// Returns the format that the client accepts most: [`Format::Json`] without an `Accept`. Fails with
/// 406 if it accepts none.
///
/// Parameters of a media range other than `q` are ignored, and so are malformed ranges. Of formats
/// with the same quality, one that is named outweighs one that a wildcard includes: a client that
/// sends `text/csv, */*` gets CSV, and a browser gets JSON.
pub fn negotiated(headers: &HeaderMap) -> Result<Format, ApiError> {
    let given = headers.get_all(header::ACCEPT).iter();
    let given: Vec<_> = given.filter_map(|value| value.to_str().ok()).collect();
    let given = given.join(",");
    if given.trim_matches([' ', '\t', ',']).is_empty() {
        return Ok(Format::Json);
    }
    let ranges: Vec<_> = split_unquoted(&given, ',')
        .filter_map(Range::read)
        .collect();
    let mut best: Option<(Match, Format)> = None;
    for format in Format::ALL {
        let found = ranges.iter().filter_map(|range| range.matches(format));
        // The most specific range decides, also if it excludes the format.
        let Some(found) = found.max_by_key(|found| found.specificity) else {
            continue;
        };
        let is_better = best.is_none_or(|(best, _)| found.rank() > best.rank());
        if found.quality > 0 && is_better {
            best = Some((found, format));
        }
    }
    best.map(|(_, format)| format).ok_or_else(|| {
        let all = Format::ALL.map(Format::media_type).join(", ");
        ApiError::Refused(
            &problems::NOT_ACCEPTABLE,
            format!("expected an Accept that includes one of: {all}"),
        )
    })
}

/// A media range of `Accept`.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: u16,
}

/// How a range matches a format.
#[derive(Clone, Copy)]
struct Match {
    /// 2: the media type itself; 1: all of its kind; 0: everything.
    specificity: u8,
    /// In thousandths.
    quality: u16,
}

impl Match {
    const fn rank(self) -> (u16, u8) {
        (self.quality, self.specificity)
    }
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = split_unquoted(text, ';');
        let (kind, subtype) = parts.next()?.trim().split_once('/')?;
        let mut quality = 1_000;
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.trim().eq_ignore_ascii_case("q") {
                quality = read_quality(value.trim())?;
            }
        }
        Some(Self {
            kind,
            subtype,
            quality,
        })
    }

    fn matches(&self, format: Format) -> Option<Match> {
        let (kind, subtype) = format.media_type().split_once('/')?;
        let specificity = match (self.kind, self.subtype) {
            ("*", "*") => 0,
            (given, "*") if given.eq_ignore_ascii_case(kind) => 1,
            (given, name)
                if given.eq_ignore_ascii_case(kind) && name.eq_ignore_ascii_case(subtype) =>
            {
                2
            }
            _ => return None,
        };
        Some(Match {
            specificity,
            quality: self.quality,
        })
    }
}

/// Reads a quality: `0` to `1` with at most three digits after the point, in thousandths.
fn read_quality(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    let is_valid = matches!(whole, "0" | "1")
        && digits.len() <= 3
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    let thousandths: u16 = format!("{digits:0<3}").parse().ok()?;
    let quality = if whole == "1" {
        1_000 + thousandths
    } else {
        thousandths
    };
    (is_valid && quality <= 1_000).then_some(quality)
}

/// Splits a text at each separator that is outside of quotes.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |letter: char| {
        let is_quote = letter == '"' && !is_escaped;
        is_escaped = is_quoted && letter == '\\' && !is_escaped;
        is_quoted ^= is_quote;
        letter == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        negotiated(&headers).ok()
    }

    #[test]
    fn the_most_accepted_format_is_chosen() {
        let (json, csv, ndjson) = (Some(Format::Json), Some(Format::Csv), Some(Format::Ndjson));
        let table = [
            ("", json),
            ("*/*", json),
            ("text/csv", csv),
            ("Text/CSV; charset=utf-8", csv),
            ("text/*", csv),
            ("application/x-ndjson", ndjson),
            ("application/*;q=0.5, text/csv;q=0.4", json),
            ("application/json;q=0.5, text/csv", csv),
            ("application/json;q=0.2, application/*", ndjson),
            // A more specific range outweighs another, also to exclude a format.
            ("*/*, application/json;q=0", csv),
            ("*/*, text/*;q=0, application/json;q=0.0", ndjson),
            ("text/csv, */*", csv),
            ("text/csv, application/json", json),
            // What a browser sends, and a client of JavaScript.
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                json,
            ),
            ("application/json, text/plain, */*", json),
            ("text/html;x=\"a,text/csv\", application/x-ndjson", ndjson),
            (
                "text/html;x=\"\\\",text/csv\", application/x-ndjson",
                ndjson,
            ),
            // Malformed ranges are ignored.
            ("text/csv;q=2, application/x-ndjson;q=0.001", ndjson),
            (
                "csv, text/csv;q=0.1234, application/json;q=x, application/x-ndjson;Q=1.000",
                ndjson,
            ),
            ("text/html", None),
            ("text/csv;q=0", None),
            ("csv", None),
        ];
        for (accept, expected) in table {
            assert_eq!(of(accept), expected, "{accept}");
        }
    }

    #[test]
    fn without_an_accept_the_format_is_json_and_several_are_one_list() {
        let mut headers = HeaderMap::new();
        assert_eq!(negotiated(&headers).unwrap(), Format::Json);
        for accept in ["text/html", "text/csv;q=0.1"] {
            headers.append(header::ACCEPT, accept.parse().unwrap());
        }
        assert_eq!(negotiated(&headers).unwrap(), Format::Csv);
    }
}
