//! One case of a table: a schedule, its batch and one recipient, as the model has them and as rows. Thousands of cases share one
//! database, each with a schedule of its own.

use chrono::{DateTime, TimeDelta, Utc};
use model::database::{Age, Batch, Due, Life, Row, Schedule};
use shared::{
    batch::claim::Claim,
    message::status::Status,
    platform::{db::Db, queue::BatchMessage},
};
use sqlx::{MySqlPool, QueryBuilder, Row as _};
use uuid::Uuid;

/// Our claim's token, as the model numbers it.
pub const OURS: u8 = 0;
/// Somebody else's.
pub const OTHERS: u8 = 1;
/// Rows inserted with one statement.
const CHUNK: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub schedule: Schedule,
    pub batch: Batch,
    pub row: Row,
}

impl Case {
    /// Of a batch that is ours, and being sent.
    pub const SENDING: Self = Self {
        schedule: Schedule {
            status: Life::Running,
            cut: true,
        },
        batch: Batch {
            send_at: Due::Now,
            check_at: Due::Never,
            sweep_at: Due::Later,
            token: Some(OURS),
            lease_over: false,
            crashes: 1,
            missed: false,
        },
        row: Row::NEW,
    };

    pub fn owns(&self) -> bool {
        self.batch.token == Some(OURS)
    }

    /// Whether the schema's CHECKs allow it.
    pub fn is_allowed(&self) -> bool {
        let Self {
            schedule,
            batch,
            row,
        } = self;
        let cut = match schedule.status {
            Life::Running | Life::Finished => schedule.cut,
            Life::Draft | Life::Scheduled => !schedule.cut,
            _ => true,
        };
        let untried = matches!(
            row.status,
            Status::Pending | Status::Cancelled | Status::Suppressed | Status::Invalid
        );
        let known = matches!(
            row.status,
            Status::Acceptd | Status::Enroute | Status::Delivrd
        );
        let swept = batch.sweep_at.is_set()
            || !(batch.send_at.is_set() || batch.check_at.is_set() || batch.token.is_some());
        cut && swept
            && (row.attempt > 0 || untried)
            && (row.ids != 0 || !known)
            && (batch.token.is_some() || !batch.lease_over)
    }
}

/// A database full of cases.
pub struct Table {
    pub db: Db,
    pub now: DateTime<Utc>,
    pub ids: Vec<Uuid>,
}

impl Table {
    /// Writes the cases.
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
            table.insert_batches(chunk).await;
            table.insert_recipients(chunk).await;
            table.insert_attempts(chunk).await;
        }
        table
    }

    pub fn claim(&self, at: usize) -> Claim {
        let batch = BatchMessage {
            schedule_id: self.ids[at],
            batch_no: 1,
        };
        Claim {
            batch,
            token: token(OURS),
            at: self.now,
            until: self.now + TimeDelta::seconds(70),
        }
    }

    /// A due time as a time.
    pub fn time(&self, due: Due) -> Option<DateTime<Utc>> {
        match due {
            Due::Never => None,
            Due::Now => Some(self.now - TimeDelta::seconds(1)),
            Due::Later => Some(self.now + TimeDelta::seconds(600)),
        }
    }

    fn due(&self, time: Option<DateTime<Utc>>) -> Due {
        time.map_or(Due::Never, |time| {
            if time <= self.now {
                Due::Now
            } else {
                Due::Later
            }
        })
    }

    async fn insert_schedules(&self, cases: &[(Uuid, &Case)]) {
        let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends, resend_within_s,
            on_uncertain, batch_count, dispatched_at, paused_at, finished_at, created_at) ";
        let mut insert = QueryBuilder::new(sql);
        insert.push_values(cases, |mut row, (id, case)| {
            let Schedule { status, cut } = case.schedule;
            row.push_bind(id)
                .push_bind(status.as_str())
                .push("'Hello', 1")
                .push_bind(self.now)
                .push("'+00:00', 3600, 1, 3600, 'hold'");
            row.push_bind(cut.then_some(1))
                .push_bind(cut.then_some(self.now));
            row.push_bind((status == Life::Paused).then_some(self.now))
                .push_bind((status == Life::Finished).then_some(self.now));
            row.push_bind(self.now);
        });
        insert.build().execute(&self.db.pool).await.unwrap();
    }

    async fn insert_batches(&self, cases: &[(Uuid, &Case)]) {
        let sql =
            "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, send_at, check_at, sweep_at, claim_token,
            claimed_until, crashes, missed_at) ";
        let mut insert = QueryBuilder::new(sql);
        insert.push_values(cases, |mut row, (id, case)| {
            let Batch {
                send_at,
                check_at,
                sweep_at,
                token: whose,
                lease_over,
                crashes,
                missed,
            } = case.batch;
            let until = self.now + TimeDelta::seconds(if lease_over { -1 } else { 60 });
            row.push_bind(id)
                .push("1, 1, 1")
                .push_bind(self.now - TimeDelta::seconds(1));
            row.push_bind(self.time(send_at))
                .push_bind(self.time(check_at))
                .push_bind(self.time(sweep_at));
            row.push_bind(whose.map(token))
                .push_bind(whose.map(|_| until))
                .push_bind(crashes);
            row.push_bind(missed.then_some(self.now));
        });
        insert.build().execute(&self.db.pool).await.unwrap();
    }

    async fn insert_recipients(&self, cases: &[(Uuid, &Case)]) {
        let sql = "INSERT INTO recipients (schedule_id, seq, phone, input, status, attempt, resends, message_id, sent_at, final_at) ";
        let mut insert = QueryBuilder::new(sql);
        insert.push_values(cases, |mut row, (id, case)| {
            let Row {
                status,
                attempt,
                resends,
                age,
                ids,
                ..
            } = case.row;
            let invalid = status == Status::Invalid;
            let ago = match age {
                Age::Fresh => TimeDelta::seconds(1),
                Age::Quiet => TimeDelta::hours(1),
                Age::Old => TimeDelta::hours(24),
            };
            row.push_bind(id)
                .push("1")
                .push_bind((!invalid).then_some("+60121000001"))
                .push_bind(invalid.then_some("x"));
            row.push_bind(status.as_str())
                .push_bind(attempt)
                .push_bind(resends)
                .push_bind((ids != 0).then_some("a"));
            row.push_bind((attempt > 0).then(|| self.now - ago))
                .push_bind(status.is_final().then_some(self.now));
        });
        insert.build().execute(&self.db.pool).await.unwrap();
    }

    async fn insert_attempts(&self, cases: &[(Uuid, &Case)]) {
        let kept = |(id, case): &(Uuid, &Case)| {
            let kept: Vec<_> = (0_u32..)
                .zip(case.row.kept)
                .map(|(attempt, status)| (*id, attempt, status))
                .collect();
            kept.into_iter()
                .filter_map(|(id, attempt, status)| Some((id, attempt, status?)))
        };
        let rows: Vec<_> = cases.iter().flat_map(kept).collect();
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
        insert.build().execute(&self.db.pool).await.unwrap();
    }

    /// The cases as they are now, and that they are as expected.
    pub async fn expect(&self, cases: &[Case], expected: &[Case]) {
        let sql =
            "SELECT s.id, s.status AS life, s.batch_count IS NOT NULL AS cut, b.send_at, b.check_at, b.sweep_at, b.claim_token,
            b.claimed_until, b.crashes, b.missed_at IS NOT NULL AS missed, r.status, r.attempt, r.resends, r.message_id, r.sent_at
            FROM schedules s JOIN batches b ON b.schedule_id = s.id AND b.batch_no = 1
            JOIN recipients r ON r.schedule_id = s.id AND r.seq = 1 ORDER BY s.id";
        let rows = sqlx::query(sql).fetch_all(&self.db.pool).await.unwrap();
        let kept = sqlx::query("SELECT schedule_id, attempt, status FROM attempts")
            .fetch_all(&self.db.pool)
            .await
            .unwrap();
        let mut found: std::collections::HashMap<Uuid, Case> = rows
            .iter()
            .map(|row| (row.get("id"), self.read(row)))
            .collect();
        for row in kept {
            let case = found.get_mut(&row.get("schedule_id")).unwrap();
            case.row.kept[row.get::<u32, _>("attempt") as usize] = Status::parse(row.get("status"));
        }
        assert_eq!(found.len(), cases.len());
        for ((id, before), expected) in self.ids.iter().zip(cases).zip(expected) {
            assert_eq!(found[id], *expected, "before: {before:?}");
        }
        println!("{} cases", cases.len());
    }

    fn read(&self, row: &sqlx::mysql::MySqlRow) -> Case {
        let life: String = row.get("life");
        let status = Life::ALL
            .into_iter()
            .find(|status| status.as_str() == life)
            .unwrap();
        let until: Option<DateTime<Utc>> = row.get("claimed_until");
        let batch = Batch {
            send_at: self.due(row.get("send_at")),
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
            30..1200 => Age::Quiet,
            _ => Age::Old,
        };
        let cut = row.get("cut");
        let row = Row {
            status: Status::parse(row.get("status")).unwrap(),
            attempt: row.get::<u32, _>("attempt") as u8,
            resends: row.get::<u32, _>("resends") as u8,
            age,
            ids: u8::from(ids.is_some()),
            kept: Row::NEW.kept,
        };
        Case {
            schedule: Schedule { status, cut },
            batch,
            row,
        }
    }
}

fn token(whose: u8) -> Uuid {
    Uuid::from_u128(u128::from(whose) + 1)
}

/// Every pair of two lists.
pub fn pairs<A: Copy, B: Copy>(left: &[A], right: &[B]) -> Vec<(A, B)> {
    left.iter()
        .flat_map(|left| right.iter().map(|right| (*left, *right)))
        .collect()
}

/// Every status of a schedule, cut and not.
pub fn schedules() -> Vec<Schedule> {
    pairs(&Life::ALL, &[false, true])
        .into_iter()
        .map(|(status, cut)| Schedule { status, cut })
        .collect()
}

/// Nobody's, ours, another's; live and over.
pub const TOKENS: [(Option<u8>, bool); 5] = [
    (None, false),
    (Some(OURS), false),
    (Some(OURS), true),
    (Some(OTHERS), false),
    (Some(OTHERS), true),
];

/// Every row that the tests tell apart, before a claim that knows attempt 1.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (status, attempt) in pairs(&Status::ALL, &[0, 1, 2]) {
        for (resends, ids) in pairs(&[0, 1], &[0, 1]) {
            rows.push(Row {
                status,
                attempt,
                resends,
                ids,
                ..Row::NEW
            });
        }
    }
    rows
}
