//! What has gone wrong with triggers since they were made.

use super::{ORDERS, made, trigger};
use crate::harness::Db;
use crate::scene::Scene;

const ROW: &str = "after insert or update on orders for each row";

/// Every problem, as the name of its trigger and the words of it.
async fn problems(db: &Db) -> Vec<(String, String)> {
    let rows =
        db.rows_with("select trigger::text, problem, advice from edge.webhook_problems order by 1, 2", &[]).await;
    let problem = |row: tokio_postgres::Row| {
        assert!(!row.get::<_, String>(2).is_empty(), "a problem without advice");
        (row.get(0), row.get(1))
    };
    rows.into_iter().map(problem).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_since_a_trigger_was_made_is_listed_and_what_is_well_is_not() {
    let scene = Scene::with_orders().await;
    scene
        .db
        .exec(
            "create function done(r edge.response) returns void language sql as '';
             select edge.create_endpoint('crm', 'https://crm.example.com/');
             select edge.set_secret('key', 'hush')",
        )
        .await;
    for (name, arguments) in [
        ("well", r#"'hook', '', '{"columns": ["id"], "when_changed": ["total"]}'"#),
        ("renamed", r#"'hook', '', '{"columns": ["id", "state"], "when_changed": ["state"]}'"#),
        ("callback", r#"'hook', '', '{"on_complete": "public.done"}'"#),
        ("endpoint", "'hook', 'crm'"),
        ("moved", "'https://crm.example.com/hook', 'crm'"),
        ("secret", r#"'hook', '', '{"headers": {"X-Key": "a ${secret:key}"}}'"#),
    ] {
        trigger(&scene.db, name, ROW, arguments).await;
    }
    assert_eq!(problems(&scene.db).await, []);
    scene
        .db
        .exec(
            "alter table orders rename state to status; drop function done; select edge.drop_secret('key');
             select edge.alter_endpoint('crm', base_url => 'https://other.example.com/')",
        )
        .await;
    let found = problems(&scene.db).await;
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["callback", "moved", "renamed", "renamed", "secret"], "{found:?}");
    assert!(found[0].1.contains("public.done(edge.response)"), "{found:?}");
    assert!(found[1].1.contains("calls by endpoint \"crm\" fail"), "{found:?}");
    assert!(found[2].1.contains("option \"columns\" names column \"state\""), "{found:?}");
    assert!(found[3].1.contains("option \"when_changed\" names column \"state\""), "{found:?}");
    assert!(found[4].1.contains("there is no secret \"key\""), "{found:?}");
    scene.db.exec("select edge.drop_endpoint('crm')").await;
    let found = problems(&scene.db).await;
    let gone: Vec<_> = found.iter().filter(|(_, problem)| problem.contains("\"crm\" does not exist")).collect();
    assert_eq!(gone.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["endpoint", "moved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_has_changed_hands_is_a_problem_for_its_new_owner_and_none_of_others() {
    let scene = Scene::start().await;
    let (ada, bob, eve) = (scene.role("ada").await, scene.role("bob").await, scene.role("eve").await);
    let monitor = scene.role("watcher").await;
    scene.db.exec("grant create on schema public to ada; grant pg_monitor to watcher").await;
    scene.default_endpoint().await;
    ada.exec(ORDERS).await;
    ada.exec("create function done(r edge.response) returns void language sql as ''").await;
    trigger(&ada, "tell", ROW, r#"'hook', '', '{"on_complete": "public.done"}'"#).await;
    assert_eq!(problems(&scene.db).await, []);
    scene.db.exec("alter table orders owner to bob").await;
    for db in [&scene.db, &bob, &monitor] {
        let found = problems(db).await;
        assert!(found.len() == 1 && found[0].1.contains("must belong to the table's owner \"bob\""), "{found:?}");
    }
    for db in [&ada, &eve] {
        assert_eq!(problems(db).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_nobody_looked_at_are_listed_with_what_is_wrong_with_their_arguments() {
    let scene = Scene::with_orders().await;
    scene
        .db
        .exec(
            "create table events (id int) partition by list (id); create table one partition of events for values in (1);
             alter event trigger pg_edge_check_webhooks disable",
        )
        .await;
    trigger(&scene.db, "options", ROW, r#"'f', '', '{"colour": 1}'"#).await;
    trigger(&scene.db, "shape", ROW, r#"'f', '', '{"batch": true}'"#).await;
    trigger(&scene.db, "parts", "after insert on events for each row", "'a b'").await;
    let found = problems(&scene.db).await;
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["options", "parts", "shape"], "{found:?}");
    assert!(found[0].1.contains("there is no option \"colour\""), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_is_checked_by_its_name() {
    let scene = Scene::with_orders().await;
    scene.db.exec("create function other() returns trigger language plpgsql as 'begin return null; end'").await;
    scene.db.exec("create trigger other after insert on orders execute function other()").await;
    trigger(&scene.db, "\"Tell it\"", ROW, r#"'hook', '', '{"columns": ["state"]}'"#).await;
    let check = "select edge.check_webhook('orders', 'Tell it')";
    scene.db.exec(check).await;
    scene.db.exec("alter table orders rename state to status").await;
    assert_eq!(scene.db.fails(check).await.sqlstate, "42703");
    for name in ["tell it", "other"] {
        let error = scene.db.fails(&format!("select edge.check_webhook('orders', '{name}')")).await;
        assert!(error.sqlstate == "42704" && error.message.contains("public.orders has no trigger"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_when_a_trigger_is_made_is_a_warning_that_names_the_trigger() {
    let scene = Scene::with_orders().await;
    let headers = r#"'hook', '', '{"headers": {"X-Key": "${secret:key}"}}'"#;
    for (name, when, arguments, words) in [
        ("a", ROW, "'hook', 'later'", "endpoint \"later\" does not exist"),
        ("b", ROW, "'https://elsewhere.example.com/', 'default'", "calls by endpoint \"default\" fail: "),
        ("c", ROW, headers, "there is no secret \"key\""),
    ] {
        scene.db.exec(&made(name, when, arguments)).await;
        warned(&scene.db, &format!("trigger \"{name}\" of table \"public\".\"orders\": {words}")).await;
    }
}

/// Waits until Postgres has said so beside its answers.
async fn warned(db: &Db, words: &str) {
    let what = format!("a warning says: {words}");
    crate::harness::eventually(&what, crate::harness::cluster::SERVER_DEADLINE, || async {
        db.notices().iter().any(|notice| notice.contains(words))
    })
    .await;
}
