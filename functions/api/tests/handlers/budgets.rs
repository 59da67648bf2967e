//! Budgets over the API: an administrator sets them, the owner sees its own, and a schedule that
//! certainly exceeds one is refused.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;

use crate::{
    common::{Api, count, in_seconds, insert_key, operations::send, phones, request},
    prices::import,
};

const BUDGETS: &str = "/v1/budgets";

fn of_system(unit: &str, amount: &str) -> Value {
    json!({"scope": "system", "period": "day", "unit": unit, "amount": amount})
}

async fn call(api: &Api, method: Method, path: &str, body: &Value) -> crate::common::Answer {
    send(
        api,
        method,
        path,
        ("application/json", body.to_string().into_bytes()),
    )
    .await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_budget_is_set_changed_and_removed(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let created = admin.post_json(BUDGETS, &of_system("parts", "1000")).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let budget = created.body.clone();
    assert_eq!(
        (&budget["amount"], &budget["used"], &budget["left"]),
        (&json!("1000"), &json!("0"), &json!("1000"))
    );
    let path = format!("{BUDGETS}/{}", budget["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.body, budget);
    assert_eq!(admin.get(BUDGETS).await.body["budgets"], json!([budget]));
    let again = admin.post_json(BUDGETS, &of_system("parts", "1")).await;
    assert_eq!(again.problem(), "budget-exists");

    let changed = call(&admin, Method::PATCH, &path, &json!({"amount": "5"})).await;
    assert_eq!(
        (changed.status, &changed.body["amount"]),
        (StatusCode::OK, &json!("5"))
    );
    let refused = call(&admin, Method::PATCH, &path, &json!({"amount": "5.5"})).await;
    assert_eq!(refused.problem(), "invalid-request");

    let removed = call(&admin, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&path).await.problem(), "not-found");
    let entries = admin.audit("").await;
    let actions = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap());
    let actions: Vec<_> = actions
        .filter(|action| action.starts_with("budget."))
        .collect();
    assert_eq!(actions, ["budget.delete", "budget.change", "budget.create"]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn wrong_budgets_are_refused(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    for change in [
        json!({"scope": "everyone"}),
        json!({"scope": "user:7"}),
        json!({"period": "year"}),
        json!({"unit": "messages"}),
        json!({"amount": "-1"}),
        json!({"amount": 5}),
        json!({"amount": "1000000000"}),
    ] {
        let mut body = of_system("parts", "5");
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        assert_eq!(
            admin.post_json(BUDGETS, &body).await.problem(),
            "invalid-request",
            "{change}"
        );
    }
    let money = admin.post_json(BUDGETS, &of_system("money", "5.00")).await;
    assert_eq!(money.problem(), "no-prices");
    import(&admin, "prefix,price\n1,0.01\n").await;
    let money = admin.post_json(BUDGETS, &of_system("money", "5")).await;
    assert_eq!(money.body["amount"], "5.00", "{}", money.body);
    let emptied = import(&admin, "prefix,price\n").await;
    assert_eq!(emptied.problem(), "money-budgets-exist");
    let other = send(
        &admin,
        Method::PUT,
        "/v1/prices?currency=MYR",
        ("text/csv", b"prefix,price\n1,1\n".to_vec()),
    )
    .await;
    assert_eq!(other.problem(), "money-budgets-exist");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_caller_sees_the_budgets_that_hold_for_it_and_sets_none(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let token = insert_key(&pool, &Permission::GRANTABLE, None).await;
    let key = api.with(&token);
    assert_eq!(
        key.post_json(BUDGETS, &of_system("parts", "5"))
            .await
            .problem(),
        "forbidden"
    );
    let mut body = request();
    body["recipients"] = json!(phones(0..1));
    let schedule = key.post(&body).await;
    assert_eq!(schedule.status, StatusCode::CREATED, "{}", schedule.body);
    let owner = schedule.body["created_by"].as_str().unwrap();
    let own = json!({"scope": owner, "period": "month", "unit": "parts", "amount": "700"});
    let other = json!({"scope": "key:0190a0b0-c0d0-7080-8000-00000000000e", "period": "month", "unit": "parts", "amount": "700"});
    for body in [&own, &other, &of_system("parts", "500")] {
        let created = admin.post_json(BUDGETS, body).await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    }
    let seen = key.get(BUDGETS).await.body;
    let mut scopes: Vec<_> = seen["budgets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|budget| budget["scope"].as_str().unwrap())
        .collect();
    scopes.sort_unstable();
    assert_eq!(scopes, [owner, "system"]);
    assert_eq!(
        admin.get(BUDGETS).await.body["budgets"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_schedule_that_certainly_exceeds_a_budget_is_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let budget = admin
        .post_json(BUDGETS, &of_system("parts", "10"))
        .await
        .body;
    let mut body = request();
    body["message"] = json!("x".repeat(200));
    body["recipients"] = json!(phones(0..6));
    let refused = api.post(&body).await;
    assert_eq!(refused.problem(), "budget-exceeded", "{}", refused.body);
    let detail = refused.body["detail"].as_str().unwrap();
    for named in [budget["id"].as_str().unwrap(), "10 parts", "needs 12"] {
        assert!(detail.contains(named), "{detail}");
    }
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM schedules").await, 0);
    body["recipients"] = json!(phones(0..5));
    assert_eq!(api.post(&body).await.status, StatusCode::CREATED);

    // What was used counts today, and the whole budget on a later day.
    let period = budget["period_start"]
        .as_str()
        .unwrap()
        .split_once('T')
        .unwrap()
        .0;
    sqlx::query("INSERT INTO spending (budget_id, period_start, used) VALUES (?, ?, 1)")
        .bind(uuid::Uuid::parse_str(budget["id"].as_str().unwrap()).unwrap())
        .bind(period)
        .execute(&pool)
        .await
        .unwrap();
    body["run_at"] = json!(in_seconds(1));
    assert_eq!(api.post(&body).await.problem(), "budget-exceeded");
    body["run_at"] = json!(in_seconds(2 * 24 * 3600));
    assert_eq!(api.post(&body).await.status, StatusCode::CREATED);

    // A draft is refused when it is activated.
    body["draft"] = json!(true);
    body["recipients"] = json!(phones(0..6));
    let draft = api.post(&body).await;
    assert_eq!(draft.status, StatusCode::CREATED, "{}", draft.body);
    let activated = api.post_step(draft.id(), "activate").await;
    assert_eq!(activated.problem(), "budget-exceeded");
    let shown = api.get(&format!("/v1/schedules/{}", draft.id())).await;
    assert_eq!(shown.body["status"], "draft");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_names_the_budget_that_would_refuse_the_call(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    import(&admin, "prefix,price\n1,0.05\n").await;
    let mut body = request();
    body["message"] = json!("x".repeat(200));
    body["recipients"] = json!(phones(0..6));
    let dry = async |body: &Value| {
        let answer = api.post_json("/v1/schedules?dry_run=true", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    };
    for (unit, short, enough, left, needed) in [
        ("parts", "11", "12", "11", "12"),
        ("money", "0.59", "0.60", "0.59", "0.60"),
    ] {
        let budget = admin.post_json(BUDGETS, &of_system(unit, short)).await;
        let id = budget.body["id"].as_str().unwrap();
        let report = dry(&body).await;
        assert_eq!(report["accepted"], false, "{report}");
        let expected = json!([{"budget_id": id, "scope": "system", "period": "day", "unit": unit, "amount": short, "left": left,
            "needed": needed, "effect": "refuse"}]);
        assert_eq!(report["exceeded_budgets"], expected);
        // The call does what its dry run says.
        assert_eq!(api.post(&body).await.problem(), "budget-exceeded");
        // A draft is accepted, and its activation is not.
        body["draft"] = json!(true);
        let report = dry(&body).await;
        assert_eq!(
            (&report["accepted"], &report["exceeded_budgets"]),
            (&json!(true), &expected)
        );
        body["draft"] = json!(false);

        let path = format!("{BUDGETS}/{id}");
        call(&admin, Method::PATCH, &path, &json!({"amount": enough})).await;
        let report = dry(&body).await;
        assert_eq!(
            (&report["accepted"], &report["exceeded_budgets"]),
            (&json!(true), &json!([]))
        );
        assert_eq!(api.post(&body).await.status, StatusCode::CREATED);
        call(&admin, Method::DELETE, &path, &Value::Null).await;
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_of_a_stored_schedule_says_whether_a_budget_refuses_or_pauses_it(
    pool: MySqlPool,
) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let mut body = request();
    body["recipients"] = json!(phones(0..6));
    // Its list is appended while there is no budget: nothing is planned.
    let before = api.post(&body).await;
    let budget = admin.post_json(BUDGETS, &of_system("parts", "20")).await;
    let path = format!("{BUDGETS}/{}", budget.body["id"].as_str().unwrap());
    let scheduled = api.post(&body).await;
    body["draft"] = json!(true);
    let draft = api.post(&body).await;
    let outlook = async |id: uuid::Uuid| {
        let answer = api.post_step(id, "dry-run").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let budgets = answer.body["exceeded_budgets"].as_array().unwrap().clone();
        let budgets = budgets.iter().map(|budget| {
            let text = |name: &str| budget[name].as_str().unwrap().to_owned();
            (text("effect"), text("left"), text("needed"))
        });
        (answer.body["accepted"] == true, budgets.collect::<Vec<_>>())
    };
    for answer in [&before, &scheduled, &draft] {
        assert_eq!(outlook(answer.id()).await, (true, Vec::new()));
    }
    call(&admin, Method::PATCH, &path, &json!({"amount": "5"})).await;
    let short = |effect: &str| vec![(effect.to_owned(), "5".to_owned(), "6".to_owned())];
    assert_eq!(outlook(before.id()).await, (true, short("pause")));
    assert_eq!(outlook(scheduled.id()).await, (true, short("pause")));
    assert_eq!(outlook(draft.id()).await, (false, short("refuse")));
    let activated = api.post_step(draft.id(), "activate").await;
    assert_eq!(activated.problem(), "budget-exceeded");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_budget_that_warns_is_listed_with_what_needs_attention(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let budget = admin
        .post_json(BUDGETS, &of_system("parts", "10"))
        .await
        .body;
    let none = admin.get("/v1/attention").await.body;
    assert_eq!(none["budgets"], json!([]));
    let period = budget["period_start"].as_str().unwrap();
    sqlx::query(
        "INSERT INTO spending (budget_id, period_start, used, warned_at) VALUES (?, ?, 8, NOW(3))",
    )
    .bind(uuid::Uuid::parse_str(budget["id"].as_str().unwrap()).unwrap())
    .bind(period.split_once('T').unwrap().0)
    .execute(&pool)
    .await
    .unwrap();
    let shown = admin.get("/v1/attention").await.body;
    assert_eq!(
        (&shown["budgets"][0]["used_percent"], &shown["total"]),
        (&json!(80), &json!(0))
    );
}
