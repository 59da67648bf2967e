//! The list of numbers: generated, or read from a file as CSV, NDJSON or one number per line. The
//! list is read while it is posted, so its size doesn't affect memory use.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use anyhow::Context;
use serde::Deserialize;

/// An iterator over the numbers as they were given.
pub type List = Box<dyn Iterator<Item = anyhow::Result<String>> + Send>;

/// Returns `count` generated numbers, beginning at index `start`.
pub fn generated(start: u64, count: u64) -> List {
    Box::new((start..start + count).map(|at| Ok(crate::numbers::number(at))))
}

/// Reads the numbers of a file. The file is NDJSON if its first line is a JSON string or object,
/// otherwise CSV; one number per line is CSV with a single column. If the first line of a CSV names
/// a column `phone`, the numbers are in that column, otherwise in the first.
pub fn from_file(path: &Path) -> anyhow::Result<List> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let name = path.display().to_string();
    let list = read(BufReader::new(file)).with_context(|| format!("reading {name}"))?;
    Ok(Box::new(list.map(move |entry| {
        entry.with_context(|| format!("reading {name}"))
    })))
}

fn read(mut file: impl BufRead + Send + 'static) -> anyhow::Result<List> {
    let begin = file.fill_buf()?;
    let begin = begin
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(begin)
        .trim_ascii_start();
    // A quoted first field is valid CSV and a valid JSON string. Only in CSV can a comma follow it
    // on the same line.
    let line = begin
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let is_json = serde_json::from_slice::<Entry>(line.trim_ascii())
        .is_ok_and(|entry| !matches!(entry, Entry::Number(_)));
    if is_json {
        Ok(Box::new(ndjson(file)))
    } else {
        csv_list(file)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Text(String),
    Object { phone: String },
    // An unquoted number is a line of a plain list.
    Number(#[allow(dead_code, reason = "only its type matters")] u64),
}

fn ndjson(file: impl BufRead) -> impl Iterator<Item = anyhow::Result<String>> {
    let lines = file
        .lines()
        .enumerate()
        .filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty()));
    lines.map(|(at, line)| {
        let line = line?;
        let entry = serde_json::from_str(line.trim_start_matches('\u{feff}').trim());
        match entry.with_context(|| {
            format!(
                "line {} is neither a JSON string nor an object with a phone",
                at + 1
            )
        })? {
            Entry::Text(phone) | Entry::Object { phone } => Ok(phone),
            Entry::Number(number) => Ok(number.to_string()),
        }
    })
}

fn csv_list(file: impl Read + Send + 'static) -> anyhow::Result<List> {
    let mut records = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(file)
        .into_records();
    let Some(first) = records.next().transpose()? else {
        return Ok(Box::new(std::iter::empty()));
    };
    let header = first.iter().position(|field| {
        field
            .trim_start_matches('\u{feff}')
            .eq_ignore_ascii_case("phone")
    });
    let column = header.unwrap_or(0);
    let rest = records.map(move |record| Ok(record?.get(column).unwrap_or_default().to_owned()));
    let first = header.is_none().then(|| {
        Ok(first
            .get(0)
            .unwrap_or_default()
            .trim_start_matches('\u{feff}')
            .to_owned())
    });
    Ok(Box::new(first.into_iter().chain(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_each_format() {
        let table = [
            ("+60111\n+60112\n", vec!["+60111", "+60112"]),
            ("60111\r\n60112", vec!["60111", "60112"]),
            (
                "name,phone\nAda,+60111\n\"Lovelace, A\",+60112\n",
                vec!["+60111", "+60112"],
            ),
            ("\u{feff}PHONE;x\n+60111\n", vec!["PHONE;x", "+60111"]),
            ("\u{feff}Phone,x\n+60111,1\n", vec!["+60111"]),
            ("+60111,Ada\n+60112,Eve,more\n", vec!["+60111", "+60112"]),
            ("\"+60111\",Ada\n", vec!["+60111"]),
            ("\"+60111\"\n\n\"+60112\"\n", vec!["+60111", "+60112"]),
            (
                "{\"phone\":\"+60111\",\"vars\":{}}\n{\"phone\":\"+60112\"}\n",
                vec!["+60111", "+60112"],
            ),
            ("", vec![]),
        ];
        for (text, expected) in table {
            let list = read(text.as_bytes())
                .unwrap()
                .collect::<anyhow::Result<Vec<_>>>()
                .unwrap();
            assert_eq!(list, expected, "{text:?}");
        }
    }

    #[test]
    fn an_error_names_the_line_that_is_not_json() {
        let mut list = read("\"+60111\"\n{]\n".as_bytes()).unwrap();
        assert!(list.next().unwrap().is_ok());
        assert!(
            list.next()
                .unwrap()
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
    }

    #[test]
    fn the_requested_count_of_numbers_is_generated() {
        assert_eq!(generated(7, 3).count(), 3);
    }
}
