//! Carries out a call: finds each recipient and its batch, and writes batch by batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use shared::{
    platform::queue::{BatchMessage, Outgoing},
    schedule::row::load_schedule,
};
use uuid::Uuid;

use super::{
    address::Address,
    outcome::{Order, RecipientChange},
    store::places_of_references,
    write::Group,
};
use crate::{
    App, CALL_BUDGET, ENQUEUE_TIMEOUT,
    auth::Caller,
    http::error::ApiError,
    resources::{
        schedules::arrange_dispatch::enqueue_deliveries,
        uncertain::store::{BatchRange, batch_ranges, places_of},
    },
};

/// The number of batches whose messages are sent to the recheck queue together.
const ENQUEUED_TOGETHER: usize = 10;

/// Carries out the orders, batch by batch, at least those of one batch, and begins no further batch
/// when the time of the call is over. Returns what became of each recipient, in the order of the orders.
pub async fn carry_out(
    app: &App,
    caller: &Caller,
    id: Uuid,
    orders: &[Order],
) -> Result<Vec<RecipientChange>, ApiError> {
    let mut due = Vec::new();
    let results = write_batches(app, caller, id, orders, &mut due).await;
    // Also after an error: what was written before it is due.
    enqueue_rechecks(app, &mut due).await;
    results
}

async fn write_batches(
    app: &App,
    caller: &Caller,
    id: Uuid,
    orders: &[Order],
    due: &mut Vec<BatchMessage>,
) -> Result<Vec<RecipientChange>, ApiError> {
    let (begun, mut has_written) = (Instant::now(), false);
    let mut results = vec![RecipientChange::NOT_FOUND; orders.len()];
    let mut left: Vec<(u32, usize)> = find(app, id, orders, &mut results).await?;
    for (seq, at) in &left {
        results[*at] = RecipientChange::not_reached(*seq);
    }
    // The cut happens once, so the second round finds the batches.
    while !left.is_empty() {
        let (is_cut, groups) = group(app, id, &left).await?;
        left.clear();
        for (batch_no, members) in groups {
            if has_written && begun.elapsed() > CALL_BUDGET {
                return Ok(results);
            }
            let group = Group {
                app,
                id,
                batch_no,
                is_cut,
                orders: &members,
                all: orders,
            };
            let written = group.run(caller).await?;
            enqueue_deliveries(app, &written.deliveries).await;
            due.extend(written.due);
            if due.len() >= ENQUEUED_TOGETHER {
                enqueue_rechecks(app, due).await;
            }
            has_written |= written.changes.is_some();
            match written.changes {
                Some(changes) => changes
                    .into_iter()
                    .for_each(|(at, change)| results[at] = change),
                None => left.extend(members),
            }
        }
    }
    Ok(results)
}

/// Finds the recipients. Returns the place in the list of each, and its place among the orders;
/// what is not found stays so in `results`.
async fn find(
    app: &App,
    id: Uuid,
    orders: &[Order],
    results: &mut [RecipientChange],
) -> Result<Vec<(u32, usize)>, ApiError> {
    let (mut phones, mut references, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for (at, order) in orders.iter().enumerate() {
        match &order.address {
            Address::Seq(seq) => found.push((*seq, at)),
            Address::Phone(phone) => phones.push((phone.to_string(), at)),
            Address::Reference(reference) => references.push((at, &**reference)),
        }
    }
    let mut connection = app.db.acquire().await?;
    let numbers: BTreeSet<_> = phones.iter().map(|(phone, _)| phone.clone()).collect();
    let numbers: Vec<_> = numbers.into_iter().collect();
    let places = places_of(&mut connection, id, &numbers).await?;
    for (phone, at) in phones {
        match places.get(&phone).map(Vec::as_slice) {
            Some([place]) => found.push((*place, at)),
            Some(_) => results[at] = RecipientChange::AMBIGUOUS,
            None => {}
        }
    }
    if references.is_empty() {
        return Ok(found);
    }
    for place in places_of_references(&mut connection, id, &references).await? {
        let at = place.at as usize;
        match (place.first, place.last) {
            (Some(first), Some(last)) if first == last => found.push((first, at)),
            (Some(_), _) => results[at] = RecipientChange::AMBIGUOUS,
            _ => {}
        }
    }
    Ok(found)
}

type Groups = BTreeMap<Option<u32>, Vec<(u32, usize)>>;

/// Groups recipients by their batch. Also returns whether the schedule is cut.
async fn group(app: &App, id: Uuid, left: &[(u32, usize)]) -> Result<(bool, Groups), ApiError> {
    let mut connection = app.db.acquire().await?;
    let schedule = load_schedule(&mut connection, id).await?;
    let is_cut = schedule
        .ok_or_else(ApiError::no_such_schedule)?
        .batch_count
        .is_some();
    let ranges = if is_cut {
        batch_ranges(&mut connection, id).await?
    } else {
        Vec::new()
    };
    let mut groups = Groups::new();
    for (seq, at) in left {
        let batch_no = batch_of(&ranges, *seq);
        groups.entry(batch_no).or_default().push((*seq, *at));
    }
    Ok((is_cut, groups))
}

fn batch_of(ranges: &[BatchRange], seq: u32) -> Option<u32> {
    let at = ranges.partition_point(|batch| batch.last_seq < seq);
    let batch = ranges.get(at).filter(|batch| batch.first_seq <= seq);
    batch.map(|batch| batch.batch_no)
}

/// Puts batches on the recheck queue, and empties the list of them. Messages that the queue refuses
/// are left to the sweep.
async fn enqueue_rechecks(app: &App, due: &mut Vec<BatchMessage>) {
    if due.is_empty() {
        return;
    }
    let now = app.db.now();
    let due = due.drain(..).map(|batch| Outgoing::batch(batch, now, now));
    let messages: Vec<_> = due.collect();
    match tokio::time::timeout(ENQUEUE_TIMEOUT, app.recheck_queue.send(&messages)).await {
        Ok(failed) if failed.is_empty() => {}
        _ => tracing::warn!("the recheck queue refused messages; the sweep will find the batches"),
    }
}
