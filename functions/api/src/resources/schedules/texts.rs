//! Checks a new message against a list that exists: each recipient needs a text.

use shared::message::template::{RenderError, Template};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::{
        error::{ApiError, FieldError},
        page::PageRequest,
    },
    resources::schedules::store::addressees::page_of_addressees,
};

/// Recipients per page.
const PAGE: u32 = 10_000;

/// Renders the text of every recipient, and returns the number of parts of the longest: 1 for an
/// empty list. Fails if a text cannot be rendered; the error has the number of such recipients, and
/// the reason for the first.
pub async fn most_parts(
    connection: &mut MySqlConnection,
    id: Uuid,
    template: &Template,
) -> Result<u16, ApiError> {
    let (mut most, mut after) = (1, 0);
    let mut failed: Option<(u32, RenderError, u64)> = None;
    loop {
        let page = page_of_addressees(connection, id, PageRequest { after, limit: PAGE }).await?;
        for addressee in &page {
            after = addressee.seq;
            match (template.render(&addressee.variables), &mut failed) {
                (Ok(made), _) => most = most.max(made.parts),
                (Err(_), Some((_, _, count))) => *count += 1,
                (Err(error), None) => failed = Some((addressee.seq, error, 1)),
            }
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    let Some((seq, error, count)) = failed else {
        return Ok(most);
    };
    let detail = format!(
        "this message cannot be rendered for {count} of the recipients; the first has seq {seq}: {error}"
    );
    Err(ApiError::invalid(vec![FieldError::new(
        "message",
        error.code(),
        detail,
    )]))
}
