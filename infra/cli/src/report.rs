//! `report`: fetches one row per recipient, over as many pages as it needs.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use reqwest::header::{HeaderMap, LINK};

use crate::{
    client::{Call, Client},
    failure::Failure,
    options::{ReportFormat, Wanted},
    output::Output,
};

/// Executes the command. A file is complete, or is not written.
pub async fn fetch(client: &mut Client, wanted: &Wanted, output: Output) -> Result<u8, Failure> {
    // With --json the rows are JSON, one in a line.
    let is_csv = wanted.format == ReportFormat::Csv && !output.json;
    let format = if is_csv { "csv" } else { "ndjson" };
    let Some(path) = &wanted.output else {
        let mut out = BufWriter::new(io::stdout());
        pages(client, wanted, format, &mut out).await?;
        return Ok(0);
    };
    let failed = |error: io::Error| Failure::file(&path.display().to_string(), &error);
    let temporary = path.with_extension("part");
    let mut file = BufWriter::new(File::create(&temporary).map_err(failed)?);
    let fetched = pages(client, wanted, format, &mut file).await;
    let rows = fetched.inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    fs::rename(&temporary, path).map_err(failed)?;
    output.note(&format!("{rows} rows in {}", path.display()));
    Ok(0)
}

/// Writes all pages; returns the number of rows.
async fn pages(
    client: &mut Client,
    wanted: &Wanted,
    format: &str,
    out: &mut dyn Write,
) -> Result<u64, Failure> {
    let name = wanted
        .output
        .as_deref()
        .unwrap_or(Path::new("-"))
        .display()
        .to_string();
    let failed = |error: io::Error| Failure::file(&name, &error);
    let mut rows = 0;
    let mut is_first = true;
    let mut next = Call::get(format!("/v1/schedules/{}/recipients", wanted.id))
        .query("format", Some(format))
        .query("status", wanted.status.as_ref());
    loop {
        let (headers, page) = client.text(next.any_type()).await?;
        let page = if is_first {
            &page[..]
        } else {
            without_header(&page, format)
        };
        // A row of free text may have line ends, but each error text of the API is one line.
        rows += page.lines().count() as u64;
        match out.write_all(page.as_bytes()) {
            // A reader that has gone, such as `head`, needs no more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(rows),
            written => written.map_err(failed)?,
        }
        is_first = false;
        match next_page(&headers) {
            Some(path) => next = Call::get(path),
            None => break,
        }
    }
    out.flush().map_err(failed)?;
    Ok(rows - u64::from(format == "csv"))
}

/// Returns a page of CSV without its first line: the header has no line ends.
fn without_header<'a>(page: &'a str, format: &str) -> &'a str {
    if format != "csv" {
        return page;
    }
    page.split_once('\n').map_or("", |(_, rows)| rows)
}

/// Returns the path of the next page (RFC 8288).
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (path, parameters) = link.strip_prefix('<')?.split_once('>')?;
    // Only a path: the token is sent to no other host.
    let is_next =
        parameters.contains("rel=\"next\"") && path.starts_with('/') && !path.starts_with("//");
    is_next.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_a_path_of_the_same_api() {
        let table = [
            (
                Some("</v1/x?cursor=a>; rel=\"next\""),
                Some("/v1/x?cursor=a"),
            ),
            (Some("</v1/x>; rel=\"prev\""), None),
            (Some("<https://elsewhere/v1/x>; rel=\"next\""), None),
            (Some("<//elsewhere/v1/x>; rel=\"next\""), None),
            (None, None),
        ];
        for (link, expected) in table {
            let mut headers = HeaderMap::new();
            headers.extend(link.map(|link| (LINK, link.parse().unwrap())));
            assert_eq!(next_page(&headers).as_deref(), expected, "{link:?}");
        }
    }

    #[test]
    fn only_the_first_page_has_the_header() {
        assert_eq!(
            without_header("phone,status\r\n+1,X\r\n", "csv"),
            "+1,X\r\n"
        );
        assert_eq!(without_header("{}\n", "ndjson"), "{}\n");
    }
}
