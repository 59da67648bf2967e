//! The plan of every hot statement, on tables of 40,000 recipients and 2,000 batches, analysed: the key it uses, and no filesort.
//! The statements are read from `.sqlx`, so what is explained is what is run.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path};

use chrono::{TimeDelta, Utc};
use sqlx::{Column, MySqlPool, Row, mysql::MySqlArguments, query::Query};
use uuid::Uuid;

/// A line for each table: `table key extra`.
type Plan = Vec<(String, String, String)>;
type Bound<'q> = Query<'q, sqlx::MySql, MySqlArguments>;

/// Twenty schedules of 2,000 recipients in 100 batches each: half of the batches done, half waiting, a few due.
async fn fill(pool: &MySqlPool) -> Vec<Uuid> {
    let now = Utc::now();
    let schedules: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    let seqs = serde_json::to_string(&(1..=2000).collect::<Vec<u32>>()).unwrap();
    for (n, id) in schedules.iter().enumerate() {
        let status = ["running", "cancelled", "finished", "running"][n % 4];
        let finished_at = (status == "finished").then_some(now);
        let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends, resend_within_s,
            on_uncertain, next_seq, recipient_count, batch_count, dispatched_by, dispatched_at, finished_at, created_at)
            VALUES (?, ?, 'x', 1, ?, '+00:00', 3600, 2, 21600, 'hold', 2001, 2000, 100, 'queue', ?, ?, ?)";
        sqlx::query(sql).bind(id).bind(status).bind(now).bind(now).bind(finished_at).bind(now).execute(pool).await.unwrap();
        let sql = "INSERT INTO recipients (schedule_id, seq, phone, status, attempt, sent_at, message_id)
            SELECT ?, j.n, CONCAT('+6012', 1000000 + j.n), IF(j.n % 2, 'ACCEPTD', 'SENDING'), 1, ?, 'm'
            FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT PATH '$')) j";
        sqlx::query(sql).bind(id).bind(now).bind(&seqs).execute(pool).await.unwrap();
        let sql = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, check_at, sweep_at)
            SELECT ?, j.n, j.n * 20 - 19, j.n * 20, ?, IF(j.n % 2, ?, NULL), IF(j.n % 2, ? + INTERVAL j.n MINUTE, NULL)
            FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT PATH '$')) j WHERE j.n <= 100";
        let batches = sqlx::query(sql).bind(id).bind(now).bind(now).bind(now - TimeDelta::minutes(2)).bind(&seqs);
        batches.execute(pool).await.unwrap();
    }
    for n in 0..200 {
        let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends, resend_within_s,
            on_uncertain, created_at) VALUES (?, 'scheduled', 'x', 1, ?, '+00:00', 3600, 2, 21600, 'hold', ?)";
        let run_at = now + TimeDelta::minutes(n);
        sqlx::query(sql).bind(Uuid::now_v7()).bind(run_at).bind(now).execute(pool).await.unwrap();
    }
    sqlx::raw_sql("ANALYZE TABLE schedules, recipients, batches, attempts").execute(pool).await.unwrap();
    schedules
}

/// The one statement in `.sqlx` that contains all of `words`.
fn statement(words: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sqlx");
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let queries = files.map(|json| serde_json::from_str::<serde_json::Value>(&json).unwrap()["query"].as_str().unwrap().to_owned());
    let found: Vec<String> = queries.filter(|query| words.iter().all(|word| query.contains(word))).collect();
    assert_eq!(found.len(), 1, "{words:?} names one statement: {found:#?}");
    found[0].clone()
}

/// Explains a statement.
async fn explain(pool: &MySqlPool, sql: &str, bind: impl for<'q> FnOnce(Bound<'q>) -> Bound<'q>) -> Plan {
    // MySQL 9 answers with a tree unless told otherwise.
    let explain = format!("EXPLAIN FORMAT=TRADITIONAL {sql}");
    let rows = bind(sqlx::query(&explain)).fetch_all(pool).await.unwrap();
    // By place: MySQL tells the columns of an EXPLAIN too late for sqlx's look-up by name.
    let text = |row: &sqlx::mysql::MySqlRow, name: &str| {
        let place = row.columns().iter().position(|column| column.name() == name).unwrap();
        row.try_get::<Option<String>, _>(place).unwrap().unwrap_or_default()
    };
    rows.iter().map(|row| (text(row, "table"), text(row, "key"), text(row, "Extra"))).collect()
}

/// What is wrong with a plan: another key than it should use, a table scanned, rows sorted.
fn complaints(what: &str, plan: &Plan, keys: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (table, key) in keys {
        if !plan.iter().any(|(explained, used, _)| explained == table && used == key) {
            wrong.push(format!("{what}: {table} should use {key}: {plan:?}"));
        }
    }
    // A derived table of batches or answers may be scanned; no table of ours may, and nothing may be sorted.
    let sorted = plan.iter().any(|(_, _, extra)| extra.contains("filesort"));
    let ours = ["schedules", "recipients", "batches", "sessions", "users", "api_keys", "callers", "s", "r", "b", "u", "k", "c"];
    let scanned = plan.iter().any(|(table, key, _)| ours.contains(&table.as_str()) && key.is_empty());
    if sorted || scanned {
        wrong.push(format!("{what}: sorted {sorted}, scanned {scanned}: {plan:?}"));
    }
    wrong
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_hot_statement_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let ids = fill(&pool).await;
    let id = ids[0];
    let (now, token) = (Utc::now(), Uuid::new_v4());
    // One batch that somebody owned: statements that name its token find it.
    let sql = "UPDATE batches SET claim_token = ?, claimed_until = ?, send_at = ? WHERE schedule_id = ? AND batch_no = 1";
    let past = now - TimeDelta::seconds(1);
    sqlx::query(sql).bind(token).bind(past).bind(past).bind(id).execute(&pool).await.unwrap();
    let rows = r#"[{"q":1,"a":1,"k":0,"r":0,"s":"ACCEPTD","m":"x","e":null,"f":0}]"#;
    let mut wrong = Vec::new();
    let mut check = |what: &str, plan: Plan, keys: &[(&str, &str)]| wrong.extend(complaints(what, &plan, keys));

    let sql = statement(&["b.tries = b.tries + 1", "s.status IN ('running', 'cancelled')"]);
    let plan = explain(&pool, &sql, |q| q.bind(token).bind(now).bind(now).bind(id).bind(1).bind(now).bind(now).bind(3)).await;
    check("claim to send", plan, &[("b", "PRIMARY"), ("s", "PRIMARY")]);

    let sql = statement(&["UPDATE batches SET crashes = crashes + 1"]);
    let plan = explain(&pool, &sql, |q| q.bind(token).bind(now).bind(now).bind(id).bind(1).bind(now).bind(now).bind(3)).await;
    check("claim to check", plan, &[("batches", "PRIMARY")]);

    let sql = statement(&["FROM batches b JOIN schedules s", "b.claim_token = ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(token)).await;
    check("read the claimed batch", plan, &[("b", "PRIMARY"), ("s", "PRIMARY")]);

    let sql = statement(&["FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?", "carrier_status", "ORDER BY seq"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(20)).await;
    check("read open recipients", plan, &[("recipients", "PRIMARY")]);

    let sql = statement(&["r.error = 'owner lost'"]);
    let plan = explain(&pool, &sql, |q| q.bind(1).bind(id).bind(1).bind(20).bind(token)).await;
    check("mark leftovers", plan, &[("r", "PRIMARY"), ("b", "PRIMARY")]);

    let sql = statement(&["SET r.resends = r.resends + j.resend"]);
    let plan =
        explain(&pool, &sql, |q| q.bind(rows).bind(1).bind(now).bind(now).bind(id).bind(token).bind(token).bind(token)).await;
    check("flush", plan, &[("r", "PRIMARY"), ("b", "PRIMARY"), ("s", "PRIMARY")]);

    let sql = statement(&["INSERT INTO attempts", "b.claim_token = ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(rows).bind(id).bind(1).bind(token)).await;
    check("keep attempts", plan, &[("r", "PRIMARY"), ("b", "PRIMARY"), ("s", "PRIMARY")]);

    let sql = statement(&["SET r.carrier_status = j.word"]);
    let plan = explain(&pool, &sql, |q| q.bind(rows).bind(1).bind(now).bind(id).bind(token)).await;
    check("record verdicts", plan, &[("r", "PRIMARY"), ("b", "PRIMARY")]);

    let sql = statement(&["AS again"]);
    let plan = explain(&pool, &sql, |q| {
        let q = q.bind(2).bind(true).bind(now).bind(id).bind(1).bind(20);
        let q = q.bind(true).bind(1).bind(true).bind(now).bind(now).bind(now).bind(now);
        q.bind(id).bind(1).bind(token)
    })
    .await;
    check("release", plan, &[("b", "PRIMARY"), ("recipients", "PRIMARY")]);

    let sql = statement(&["UPDATE schedules s LEFT JOIN batches b"]);
    let plan = explain(&pool, &sql, |q| q.bind(now).bind(id)).await;
    check("finish", plan, &[("s", "PRIMARY"), ("b", "still_open")]);

    let sql = statement(&["WHERE b.sweep_at <= ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(now).bind(1000)).await;
    check("due batches", plan, &[("b", "due"), ("s", "PRIMARY")]);

    let sql = statement(&["status = 'scheduled' AND run_at <= ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(now + TimeDelta::seconds(90))).await;
    check("schedules to cut", plan, &[("schedules", "to_cut")]);

    let sql = statement(&["WHERE status = 'running' ORDER BY id"]);
    let plan = explain(&pool, &sql, |q| q).await;
    check("running schedules", plan, &[("schedules", "by_status")]);

    let sql = statement(&["UNHEX(j.i)"]);
    let plan = explain(&pool, &sql, |q| q.bind(r#"[{"i":"00","n":1,"o":"2030-01-01","t":"2030-01-01","r":1}]"#)).await;
    check("push back", plan, &[("b", "PRIMARY")]);

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lists of what needs a person, and what a person does about it; where a few hundred of two thousand batches are in trouble.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_statement_about_trouble_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let id = fill(&pool).await[0];
    let trouble = "UPDATE batches SET missed_at = IF(batch_no % 10 = 1, planned_at, NULL), crashes = IF(batch_no % 10 = 3, 3, 0),
        uncertain = IF(batch_no % 10 = 5, 7, 0)";
    sqlx::query(trouble).execute(&pool).await.unwrap();
    sqlx::raw_sql("ANALYZE TABLE schedules, recipients, batches, attempts").execute(&pool).await.unwrap();
    let now = Utc::now();
    let mut wrong = Vec::new();
    let mut check = |what: &str, plan: Plan, keys: &[(&str, &str)]| wrong.extend(complaints(what, &plan, keys));

    let plan = explain(&pool, &statement(&["missed_at >= ?"]), |q| q.bind(now).bind(now).bind(id).bind(id).bind(1).bind(50)).await;
    check("missed batches", plan, &[("batches", "missed")]);

    let sql = statement(&["FORCE INDEX (due)", "crashes >= ?", "ORDER BY"]);
    let plan = explain(&pool, &sql, |q| q.bind(now).bind(now).bind(id).bind(id).bind(1).bind(3).bind(now).bind(50)).await;
    check("parked batches", plan, &[("batches", "due")]);

    let sql = statement(&["uncertain >= ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(1).bind(1).bind(id).bind(id).bind(1).bind(now).bind(50));
    check("uncertain batches", plan.await, &[("batches", "with_uncertain")]);

    let sql = statement(&["FORCE INDEX (due)", "b.crashes < ?", "ORDER BY"]);
    let plan = explain(&pool, &sql, |q| q.bind(now).bind(now).bind(id).bind(id).bind(1).bind(3).bind(now).bind(now).bind(50));
    check("overdue batches", plan.await, &[("b", "due"), ("s", "PRIMARY")]);

    let sql = statement(&["FORCE INDEX (to_cut)"]);
    let plan = explain(&pool, &sql, |q| q.bind(now).bind(now + TimeDelta::minutes(5)).bind(now).bind(id).bind(50)).await;
    check("overdue schedules", plan, &[("schedules", "to_cut")]);

    let plan = explain(&pool, &statement(&["status = 'paused' AND id < ?"]), |q| q.bind(id).bind(50)).await;
    check("schedules paused by the system", plan, &[("schedules", "by_status")]);

    let plan =
        explain(&pool, &statement(&["WHERE status = ? AND id < ?"]), |q| q.bind("missed").bind(id).bind(now).bind(now).bind(50))
            .await;
    check("schedules in a state", plan, &[("schedules", "by_status")]);

    let sql = statement(&["AS \"missed_schedules!: i64\""]);
    let plan = explain(&pool, &sql, |q| q.bind(3).bind(now).bind(now).bind(3).bind(now).bind(now).bind(now)).await;
    check("counts of trouble", plan, &[("schedules", "by_status"), ("batches", "missed"), ("batches", "due"), ("b", "due")]);

    let sql = statement(&["named.batch_no", "CONCAT_WS"]);
    let names = format!("[[0, \"{}\", 1]]", id.simple());
    let plan = explain(&pool, &sql, |q| q.bind(names.clone())).await;
    check("batches by name", plan, &[("b", "PRIMARY"), ("s", "PRIMARY")]);

    let sql = statement(&["WHEN claimed_until >= ? THEN 'claimed'"]);
    let plan = explain(&pool, &sql, |q| q.bind(3).bind(now).bind(now).bind(id).bind(1).bind("done").bind("done").bind(50)).await;
    check("batches of a schedule", plan, &[("batches", "PRIMARY")]);

    let sql = statement(&["SET crashes = 0"]);
    let plan = explain(&pool, &sql, |q| q.bind(now).bind(id).bind(1).bind(1).bind(3).bind(now)).await;
    check("retry", plan, &[("batches", "PRIMARY")]);

    let sql = statement(&["SELECT DISTINCT named.id"]);
    let plan = explain(&pool, &sql, |q| q.bind(format!("[[\"{}\", 1]]", id.simple())).bind(now).bind(now)).await;
    check("sweep soon", plan, &[("b", "PRIMARY")]);

    let sql = statement(&["status = 'UNCERTAIN' ORDER BY seq FOR UPDATE"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(20)).await;
    check("lock uncertain recipients", plan, &[("recipients", "PRIMARY")]);

    let plan = explain(&pool, &statement(&["'resolved as sent'"]), |q| q.bind("[1, 2]").bind(now).bind(id)).await;
    check("close as sent", plan, &[("r", "PRIMARY")]);

    let plan = explain(&pool, &statement(&["SET r.status = 'PENDING'"]), |q| q.bind("[1, 2]").bind(id)).await;
    check("send again", plan, &[("r", "PRIMARY")]);

    let sql = statement(&["SET b.pending = c.pending"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(20).bind(now).bind(now).bind(now).bind(now).bind(id).bind(1));
    check("recount", plan.await, &[("b", "PRIMARY"), ("recipients", "PRIMARY")]);

    let plan = explain(&pool, &statement(&["CONVERT(j.phone USING ascii)"]), |q| q.bind("[\"+60121000001\"]").bind(id)).await;
    check("recipients by number", plan, &[("r", "phone_once")]);

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What every request asks, and what the log is asked; on 2,000 users, sessions, keys and callers, and 20,000 entries.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_statement_about_who_calls_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let (now, id) = (Utc::now(), Uuid::nil());
    let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 900) SELECT";
    let of = |insert: &str, columns: &str| format!("{insert} {numbers} {columns} FROM n");
    for sql in [
        of(
            "INSERT INTO users (id, username, role, password_hash, created_at)",
            "UNHEX(LPAD(HEX(n), 32, '0')), n, 'admin', '', NOW()",
        ),
        of(
            "INSERT INTO sessions (id, user_id, address, created_at, expires_at)",
            "UNHEX(LPAD(HEX(n), 32, '0')), UNHEX(LPAD(HEX(n), 32, '0')), '', NOW(), NOW() + INTERVAL n DAY",
        ),
        of(
            "INSERT INTO refresh_tokens (hash, session_id, issued_at)",
            "UNHEX(LPAD(HEX(n), 64, '0')), UNHEX(LPAD(HEX(n), 32, '0')), NOW()",
        ),
        of(
            "INSERT INTO api_keys (id, name, prefix, hash, permissions, created_by, created_at)",
            "UNHEX(LPAD(HEX(n), 32, '0')), '', '', UNHEX(LPAD(HEX(n), 64, '0')), '', '', NOW()",
        ),
        of("INSERT INTO callers (caller, free_at_us, last_used_at)", "UNHEX(LPAD(HEX(n), 64, '0')), 0, NOW()"),
        of(
            "INSERT INTO audit_log (id, actor, actor_name, address, request_id, action, thing)",
            "UNHEX(LPAD(HEX(n), 32, '0')), CONCAT('user:', n), '', '', '', 'login', CONCAT('user:', n)",
        ),
    ] {
        sqlx::query(&sql).execute(&pool).await.unwrap();
    }
    sqlx::raw_sql("ANALYZE TABLE users, sessions, refresh_tokens, api_keys, callers, audit_log").execute(&pool).await.unwrap();
    let mut wrong = Vec::new();
    let mut check = |what: &str, plan: Plan, keys: &[(&str, &str)]| wrong.extend(complaints(what, &plan, keys));
    let hash = vec![0_u8; 31].into_iter().chain([7]).collect::<Vec<u8>>();
    let known = Uuid::from_u128(7);

    let plan = explain(&pool, &statement(&["FROM sessions s JOIN users u"]), |q| q.bind(known).bind(now)).await;
    check("the user of a session", plan, &[("s", "PRIMARY"), ("u", "PRIMARY")]);

    let plan = explain(&pool, &statement(&["FROM api_keys WHERE hash = ?"]), |q| q.bind(hash.clone())).await;
    check("a key", plan, &[("api_keys", "hash_once")]);

    let plan =
        explain(&pool, &statement(&["UPDATE callers"]), |q| q.bind(1).bind(1).bind(now).bind(hash.clone()).bind(1).bind(1).bind(1))
            .await;
    check("a request", plan, &[("callers", "PRIMARY")]);

    let plan = explain(&pool, &statement(&["FROM refresh_tokens t JOIN sessions s"]), |q| q.bind(hash.clone())).await;
    check("a refresh token", plan, &[("t", "PRIMARY"), ("s", "PRIMARY"), ("u", "PRIMARY")]);

    let plan = explain(&pool, &statement(&["FROM users WHERE username = ?"]), |q| q.bind("7")).await;
    check("a login", plan, &[("users", "username_once")]);

    let log = statement(&["FROM audit_log"]);
    let none = None::<String>;
    let filter = |actor: Option<&'static str>, thing: Option<&'static str>| (actor, thing);
    for (what, (actor, thing), key) in [
        ("the log", filter(None, None), "PRIMARY"),
        ("the log of a person", filter(Some("user:7"), None), "by_actor"),
        ("the log of a thing", filter(None, Some("user:7")), "by_thing"),
    ] {
        let plan = explain(&pool, &log, |q| {
            let q = q.bind(id).bind(Uuid::max()).bind(actor).bind(actor).bind(thing).bind(thing);
            q.bind(none.clone()).bind(none.clone()).bind(50)
        });
        check(what, plan.await, &[("audit_log", key)]);
    }

    let plan = explain(&pool, &statement(&["DELETE FROM sessions"]), |q| q.bind(now).bind(5000)).await;
    check("old sessions", plan, &[("sessions", "by_end")]);

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
