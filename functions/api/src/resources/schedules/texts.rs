//! Another message for a list that is there already: is there a text for everybody in it?

use shared::message::template::{PersonalError, Template};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::error::{ApiError, FieldError},
    resources::recipients::store::page_of_addressees,
};

/// Recipients that are read at once.
const PAGE: u32 = 10_000;

/// Makes the text of every recipient, and gives the parts of the longest: 1 for an empty list. Refused where one can't be made; it is said
/// for how many, and why for the first.
pub async fn most_parts(
    connection: &mut MySqlConnection,
    id: Uuid,
    template: &Template,
) -> Result<u16, ApiError> {
    let (mut most, mut after) = (1, 0);
    let mut failed: Option<(u32, PersonalError, u64)> = None;
    loop {
        let page = page_of_addressees(connection, id, (after, PAGE)).await?;
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
        "this message makes no text for {count} of the recipients; the first has seq {seq}: {error}"
    );
    Err(ApiError::invalid(vec![FieldError::new(
        "message",
        error.code(),
        detail,
    )]))
}
