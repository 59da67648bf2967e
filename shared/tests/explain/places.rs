//! The statements about the places of a list with copies, which has gaps of millions.

use sqlx::MySqlPool;

use crate::{
    plans::Plans,
    tables::{analyze, execute, insert_schedules},
};

/// A third of the places are 100,000,000 behind the others.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_gaps_and_the_parts_of_a_list_are_found_without_reading_it(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let copies = "UPDATE recipients SET seq = seq + 100000000, copy = 1 WHERE seq % 3 = 0";
    execute(&pool, copies).await;
    analyze(&pool, "schedules, recipients").await;
    let mut plans = Plans::new(&pool);
    let gap = ["SELECT MIN(seq) FROM recipients", "seq > ?"];
    plans
        .check_end_of_key("the place behind a gap", &gap, &[&id, &1_999])
        .await;
    let part = ["SELECT MAX(seq) FROM recipients", "seq BETWEEN ? AND ?"];
    plans
        .check_end_of_key(
            "the end of a part of a list",
            &part,
            &[&id, &100_000_001, &199_999_999],
        )
        .await;
    plans.assert_none_wrong();
}
