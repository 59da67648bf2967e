//! `GET /v1/trouble`: everything that needs a person, in one document: how much there is of each kind, and the first of it.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use shared::db::trouble::{Place, count_trouble};

use super::{
    Kind,
    entry::Entry,
    list::{Page, read_page},
};
use crate::{App, error::ApiError, query::Query, transaction::settle};

/// Entries of each kind; its list has them all.
const FIRST: u32 = 10;

/// The document.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// How much there is in all; 0: nobody has to do anything.
    total: i64,
    /// By kind.
    kinds: BTreeMap<&'static str, Summary>,
}

/// One kind.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// How many entries its list has.
    count: i64,
    /// The first of them.
    entries: Vec<Entry>,
    /// Where its list goes on; null: this is all.
    next_cursor: Option<String>,
    /// The list.
    href: String,
}

/// 200 with the document.
pub async fn overview(State(app): State<App>, query: Query) -> Result<Json<Overview>, ApiError> {
    query.finish()?;
    let mut transaction = app.db.pool.begin().await?;
    let overview = async {
        let now = app.db.now();
        let totals = count_trouble(&mut transaction, now).await?;
        let mut kinds = BTreeMap::new();
        for kind in Kind::ALL {
            let Page { entries, next_cursor, .. } = read_page(&mut transaction, kind, (Place::START, FIRST), now).await?;
            let href = format!("/v1/trouble/{}", kind.as_str());
            kinds.insert(kind.as_str(), Summary { count: kind.count(&totals), entries, next_cursor, href });
        }
        Ok(Overview { total: kinds.values().map(|kind| kind.count).sum(), kinds })
    }
    .await;
    Ok(Json(settle(transaction, overview).await?))
}
