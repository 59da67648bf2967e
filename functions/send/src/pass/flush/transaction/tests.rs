//! Marks that are not complete, because a row has changed or the database did not answer: they are
//! taken back whoever owns the batch, and no other mark is.
#![allow(clippy::unwrap_used)]

use chrono::TimeDelta;
use dispatch::DispatchedBy;
use shared::batch::{SeqRange, claim::claim_to_send, in_place::FlushInPlace, rows::BatchRow};
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use super::*;

/// A claimed batch with three recipients, as a pass has read it.
struct Claimed {
    stage: Stage,
    claim: Claim,
    rows: Vec<BatchRow>,
}

const ALL: SeqRange = SeqRange::new(1, 3);

impl Claimed {
    async fn new(pool: MySqlPool) -> Self {
        let stage = Stage::new(pool, simulator::Settings::default()).await;
        let message = fixture::Schedule::default().insert(&stage.db).await;
        let dispatching = stage.dispatcher.dispatch(message, DispatchedBy::Queue);
        dispatching.await.unwrap();
        let batch = stage.send_queue.take_batches()[0];
        let now = stage.db.now();
        let claim = Claim::new(batch, now, now + TimeDelta::seconds(70));
        assert!(claim_to_send(&stage.db, &claim).await.unwrap());
        let rows = rows::open_rows(&stage.db, batch, ALL, false).await.unwrap();
        Self { stage, claim, rows }
    }

    /// Returns the marks of these recipients, which are at attempt 0.
    fn marks(seqs: &[u32]) -> Vec<FlushRow> {
        let mark = |seq: &u32| FlushRow {
            seq: *seq,
            attempt: 0,
            step: Step::Mark,
            resend: 0,
            status: Status::Sending,
            message_id: None,
            error: None,
            is_final: 0,
        };
        seqs.iter().map(mark).collect()
    }

    /// Marks all recipients by range, and returns what that has written.
    async fn mark_all(&self, claim: &Claim, marked_at: DateTime<Utc>) -> InPlace {
        let flush = FlushInPlace::of(&[], &Self::marks(&[1, 2, 3]), &self.rows).unwrap();
        match flush.write(&self.stage.db, claim, marked_at).await.unwrap() {
            0 => InPlace::Nothing,
            3 => InPlace::All,
            _ => InPlace::Part,
        }
    }

    /// Runs the transaction of a flush.
    async fn write(
        &self,
        answers: &[FlushRow],
        marks: &[FlushRow],
        marked_at: DateTime<Utc>,
        written: InPlace,
    ) -> bool {
        let transaction = FlushTransaction {
            db: &self.stage.db,
            claim: &self.claim,
            budget: Budget::new(Duration::from_secs(5)),
            answers,
            marks,
            marked_at,
        };
        transaction.write_until_recorded(written).await.unwrap()
    }

    async fn execute(&self, statement: &'static str) {
        let done = sqlx::query(statement).execute(&self.stage.db).await;
        assert_eq!(done.unwrap().rows_affected(), 1, "{statement}");
    }

    async fn cancel_second(&self) {
        let cancel =
            "UPDATE recipients SET status = 'CANCELLED', final_at = UTC_TIMESTAMP(3) WHERE seq = 2";
        self.execute(cancel).await;
    }

    /// Ends the claim, as a change of one recipient does.
    async fn take_batch(&self) {
        self.execute("UPDATE batches SET claim_token = NULL, claimed_until = NULL")
            .await;
    }

    /// Returns another claim on the batch, after the first one was ended.
    async fn claim_again(&self) -> Claim {
        let now = self.stage.db.now();
        let next = Claim::new(self.claim.batch, now, now + TimeDelta::seconds(70));
        assert!(claim_to_send(&self.stage.db, &next).await.unwrap());
        next
    }

    async fn recipients(&self) -> Vec<String> {
        fixture::recipients(&self.stage.db, self.claim.batch.schedule_id).await
    }
}

const TAKEN_BACK: [&str; 3] = ["1 PENDING 1 0", "2 CANCELLED 0 0", "3 PENDING 1 0"];

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn marks_in_part_are_taken_back_although_the_claim_is_lost(pool: MySqlPool) {
    let claimed = Claimed::new(pool).await;
    let (claim, marked_at) = (&claimed.claim, claimed.stage.db.now());
    claimed.cancel_second().await;
    let written = claimed.mark_all(claim, marked_at).await;
    assert_eq!(written, InPlace::Part);
    claimed.take_batch().await;
    let marks = Claimed::marks(&[1, 2, 3]);
    assert!(!claimed.write(&[], &marks, marked_at, written).await);
    assert_eq!(claimed.recipients().await, TAKEN_BACK);
    let batch = fixture::batch(&claimed.stage.db, claim.batch).await;
    assert!(batch.check_at.is_some(), "due again, so that it is counted");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn marks_that_the_next_owner_has_made_uncertain_are_taken_back(pool: MySqlPool) {
    let claimed = Claimed::new(pool).await;
    let (claim, marked_at) = (&claimed.claim, claimed.stage.db.now());
    claimed.cancel_second().await;
    let written = claimed.mark_all(claim, marked_at).await;
    claimed.take_batch().await;
    let next = claimed.claim_again().await;
    let lost = rows::mark_owner_lost(&claimed.stage.db, &next, ALL).await;
    assert_eq!(lost.unwrap(), 2);
    let marks = Claimed::marks(&[1, 2, 3]);
    assert!(!claimed.write(&[], &marks, marked_at, written).await);
    assert_eq!(claimed.recipients().await, TAKEN_BACK);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_mark_of_the_next_owner_is_not_taken_back(pool: MySqlPool) {
    let claimed = Claimed::new(pool).await;
    let marked_at = claimed.stage.db.now();
    claimed.take_batch().await;
    assert_eq!(
        claimed.mark_all(&claimed.claim, marked_at).await,
        InPlace::Nothing
    );
    let next = claimed.claim_again().await;
    let later = marked_at + TimeDelta::milliseconds(1);
    assert_eq!(claimed.mark_all(&next, later).await, InPlace::All);
    // The database did not answer, so the first owner does not know that it has marked nothing.
    let marks = Claimed::marks(&[1, 2, 3]);
    assert!(
        !claimed
            .write(&[], &marks, marked_at, InPlace::Unknown)
            .await
    );
    let marked = ["1 SENDING 1 0", "2 SENDING 1 0", "3 SENDING 1 0"];
    assert_eq!(claimed.recipients().await, marked);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn marks_whose_commit_was_not_answered_are_taken_back(pool: MySqlPool) {
    let claimed = Claimed::new(pool).await;
    let marked_at = claimed.stage.db.now();
    let written = claimed.mark_all(&claimed.claim, marked_at).await;
    assert_eq!(written, InPlace::All);
    let marks = Claimed::marks(&[1, 2, 3]);
    assert!(
        !claimed
            .write(&[], &marks, marked_at, InPlace::Unknown)
            .await
    );
    let pending = ["1 PENDING 1 0", "2 PENDING 1 0", "3 PENDING 1 0"];
    assert_eq!(claimed.recipients().await, pending);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_transaction_writes_all_marks_or_the_answers_alone(pool: MySqlPool) {
    let claimed = Claimed::new(pool).await;
    let marked_at = claimed.stage.db.now();
    let first = Claimed::marks(&[1]);
    assert!(
        claimed
            .write(&[], &first, marked_at, InPlace::Nothing)
            .await
    );
    claimed.cancel_second().await;
    let answers = [FlushRow {
        attempt: 1,
        step: Step::Answer,
        status: Status::Acceptd,
        message_id: Some("a".to_owned()),
        ..first[0].clone()
    }];
    let marks = Claimed::marks(&[2, 3]);
    assert!(
        !claimed
            .write(&answers, &marks, marked_at, InPlace::Nothing)
            .await
    );
    let answered = ["1 ACCEPTD 1 0", "2 CANCELLED 0 0", "3 PENDING 0 0"];
    assert_eq!(claimed.recipients().await, answered);
}
