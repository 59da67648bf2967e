//! The statements that only metrics need: they run once per minute, or once per pass of recheck.

use chrono::{TimeDelta, Utc};
use sqlx::MySqlPool;

use crate::{plans::Plans, tables::insert_schedules};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_statements_of_metrics_use_their_keys_and_sort_nothing(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let now = Utc::now();
    let past = now - TimeDelta::minutes(5);
    let mut plans = Plans::new(&pool);
    plans
        .check(
            "what is due at a sweep",
            &["b.pending * s.parts AS unsent"],
            &["b admitted", "s PRIMARY", "u to_cut", "x with_uncertain"],
            &[&past, &past, &3, &3, &4, &past, &now, &5000],
        )
        .await;
    plans
        .check(
            "what has ended of a batch and of those before it",
            &["AS \"delivered_before!: u64\""],
            &["batches PRIMARY"],
            &[&30, &30, &30, &30, &id, &10, &30],
        )
        .await;
    plans.assert_none_wrong();
}
