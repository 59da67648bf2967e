//! The statements of a pass over a batch, and of the sweep.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::{Bind, Plans},
    tables::insert_schedules,
};

/// The values that the statements take.
struct Values {
    id: Uuid,
    token: Uuid,
    now: DateTime<Utc>,
    /// One row of a flush.
    rows: &'static str,
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_of_a_pass_and_of_the_sweep_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let values = Values {
        id: insert_schedules(&pool).await[0],
        token: Uuid::new_v4(),
        now: Utc::now(),
        rows: r#"[{"q":1,"a":1,"k":0,"r":0,"s":"ACCEPTD","m":"x","e":null,"f":0}]"#,
    };
    // One batch is claimed, so that the statements with its token find it.
    let sql = "UPDATE batches SET claim_token = ?, claimed_until = ?, send_at = ? WHERE schedule_id = ? AND batch_no = 1";
    let past = values.now - TimeDelta::seconds(1);
    let claim = sqlx::query(sql)
        .bind(values.token)
        .bind(past)
        .bind(past)
        .bind(values.id);
    claim.execute(&pool).await.unwrap();
    let mut plans = Plans::new(&pool);
    check_claim(&mut plans, &values).await;
    check_recording(&mut plans, &values).await;
    check_release(&mut plans, &values).await;
    check_sweep(&mut plans, &values).await;
    plans.assert_none_wrong();
}

async fn check_claim(plans: &mut Plans<'_>, values: &Values) {
    let Values { id, token, now, .. } = values;
    let claim_to_send = ["b.tries = b.tries + 1", "NOT EXISTS (SELECT 1 FROM brakes"];
    plans
        .check(
            "claim to send",
            &claim_to_send,
            &["b PRIMARY", "s PRIMARY"],
            &[token, now, now, id, &1, now, now, &3],
        )
        .await;
    plans
        .check(
            "release of the brake",
            &["LEAST(b.sweep_at, IF(b.claim_token IS NULL"],
            &["b admitted", "s PRIMARY"],
            &[],
        )
        .await;
    plans
        .check(
            "claim to check",
            &["UPDATE batches SET crashes = crashes + 1"],
            &["batches PRIMARY"],
            &[token, now, now, id, &1, now, now, &3],
        )
        .await;
    plans
        .check(
            "read the claimed batch",
            &["SELECT b.first_seq, b.last_seq", "b.claim_token = ?"],
            &["b PRIMARY", "s PRIMARY", "c PRIMARY", "l PRIMARY"],
            &[&"main", &"submit", id, &1, token],
        )
        .await;
    let open_rows = [
        "FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?",
        "attempt, resends",
        "ORDER BY seq",
    ];
    plans
        .check(
            "read open recipients",
            &open_rows,
            &["recipients PRIMARY", "x PRIMARY"],
            &[&true, id, &1, &20, &"send-until"],
        )
        .await;
    plans
        .check(
            "take a slot of the rate",
            &["SET rate_free_at_us = LAST_INSERT_ID"],
            &["schedules PRIMARY"],
            &[&1, &1, id, &1],
        )
        .await;
    plans
        .check(
            "record progress",
            &["UPDATE carriers SET outage_until"],
            &["carriers PRIMARY"],
            &[now, now, now, now, &"main", now],
        )
        .await;
}

async fn check_recording(plans: &mut Plans<'_>, values: &Values) {
    let Values {
        id,
        token,
        now,
        rows,
    } = values;
    plans
        .check(
            "mark rows of a lost owner",
            &["r.error = 'owner lost'"],
            &["r PRIMARY", "b PRIMARY"],
            &[&1, id, &1, &20, token],
        )
        .await;
    plans
        .check(
            "expire pending recipients",
            &["SET r.status = 'EXPIRED'"],
            &["r PRIMARY", "b PRIMARY"],
            &[&1, &"send-until", now, id, &1, &20, token],
        )
        .await;
    plans
        .check(
            "flush",
            &["SET r.resends = r.resends + j.resend"],
            &["r PRIMARY", "b PRIMARY", "s PRIMARY"],
            &[rows, &1, now, now, id, token, token, now],
        )
        .await;
    plans
        .check(
            "copy attempts",
            &["INSERT INTO attempts", "b.claim_token = ?"],
            &["r PRIMARY", "b PRIMARY", "s PRIMARY"],
            &[rows, id, &1, token],
        )
        .await;
    plans
        .check(
            "record status updates",
            &["SET r.carrier_status = j.word", "b.claim_token = ?"],
            &["r PRIMARY", "b PRIMARY"],
            &[rows, &1, now, id, token],
        )
        .await;
    check_recording_in_place(plans, values).await;
}

async fn check_recording_in_place(plans: &mut Plans<'_>, values: &Values) {
    let Values { id, token, now, .. } = values;
    plans
        .check(
            "flush in place",
            &["SET attempt = attempt + (seq BETWEEN ? AND ?)"],
            &["recipients PRIMARY", "b PRIMARY", "s PRIMARY"],
            &[
                &2, &2, &2, &2, now, &2, &2, &2, &2, &"x", &1, &2, &2, &"", &1, &0, &0, &2, &2, id,
                &1, &2, &2, &2, &0, &2, &2, &1, &"x", &1, id, &1, token, &false,
            ],
        )
        .await;
    let (word, final_at): (&dyn Bind, &dyn Bind) = (&"DELIVRD", now);
    plans
        .check(
            "statuses in place",
            &["SET carrier_status = ELT"],
            &["recipients PRIMARY", "b PRIMARY"],
            &[
                &"1", &1, word, word, word, word, &"1", &1, final_at, final_at, final_at, final_at,
                &"1", &1, word, word, word, word, id, &1, &2, &1, &"1", &1, id, &1, token,
            ],
        )
        .await;
}

async fn check_release(plans: &mut Plans<'_>, values: &Values) {
    let Values { id, token, now, .. } = values;
    plans
        .check(
            "release",
            &["AS again"],
            &["b PRIMARY", "recipients PRIMARY"],
            &[
                &2,
                &true,
                &"send-until",
                now,
                id,
                &1,
                &20,
                &true,
                &true,
                &1,
                &true,
                &false,
                now,
                now,
                &false,
                now,
                now,
                id,
                &1,
                token,
            ],
        )
        .await;
    plans
        .check(
            "finish",
            &["UPDATE schedules s LEFT JOIN batches b"],
            &["s PRIMARY", "b still_open"],
            &[now, id],
        )
        .await;
    plans
        .check(
            "due times after a release",
            &["AS \"schedule_open!: bool\""],
            &["b PRIMARY", "o still_open"],
            &[id, &1],
        )
        .await;
}

async fn check_sweep(plans: &mut Plans<'_>, values: &Values) {
    let now = values.now;
    let later = now + TimeDelta::hours(1);
    plans
        .check(
            "due batches",
            &["WHERE b.sweep_at <= ? ORDER BY"],
            &["b due", "s PRIMARY"],
            &[&now, &1000],
        )
        .await;
    plans
        .check(
            "batches whose lease has expired",
            &["b.sweep_at <= ? AND b.claimed_until < ?"],
            &["b due", "s PRIMARY"],
            &[&now, &now, &1000],
        )
        .await;
    plans
        .check(
            "the next look of the sweep",
            &["AS \"lost_at: DateTime<Utc>\""],
            &["b due"],
            &[&now, &later, &now, &now, &now, &later],
        )
        .await;
    plans
        .check(
            "schedules to cut",
            &["status = 'scheduled' AND run_at <= ?"],
            &["schedules to_cut"],
            &[
                &(now + TimeDelta::seconds(90)),
                &(now + TimeDelta::seconds(90)),
            ],
        )
        .await;
    plans
        .check(
            "running schedules with nothing to do",
            &["WHERE s.status = 'running' AND NOT EXISTS"],
            &["s by_status", "b still_open"],
            &[],
        )
        .await;
    plans
        .check(
            "push back",
            &["b.requeues + j.r"],
            &["b PRIMARY"],
            &[&r#"[{"i":"00","n":1,"o":"2030-01-01","t":"2030-01-01","r":1}]"#],
        )
        .await;
}
