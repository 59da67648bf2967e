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

/// Reads the variables of a range of recipients, by position. Recipients without variables are
/// absent.
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

/// Parses the column `recipient_variables.variables`: a JSON object of strings.
pub fn read_variables(json: &str) -> sqlx::Result<Variables> {
    serde_json::from_str(json).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// The text of one recipient.
#[derive(Clone, Debug)]
pub struct MessageText {
    /// The text.
    pub text: Arc<str>,
    /// The number of its parts.
    pub parts: u16,
    /// The number of the text within the batch: equal texts have the same number.
    pub number: usize,
}

/// The texts of the rows of a batch.
#[derive(Clone, Debug)]
pub enum Texts {
    /// All recipients get the same text.
    Same(MessageText),
    /// One text per row, in the order of the rows.
    Each(Vec<MessageText>),
}

impl Texts {
    /// Reads the variables of a batch and renders its texts.
    ///
    /// A text that cannot be rendered is an error, which eventually parks the batch: the text was
    /// rendered when the recipient was accepted, so an operator has to find the cause.
    pub async fn read(
        db: &Db,
        claim: &Claim,
        batch: &ClaimedBatch,
        rows: &[BatchRow],
    ) -> anyhow::Result<Self> {
        let Some(template) = Template::parse(&batch.message)
            .map_err(|error| anyhow::anyhow!("the message is not a template: {error}"))?
        else {
            return Ok(Self::Same(MessageText {
                text: batch.message.as_str().into(),
                parts: batch.parts,
                number: 0,
            }));
        };
        let mut connection = db.acquire().await?;
        let variables = variables_of_range(&mut connection, claim.batch.schedule_id, batch.range())
            .await
            .context("reading variables")?;
        let (mut known, no_variables) = (HashMap::<String, MessageText>::new(), Variables::new());
        let mut texts = Vec::with_capacity(rows.len());
        for row in rows {
            let rendered = template.render(variables.get(&row.seq).unwrap_or(&no_variables));
            let rendered =
                rendered.with_context(|| format!("the text of recipient {}", row.seq))?;
            let number = known.len();
            let text = known
                .entry(rendered.text)
                .or_insert_with_key(|text| MessageText {
                    text: text.as_str().into(),
                    parts: rendered.parts,
                    number,
                });
            texts.push(text.clone());
        }
        Ok(Self::Each(texts))
    }

    /// Returns the text of the row at this index.
    pub fn of(&self, index: usize) -> &MessageText {
        match self {
            Self::Same(text) => text,
            Self::Each(texts) => &texts[index],
        }
    }
}
