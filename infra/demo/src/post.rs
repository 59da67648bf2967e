//! Posts a schedule. A short list is posted in one call. A long list is posted as a draft, to which
//! several calls append, and which is then activated. Only one call's numbers are in memory.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use flate2::{Compression, write::GzEncoder};
use uuid::Uuid;

use crate::{
    api::{Api, Appended, NewSchedule, Schedule},
    list::List,
};

/// The longest list that is posted together with the schedule.
pub const MAX_IN_ONE_CALL: usize = 5_000;
/// Numbers in the first append; each later append has as many as fit into [`TARGET_DURATION`].
const FIRST_APPEND: usize = 20_000;
/// Numbers in the largest append. Compressed, they stay far below the gateway's limit of 4.5 MB.
const LARGEST_APPEND: usize = 250_000;
/// The intended duration of a call; the gateway times out after thirty seconds.
const TARGET_DURATION: Duration = Duration::from_secs(6);
/// How often an append is tried. It can be retried safely: a number that is in the list already is
/// counted as a duplicate, and sent once.
const TRIES: u32 = 3;

/// The result of posting a schedule.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The schedule as the API returned it after posting.
    pub schedule: Schedule,
    /// How long posting took.
    pub took: Duration,
    /// The number of calls.
    pub calls: u32,
}

/// Posts `schedule` with the numbers of `list`. Calls `report` after each append with the count of
/// numbers posted so far.
pub async fn post(
    api: &Api,
    mut schedule: NewSchedule,
    mut list: List,
    report: impl Fn(u64),
) -> anyhow::Result<Posted> {
    let begun = Instant::now();
    // Reads one more number than fits, to distinguish a short list from a long one.
    let head = take(&mut list, MAX_IN_ONE_CALL + 1)?;
    if head.is_empty() {
        bail!("the list holds no numbers");
    }
    if head.len() <= MAX_IN_ONE_CALL {
        schedule.recipients = head;
        let schedule = api.create(&schedule).await?;
        return Ok(Posted {
            schedule,
            took: begun.elapsed(),
            calls: 1,
        });
    }
    schedule.draft = true;
    let id = api.create(&schedule).await?.id;
    let appends = append_all(
        api,
        id,
        Box::new(head.into_iter().map(Ok).chain(list)),
        report,
    )
    .await?;
    api.activate(id).await?;
    Ok(Posted {
        schedule: api.schedule(id).await?,
        took: begun.elapsed(),
        calls: appends + 2,
    })
}

async fn append_all(
    api: &Api,
    id: Uuid,
    mut list: List,
    report: impl Fn(u64),
) -> anyhow::Result<u32> {
    let (mut size, mut calls, mut posted) = (FIRST_APPEND, 0, 0);
    loop {
        let numbers = take(&mut list, size)?;
        if numbers.is_empty() {
            return Ok(calls);
        }
        let begun = Instant::now();
        append(api, id, &numbers).await?;
        calls += 1;
        posted += numbers.len() as u64;
        report(posted);
        size = next_size(size, begun.elapsed());
    }
}

async fn append(api: &Api, id: Uuid, numbers: &[String]) -> anyhow::Result<Appended> {
    let body = compress(numbers)?;
    for tried in 1..TRIES {
        match api.append(id, body.clone()).await {
            Ok(appended) => return Ok(appended),
            Err(error) => eprintln!(
                "an append failed ({error:#}); starting try {} of {TRIES}",
                tried + 1
            ),
        }
        tokio::time::sleep(Duration::from_secs(tried.into())).await;
    }
    api.append(id, body).await
}

/// Returns the size of the next append. It at most doubles, so that an unusually fast first call
/// doesn't lead to an append that is too large.
fn next_size(size: usize, took: Duration) -> usize {
    let fits = size as f64 * TARGET_DURATION.as_secs_f64() / took.as_secs_f64().max(0.001);
    (fits as usize).clamp(1_000, (2 * size).min(LARGEST_APPEND))
}

fn take(list: &mut List, count: usize) -> anyhow::Result<Vec<String>> {
    list.take(count).collect()
}

fn compress(numbers: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for number in numbers {
        serde_json::to_writer(&mut encoder, number)?;
        encoder.write_all(b"\n")?;
    }
    encoder.finish().context("compressing the list")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_size_of_an_append_adapts_to_its_duration() {
        let table = [
            (20_000, 1, 40_000),
            (20_000, 12, 10_000),
            (200_000, 1, 250_000),
            (2_000, 60, 1_000),
        ];
        for (size, took_s, next) in table {
            assert_eq!(next_size(size, Duration::from_secs(took_s)), next);
        }
    }

    #[test]
    fn an_append_is_compressed_ndjson_within_the_gateways_limit() {
        let numbers: Vec<_> = (0..LARGEST_APPEND as u64)
            .map(|at| crate::numbers::number(at * 7919))
            .collect();
        let body = compress(&numbers).unwrap();
        assert!(body.len() < 4_500_000, "{}", body.len());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&body[..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text.lines().count(), LARGEST_APPEND);
        assert_eq!(text.lines().next(), Some(r#""+601110000000""#));
    }
}
