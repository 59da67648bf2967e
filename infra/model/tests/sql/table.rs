//! Writes cases to a database and reads them back. Thousands of cases share one database. Each has
//! its own schedule.

use chrono::{DateTime, TimeDelta, Utc};
use model::rows::{Age, Batch, Due, Hold, Row, Schedule, ScheduleStatus};
use shared::{
    batch::{admission::never, claim::Claim, rows::SEND_UNTIL},
    message::status::Status,
    platform::{db::Db, queue::BatchMessage},
};
use sqlx::{MySqlPool, QueryBuilder, Row as _};
use uuid::Uuid;

use crate::cases::{Case, OURS};

/// Rows per INSERT statement.
const CHUNK: usize = 400;

/// A database that contains one schedule per case.
pub struct Table {
    pub db: Db,
    pub now: DateTime<Utc>,
    pub ids: Vec<Uuid>,
}

impl Table {
    /// Writes the cases to the database.
    pub async fn of(pool: MySqlPool, cases: &[Case]) -> Self {
        let db = Db::from_pool(pool);
        let table = Self {
            now: db.now(),
            db,
            ids: cases.iter().map(|_| Uuid::now_v7()).collect(),
        };
        let all: Vec<_> = table.ids.iter().copied().zip(cases).collect();
        for chunk in all.chunks(CHUNK) {
            table.insert_schedules(chunk).await;
            table.insert_turns(chunk).await;
            table.insert_batches(chunk).await;
            table.insert_recipients(chunk).await;
            table.insert_attempts(chunk).await;
        }
        table
    }

    /// Returns our claim on the batch of a case.
    pub fn claim(&self, index: usize) -> Claim {
        let batch = BatchMessage {
            schedule_id: self.ids[index],
            batch_no: 1,
        };
        Claim {
            batch,
            token: token(OURS),
            at: self.now,
            until: self.now + TimeDelta::seconds(70),
        }
    }

    /// Returns the time of our flush.
    pub fn marked_at(&self) -> DateTime<Utc> {
        self.now - TimeDelta::seconds(1)
    }

    /// Converts a due time to a time.
    pub fn time(&self, due: Due) -> Option<DateTime<Utc>> {
        match due {
            Due::Never => None,
            Due::Now => Some(self.now - TimeDelta::seconds(1)),
            Due::Later => Some(self.now + TimeDelta::seconds(600)),
            Due::Unreachable => Some(never()),
        }
    }

    fn due(&self, time: Option<DateTime<Utc>>) -> Due {
        time.map_or(Due::Never, |time| {
            if time <= self.now {
                Due::Now
            } else if time >= never() {
                Due::Unreachable
            } else {
                Due::Later
            }
        })
    }

    async fn insert_schedules(&self, cases: &[(Uuid, &Case)]) {
        let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset,
            max_lateness_s, max_resends, resend_within_s, on_uncertain, batch_count, dispatched_at,
            paused_at, finished_at, held_after, created_at) ";
        let mut insert = QueryBuilder::new(sql);
        insert.push_values(cases, |mut row, (id, case)| {
            let Schedule {
                status, cut, hold, ..
            } = case.schedule;
            row.push_bind(id)
                .push_bind(status.as_str())
                .push("'Hello', 1")
                .push_bind(self.now)
                .push("'+00:00', 3600, 1, 3600, 'hold'");
            row.push_bind(cut.then_some(1))
                .push_bind(cut.then_some(self.now));
            row.push_bind((status == ScheduleStatus::Paused).then_some(self.now))
                .push_bind((status == ScheduleStatus::Finished).then_some(self.now));
            // The number of each batch is 1.
            row.push_bind(match hold {
                Hold::Nothing => None,
                Hold::Canary => Some(1),
                Hold::Behind => Some(0),
            });
            row.push_bind(self.now);
        });
        insert.build().execute(&self.db).await.unwrap();
    }

    async fn insert_turns(&self, cases: &[(Uuid, &Case)]) {
        let turns: Vec<_> = cases
            .iter()
            .filter(|(_, case)| case.schedule.turn)
            .collect();
        if turns.is_empty() {
            return;
        }
        let sql = "INSERT INTO turns (schedule_id, virtual_parts, ready_at, next_send_at) ";
        let mut insert = QueryBuilder::new(sql);
        insert.push_values(turns, |mut row, (id, _)| {
            row.push_bind(id)
                .push("7")
                .push_bind(self.now)
                .push_bind(self.now);
        });
        insert.build().execute(&self.db).await.unwrap();
    }

    async fn insert_batches(&self, cases: &[(Uuid, &Case)]) {
        let sql = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at,
            send_at, waiting, pending, check_at, sweep_at, claim_token, claimed_until, crashes, missed_at) ";
        let mut insert = QueryBuilder::new(sql);
        insert.push_values(cases, |mut row, (id, case)| {
            let Batch {
                send_at,
                waiting,
                check_at,
                sweep_at,
                token: owner,
                lease_over,
                crashes,
                missed,
            } = case.batch;
            let until = self.now + TimeDelta::seconds(if lease_over { -1 } else { 60 });
            row.push_bind(id)
                .push("1, 1, 1")
                .push_bind(self.now - TimeDelta::seconds(1));
            row.push_bind(self.time(send_at))
                .push_bind(waiting)
                .push_bind(u32::from(case.pending()))
                .push_bind(self.time(check_at))
                // MariaDB reads a later time than 2038 as NULL if it is bound as a time with a zone.
                .push_bind(self.time(sweep_at).map(|time| time.naive_utc()));
            row.push_bind(owner.map(token))
                .push_bind(owner.map(|_| until))
                .push_bind(crashes);
            row.push_bind(missed.then_some(self.now));
        });
        insert.build().execute(&self.db).await.unwrap();
    }

    async fn insert_recipients(&self, cases: &[(Uuid, &Case)]) {
        let sql =
            "INSERT INTO recipients (schedule_id, seq, phone, input, status, attempt, resends,
            id_start, error, sent_at, final_at) ";
        let mut insert = QueryBuilder::new(sql);
        insert.push_values(cases, |mut row, (id, case)| {
            let Row {
                status,
                attempt,
                resends,
                age,
                marked_by,
                ids,
                ended,
                ..
            } = case.row;
            let invalid = status == Status::Invalid;
            let sent_at = match age {
                Age::Fresh => self.marked_at(),
                Age::PastQuietTime => self.now - TimeDelta::hours(1),
                Age::PastDeadline => self.now - TimeDelta::hours(24),
            };
            let other_flush = TimeDelta::milliseconds(i64::from(marked_by.is_none()));
            row.push_bind(id)
                .push("1")
                .push_bind((!invalid).then_some("+60121000001"))
                .push_bind(invalid.then_some("x"));
            row.push_bind(status.as_str())
                .push_bind(attempt)
                .push_bind(resends)
                .push_bind((ids != 0).then_some("a"))
                .push_bind(ended.then_some(SEND_UNTIL));
            row.push_bind((attempt > 0).then(|| sent_at - other_flush))
                .push_bind(status.is_final().then_some(self.now));
        });
        insert.build().execute(&self.db).await.unwrap();
    }

    async fn insert_attempts(&self, cases: &[(Uuid, &Case)]) {
        let earlier = |(id, case): &(Uuid, &Case)| {
            let attempts: Vec<_> = (0_u32..)
                .zip(case.row.earlier_attempts)
                .map(|(attempt, status)| (*id, attempt, status))
                .collect();
            attempts
                .into_iter()
                .filter_map(|(id, attempt, status)| Some((id, attempt, status?)))
        };
        let rows: Vec<_> = cases.iter().flat_map(earlier).collect();
        if rows.is_empty() {
            return;
        }
        let mut insert = QueryBuilder::new(
            "INSERT INTO attempts (schedule_id, seq, attempt, status, sent_at, final_at) ",
        );
        insert.push_values(rows, |mut row, (id, attempt, status)| {
            row.push_bind(id)
                .push("1")
                .push_bind(attempt)
                .push_bind(status.as_str())
                .push_bind(self.now);
            row.push_bind(status.is_final().then_some(self.now));
        });
        insert.build().execute(&self.db).await.unwrap();
    }

    /// Reads all cases and compares them with the expected ones.
    pub async fn expect(&self, cases: &[Case], expected: &[Case]) {
        let sql = "SELECT s.id, s.status AS schedule_status, s.batch_count IS NOT NULL AS cut, s.held_after,
              EXISTS (SELECT 1 FROM turns t WHERE t.schedule_id = s.id) AS turn,
              b.send_at, b.waiting, b.check_at, b.sweep_at, b.claim_token, b.claimed_until, b.crashes,
              b.missed_at IS NOT NULL AS missed,
              r.status, r.attempt, r.resends, r.message_id, r.error, r.sent_at
            FROM schedules s JOIN batches b ON b.schedule_id = s.id AND b.batch_no = 1
            JOIN recipients r ON r.schedule_id = s.id AND r.seq = 1 ORDER BY s.id";
        let rows = sqlx::query(sql).fetch_all(&self.db).await.unwrap();
        let attempts = sqlx::query("SELECT schedule_id, attempt, status FROM attempts")
            .fetch_all(&self.db)
            .await
            .unwrap();
        let mut found: std::collections::HashMap<Uuid, Case> = rows
            .iter()
            .map(|row| (row.get("id"), self.read(row)))
            .collect();
        for row in attempts {
            let case = found.get_mut(&row.get("schedule_id")).unwrap();
            case.row.earlier_attempts[row.get::<u32, _>("attempt") as usize] =
                Status::parse(row.get("status"));
        }
        assert_eq!(found.len(), cases.len());
        for ((id, before), expected) in self.ids.iter().zip(cases).zip(expected) {
            assert_eq!(found[id], *expected, "before: {before:?}");
        }
        println!("{} cases", cases.len());
    }

    fn read(&self, row: &sqlx::mysql::MySqlRow) -> Case {
        let schedule_status: String = row.get("schedule_status");
        let status = ScheduleStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == schedule_status)
            .unwrap();
        let until: Option<DateTime<Utc>> = row.get("claimed_until");
        let batch = Batch {
            send_at: self.due(row.get("send_at")),
            waiting: row.get("waiting"),
            check_at: self.due(row.get("check_at")),
            sweep_at: self.due(row.get("sweep_at")),
            token: row
                .get::<Option<Uuid>, _>("claim_token")
                .map(|found| u8::from(found != token(OURS))),
            lease_over: until.is_some_and(|until| until < self.now),
            crashes: row.get::<u32, _>("crashes") as u8,
            missed: row.get("missed"),
        };
        let ids: Option<String> = row.get("message_id");
        let sent_at: Option<DateTime<Utc>> = row.get("sent_at");
        let age = sent_at.map_or(TimeDelta::zero(), |sent_at| self.now - sent_at);
        let age = match age.num_minutes() {
            ..30 => Age::Fresh,
            30..1200 => Age::PastQuietTime,
            _ => Age::PastDeadline,
        };
        let (cut, turn) = (row.get("cut"), row.get("turn"));
        let hold = match row.get::<Option<u32>, _>("held_after") {
            None => Hold::Nothing,
            Some(0) => Hold::Behind,
            Some(_) => Hold::Canary,
        };
        let row = Row {
            status: Status::parse(row.get("status")).unwrap(),
            attempt: row.get::<u32, _>("attempt") as u8,
            resends: row.get::<u32, _>("resends") as u8,
            age,
            marked_by: (sent_at == Some(self.marked_at())).then_some(OURS),
            ids: u8::from(ids.is_some()),
            ended: row.get::<Option<String>, _>("error").as_deref() == Some(SEND_UNTIL),
            earlier_attempts: Row::NEW.earlier_attempts,
        };
        Case {
            schedule: Schedule {
                status,
                cut,
                turn,
                hold,
            },
            batch,
            row,
        }
    }
}

/// Converts the number of a token to the token.
fn token(owner: u8) -> Uuid {
    Uuid::from_u128(u128::from(owner) + 1)
}
