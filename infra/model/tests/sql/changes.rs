//! The cancellation and the change of one recipient, for a batch with each claim.

use api::resources::{
    recipients::one::store::{cancel_recipients, is_claimed, lock_recipients, take_batch},
    uncertain::store::lock_batch,
};
use model::{rows::Batch, rules};
use sqlx::MySqlPool;

use crate::{
    cases::{Case, TOKENS, pairs, rows},
    table::Table,
};

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let claims = pairs(&TOKENS, &pairs(&[false, true], &[0, 1]));
    for (row, ((token, lease_over), (missed, crashes))) in pairs(&rows(), &claims) {
        let batch = Batch {
            token,
            lease_over,
            missed,
            crashes,
            ..Case::SENDING.batch
        };
        cases.push(Case {
            row,
            batch,
            ..Case::SENDING
        });
    }
    cases.retain(Case::is_allowed);
    cases
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_cancellation_matches_the_model(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let Case {
            schedule,
            batch,
            row,
        } = case;
        let (id, key) = (table.ids[index], table.claim(index).batch);
        let mut transaction = table.db.pool.begin().await.unwrap();
        let locked = lock_batch(&mut transaction, id, 1, table.now)
            .await
            .unwrap()
            .unwrap();
        let found = lock_recipients(&mut transaction, id, &[1]).await.unwrap();
        let cancelled = cancel_recipients(&mut transaction, id, &[1], table.now)
            .await
            .unwrap()
            == 1;
        assert_eq!(found[0].is_in_time(), cancelled, "{row:?}");
        if cancelled && (!locked.owned || locked.held) {
            take_batch(&mut transaction, key, &locked, table.now)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
        assert_eq!(
            rules::cancel_recipient(row, batch, schedule, false),
            cancelled,
            "{row:?}"
        );
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_change_matches_the_model(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let Case { batch, row, .. } = case;
        let (id, key) = (table.ids[index], table.claim(index).batch);
        let mut transaction = table.db.pool.begin().await.unwrap();
        let locked = lock_batch(&mut transaction, id, 1, table.now)
            .await
            .unwrap()
            .unwrap();
        let in_time = lock_recipients(&mut transaction, id, &[1]).await.unwrap()[0].is_in_time();
        // The statement clears the hold of a batch that holds nothing, which no case has here.
        if in_time && is_claimed(&mut transaction, key).await.unwrap() {
            take_batch(&mut transaction, key, &locked, table.now)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
        assert_eq!(rules::change_recipient(row, batch), in_time, "{row:?}");
    }
    table.expect(&cases, &expected).await;
}
