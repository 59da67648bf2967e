//! The texts of a batch: one for all recipients, or one per recipient, rendered from its variables.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    batch::{
        SeqRange,
        claim::{Claim, ClaimedBatch},
        rows::BatchRow,
    },
    message::template::{Template, Variables},
    platform::db::Db,
};

/// The variables of a range of places; those without any are left out.
pub async fn variables_of_range(
    connection: &mut MySqlConnection,
    id: Uuid,
    range: SeqRange,
) -> sqlx::Result<HashMap<u32, Variables>> {
    let rows = sqlx::query!(
        "SELECT seq, variables FROM recipient_variables WHERE schedule_id = ? AND seq BETWEEN ? AND ?",
        id,
        range.first,
        range.last
    );
    rows.fetch_all(connection)
        .await?
        .into_iter()
        .map(|row| Ok((row.seq, read_variables(&row.variables)?)))
        .collect()
}

/// Reads what `recipient_variables.variables` holds: a JSON object of strings.
pub fn read_variables(json: &str) -> sqlx::Result<Variables> {
    serde_json::from_str(json).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// What goes to a recipient.
#[derive(Clone, Debug)]
pub struct Text {
    /// The text.
    pub text: Arc<str>,
    /// In how many parts it travels.
    pub parts: u16,
    /// Equal texts of a batch have the same, counted as they come.
    pub number: usize,
}

/// The texts of the rows of a batch, by their places.
#[derive(Clone, Debug)]
pub enum Texts {
    /// All get the same.
    Same(Text),
    /// Each its own.
    Each(Vec<Text>),
}

impl Texts {
    /// Makes them. A text that can't be made is an error, which in the end parks the batch: it was made when its recipient was taken in,
    /// so something is wrong that a person has to look at.
    pub async fn read(
        db: &Db,
        claim: &Claim,
        batch: &ClaimedBatch,
        rows: &[BatchRow],
    ) -> anyhow::Result<Self> {
        let Some(template) = Template::parse(&batch.message)
            .map_err(|error| anyhow::anyhow!("the message is no template: {error}"))?
        else {
            return Ok(Self::Same(Text {
                text: batch.message.as_str().into(),
                parts: batch.parts,
                number: 0,
            }));
        };
        let mut connection = db.pool.acquire().await?;
        let variables = variables_of_range(&mut connection, claim.batch.schedule_id, batch.range())
            .await
            .context("reading variables")?;
        let (mut known, none) = (HashMap::<String, Text>::new(), Variables::new());
        let mut texts = Vec::with_capacity(rows.len());
        for row in rows {
            let made = template.render(variables.get(&row.seq).unwrap_or(&none));
            let made = made.with_context(|| format!("the text of recipient {}", row.seq))?;
            let number = known.len();
            let text = known.entry(made.text).or_insert_with_key(|text| Text {
                text: text.as_str().into(),
                parts: made.parts,
                number,
            });
            texts.push(text.clone());
        }
        Ok(Self::Each(texts))
    }

    /// The text of the row at this place.
    pub fn of(&self, at: usize) -> &Text {
        match self {
            Self::Same(text) => text,
            Self::Each(texts) => &texts[at],
        }
    }
}
