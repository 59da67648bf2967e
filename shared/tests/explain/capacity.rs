//! The statements of the carrier's limits.

use sqlx::MySqlPool;

use crate::{
    plans::{Null, Plans},
    tables::insert_schedules,
};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_of_a_limit_uses_its_key(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let mut plans = Plans::new(&pool);
    let now = i32::MAX;
    plans
        .check(
            "grant a slot",
            &["granted_at_us = LAST_INSERT_ID"],
            &["carrier_limits PRIMARY"],
            &[
                &now, &now, &now, &now, &now, &now, &now, &1, &Null, &1, &1, &1, &1, &1, &now,
                &Null, &Null, &1, &Null, &false, &0, &Null, &"main", &"submit", &false, &now, &now,
                &now, &1, &Null,
            ],
        )
        .await;
    plans
        .check(
            "read a limit",
            &[
                "SELECT per_second",
                "learned_per_second",
                "FROM carrier_limits",
            ],
            &["carrier_limits PRIMARY"],
            &[&"main", &"submit"],
        )
        .await;
    plans
        .check(
            "read how many queries are needed",
            &["s.recipient_count * s.parts"],
            &["s PRIMARY", "o by_status"],
            &[&1, &1, &id],
        )
        .await;
    plans.assert_none_wrong();
}
