//! Holding what is late: `hold_missed`, `mark_missed`.

use model::{database::Batch, rules};
use send::store;
use sqlx::MySqlPool;

use crate::table::{Case, TOKENS, Table, pairs, schedules};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn holding_is_as_the_model_says(pool: MySqlPool) {
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
    let case = |(schedule, batch)| Case {
        schedule,
        batch,
        ..Case::SENDING
    };
    let mut cases: Vec<_> = pairs(&schedules(), &batches)
        .into_iter()
        .map(case)
        .collect();
    cases.retain(Case::is_allowed);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (at, case) in expected.iter_mut().enumerate() {
        let owns = case.owns();
        let held = rules::hold_missed(&mut case.batch, &case.schedule, owns);
        assert_eq!(
            store::hold_missed(&table.db, &table.claim(at), table.now)
                .await
                .unwrap(),
            held,
            "{case:?}"
        );
    }
    table.expect(&cases, &expected).await;
}
