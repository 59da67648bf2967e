//! `DELETE /v1/people/{phone}`: erases a number everywhere. What waits to be sent to it is cancelled
//! first. A message that is on its way cannot be erased yet, because its receipt names the number:
//! the answer counts it, and the call is repeated later.

use std::time::Instant;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    message::phone::Phone,
    platform::{
        fault::{self, Point},
        queue::BatchMessage,
    },
    schedule::erasure::{ErasedValues, erase_recipients, erase_texts, lock_erasable},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::store::{PhonePlace, empty_suppression, lock_place, places_of_phone};
use crate::{
    App, CALL_BUDGET,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{error::ApiError, path::Path, query::Query},
    openapi::Operation,
    resources::{
        recipients::one::{address::Address, carry_out::carry_out, outcome::Order},
        suppressions::{
            person_of, phone_of,
            store::{Note, delete_suppression, insert_suppressions},
        },
    },
};

/// Places of the number that are read at a time.
const PLACES: u32 = 200;

/// What becomes of the number's suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterErasure {
    /// A number that has opted out stays suppressed.
    Keep,
    /// The number is suppressed from now on.
    Add,
    /// The number is forgotten, and can be written to again.
    Remove,
}

impl AfterErasure {
    const ALL: [Self; 3] = [Self::Keep, Self::Add, Self::Remove];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }
}

/// What a call has erased.
#[derive(Clone, Copy, Debug, Default, JsonSchema, Serialize)]
pub struct ErasedPerson {
    /// Messages that were not sent yet, and are cancelled.
    cancelled: u64,
    /// Messages whose number is replaced by a keyed hash.
    messages: u64,
    /// Earlier attempts of them without the carrier's id.
    attempts: u64,
    /// Variables that are deleted.
    variables: u64,
    /// References that are deleted.
    references: u64,
    /// Texts that only this number got. A text that others got too is no personal data of one of them.
    texts: u64,
    /// Reasons of its suppression that are deleted.
    suppression_reasons: u64,
    /// Whether the number is suppressed, and for that reason kept in the list of suppressions.
    suppressed: bool,
    /// Messages that cannot be erased yet: one is on its way, may be sent again, or waits for an
    /// operator. Repeat the call when their schedules have ended.
    not_yet: u64,
    /// Whether there is more than one call can do; if so, repeat the call.
    more: bool,
}

/// Returns 200 with what was erased.
pub async fn erase(
    State(app): State<App>,
    caller: Caller,
    Path(phone): Path<String>,
    mut query: Query,
) -> Result<Json<ErasedPerson>, ApiError> {
    let then = query.choice("suppression", &AfterErasure::ALL, AfterErasure::as_str);
    query.finish()?;
    let phone = phone_of(&phone)?;
    let then = then.unwrap_or(AfterErasure::Keep);
    if then == AfterErasure::Add {
        // First, so that no message is sent again meanwhile.
        suppress(&app, &caller, phone).await?;
    }
    let mut erased = ErasedPerson::default();
    erase_places(&app, &caller, phone, &mut erased).await?;
    erase_suppression(&app, &caller, phone, then, &mut erased).await?;
    Ok(Json(erased))
}

/// Cancels and erases place by place, at least one, until the time of the call is over.
async fn erase_places(
    app: &App,
    caller: &Caller,
    phone: Phone,
    erased: &mut ErasedPerson,
) -> Result<(), ApiError> {
    let begun = Instant::now();
    let mut after: Option<PhonePlace> = None;
    loop {
        let places = {
            let mut connection = app.db.acquire().await?;
            places_of_phone(&mut connection, phone, after.as_ref(), PLACES).await?
        };
        for place in &places {
            if after.is_some() && begun.elapsed() > CALL_BUDGET {
                erased.more = true;
                return Ok(());
            }
            if place.is_waiting() {
                erased.cancelled += cancel(app, caller, place).await?;
            }
            erase_place(app, caller, phone, place, erased).await?;
            after = Some(place.clone());
        }
        if places.len() < PLACES as usize {
            return Ok(());
        }
    }
}

async fn cancel(app: &App, caller: &Caller, place: &PhonePlace) -> Result<u64, ApiError> {
    let order = Order {
        address: Address::Seq(place.seq),
        edit: None,
    };
    let changes = carry_out(app, caller, place.schedule_id, &[order]).await?;
    Ok(changes.iter().filter(|change| change.in_time).count() as u64)
}

/// The effect of the transaction of one place.
#[derive(Clone, Copy, Default)]
struct ErasedPlace {
    values: ErasedValues,
    texts: u64,
    is_left: bool,
}

async fn erase_place(
    app: &App,
    caller: &Caller,
    phone: Phone,
    place: &PhonePlace,
    erased: &mut ErasedPerson,
) -> Result<(), ApiError> {
    let hash = app.webhook_keys.current().person_hash(&phone.to_string());
    let (hash, now) = (&hash, app.db.now());
    let (id, seq) = (place.schedule_id, place.seq);
    let done = audited_transaction(&app.db, caller, |mut transaction| {
        Box::pin(async move {
            let done = write(&mut transaction, phone, (id, seq), hash, now).await?;
            let change = (done.values.recipients > 0)
                .then(|| Change::of_schedule("recipient.erase", id, (), json!({ "seqs": [seq] })));
            Ok((done, change))
        })
    })
    .await?;
    fault::reach(
        Point::Erased,
        BatchMessage {
            schedule_id: id,
            batch_no: 0,
        },
    )
    .await;
    erased.messages += done.values.recipients;
    erased.attempts += done.values.attempts;
    erased.variables += done.values.variables;
    erased.references += done.values.references;
    erased.texts += done.texts;
    erased.not_yet += u64::from(done.is_left);
    Ok(())
}

async fn write(
    connection: &mut MySqlConnection,
    phone: Phone,
    (id, seq): (Uuid, u32),
    hash: &str,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<ErasedPlace, ApiError> {
    let nothing = ErasedPlace::default();
    let Some(schedule) = lock_erasable(connection, id).await? else {
        return Ok(nothing);
    };
    let Some(place) = lock_place(connection, id, seq).await? else {
        return Ok(nothing);
    };
    // It has got another number meanwhile, or another call has erased it.
    if place.phone != Some(phone.to_string()) {
        return Ok(nothing);
    }
    if !place.is_erasable(&schedule, now) {
        let is_left = true;
        return Ok(ErasedPlace { is_left, ..nothing });
    }
    let values = erase_recipients(connection, id, &[(seq, Some(hash.to_owned()))]).await?;
    let is_only_one = schedule.recipient_count == 1 && schedule.invalid_count == 0;
    let has_text = schedule.personal_data_erased_at.is_none();
    let mut texts = 0;
    if is_only_one && has_text && schedule.is_never_resent(now) {
        erase_texts(connection, id, now).await?;
        texts = 1;
    }
    Ok(ErasedPlace {
        values,
        texts,
        is_left: false,
    })
}

async fn suppress(app: &App, caller: &Caller, phone: Phone) -> Result<(), ApiError> {
    let note = Note {
        reason: None,
        source: "erasure".to_owned(),
        created_at: app.db.now(),
        created_by: caller.actor(),
    };
    let (note, person) = (&note, person_of(app, phone));
    let person = &person;
    audited_transaction(&app.db, caller, |mut transaction| {
        Box::pin(async move {
            let new = insert_suppressions(&mut transaction, &[phone], note).await? > 0;
            let change = new.then(|| Change {
                action: "suppression.put",
                resource: format!("suppression:{person}"),
                after: Some(json!({"source": note.source, "new": true})),
                ..Change::default()
            });
            Ok(((), change))
        })
    })
    .await
}

/// Erases what is known of the suppression, and records the whole call.
async fn erase_suppression(
    app: &App,
    caller: &Caller,
    phone: Phone,
    then: AfterErasure,
    erased: &mut ErasedPerson,
) -> Result<(), ApiError> {
    let before = *erased;
    let (before, person) = (&before, person_of(app, phone));
    let person = &person;
    *erased = audited_transaction(&app.db, caller, |mut transaction| {
        Box::pin(async move {
            let mut erased = *before;
            let suppression = empty_suppression(&mut transaction, phone).await?;
            erased.suppression_reasons = suppression.reasons;
            erased.suppressed = suppression.exists;
            // It still protects the number from a resend of what is left.
            let is_done = erased.not_yet == 0 && !erased.more;
            if suppression.exists && then == AfterErasure::Remove && is_done {
                delete_suppression(&mut transaction, phone).await?;
                erased.suppressed = false;
            }
            let change = Change {
                action: "person.erase",
                resource: format!("person:{person}"),
                after: serde_json::to_value(erased).ok(),
                ..Change::default()
            };
            Ok((erased, change))
        })
    })
    .await?;
    Ok(())
}

/// Describes `DELETE /v1/people/{phone}` in the OpenAPI document.
pub fn erase_doc() -> Operation {
    let example = json!({"cancelled": 1, "messages": 12, "attempts": 2, "variables": 12, "references": 4, "texts": 1,
        "suppression_reasons": 1, "suppressed": true, "not_yet": 0, "more": false});
    let choices = AfterErasure::ALL.map(AfterErasure::as_str);
    Operation::new("erasePerson", "people", "Erase a number")
        .text(
            "Cancels what waits to be sent to the number. Replaces the number by a keyed hash in its messages, so that counts remain and \
             `GET /v1/messages?phone=` still finds them, and deletes their variables, references and carrier's ids, and texts that nobody else \
             got. Repeat the call while `more` is true, and later while `not_yet` is not 0. The same call made twice erases nothing.",
        )
        .query(
            "suppression",
            json!({"type": "string", "enum": choices, "default": "keep"}),
            "`keep`: a number that has opted out stays in the list of suppressions, without its reasons. `add`: it is added to the list, so that \
             nobody writes to it again. `remove`: it is deleted from the list, as soon as nothing else of it is left.",
        )
        .answers::<ErasedPerson>(200, "What was erased.", example)
}
