//! `hold_missed`.

use model::{rows::Batch, rules};
use send::store;
use sqlx::MySqlPool;

use crate::{
    cases::{Case, TOKENS, pairs, schedules_with},
    table::Table,
};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn hold_missed_matches_the_model(pool: MySqlPool) {
    let batch = |((token, lease_over), missed)| Batch {
        token,
        lease_over,
        missed,
        ..Case::SENDING.batch
    };
    let batches: Vec<_> = pairs(&TOKENS, &[false, true])
        .into_iter()
        .map(batch)
        .collect();
    let cases = schedules_with(&batches);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let owns = case.owns();
        let held = rules::hold_missed(&mut case.batch, &case.schedule, owns);
        assert_eq!(
            store::hold_missed(&table.db, &table.claim(index), table.now)
                .await
                .unwrap(),
            held,
            "{case:?}"
        );
    }
    table.expect(&cases, &expected).await;
}
