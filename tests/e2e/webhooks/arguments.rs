//! What is wrong with a trigger is said when it is made, and again when it fires.

use super::{made, queued, trigger};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Stop, eventually};
use crate::scene::{Scene, ended};

const ROW: &str = "after insert on orders for each row";
const STATEMENT: &str = "after insert on orders for each statement";
const ROWS: &str = "after update on orders referencing new table as n for each statement";

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_with_bad_arguments_is_refused_when_it_is_made() {
    let scene = Scene::with_orders().await;
    scene.db.exec("create function wrong(t text) returns void language sql as ''").await;
    let table = [
        (ROW, "", "22023", "a function or a URL"),
        (ROW, "'a b'", "22023", "\"a b\" is not the name of a function"),
        (ROW, "'ftp://x/'", "22023", "scheme \"ftp\""),
        (ROW, r#"'f', '', '{"colour": 1}'"#, "22023", "there is no option \"colour\"; there are batch, max_items"),
        (ROW, r#"'f', '', '{"timeout": "soon"}'"#, "22023", "option \"timeout\" must be an interval"),
        (ROW, r#"'f', '', '{"timeout": "-1 s"}'"#, "22023", "at least one millisecond"),
        (ROW, r#"'f', '', '{"delay": "-1 s"}'"#, "22023", "zero or longer"),
        (ROW, r#"'f', '', '{"max_attempts": 0}'"#, "22023", "between 1 and 1000"),
        (ROW, r#"'f', '', '{"columns": ["id", "colour"]}'"#, "42703", "option \"columns\" names column \"colour\""),
        (ROW, r#"'f', '', '{"when_changed": ["colour"]}'"#, "42703", "names column \"colour\""),
        (ROW, r#"'f', '', '{"on_complete": "wrong"}'"#, "22023", "must name a function with its schema"),
        (ROW, r#"'f', '', '{"on_complete": "public."}'"#, "22023", "must name a function with its schema"),
        (ROW, r#"'f', '', '{"on_complete": "public.wrong"}'"#, "42883", "public.wrong(edge.response)"),
        (ROW, r#"'f', '', '{"headers": {"a": "${secret:"}}'"#, "22023", "placeholder"),
        (ROW, r#"'f', '', '{"metadata": {"a": "\u0000"}}'"#, "22023", "JSON that jsonb can hold"),
        (ROW, r#"'f', '', '{"batch": true}'"#, "22023", "needs FOR EACH STATEMENT"),
        (STATEMENT, r#"'f', '', '{"batch": true}'"#, "22023", "REFERENCING NEW TABLE AS"),
        (STATEMENT, r#"'f', '', '{"columns": ["id"]}'"#, "22023", "needs the rows"),
        (ROWS, r#"'f', '', '{"when_changed": true}'"#, "22023", "before and after"),
        ("before insert on orders for each row", "'f'", "22023", "must be an AFTER trigger"),
        ("instead of insert on seen for each row", "'f'", "22023", "it is on a view"),
        (
            "after insert on seen for each statement",
            "'f'",
            "22023",
            "it is on a view: make it on the table that the rows go to",
        ),
    ];
    scene.db.exec("create view seen as select * from orders").await;
    for (when, arguments, sqlstate, words) in table {
        let error = scene.db.fails(&made("tell", when, arguments)).await;
        assert!(error.sqlstate == sqlstate && error.message.contains(words), "{arguments}: {error}");
        assert!(error.message.contains("trigger \"tell\" of table \"public\"."), "{error}");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from pg_trigger where tgname = 'tell'").await, 0);
    let in_schema = "create schema s create table t (id int) create trigger tell after insert on t for each row
                     execute function edge.webhook('a b')";
    assert_eq!(scene.db.fails(in_schema).await.sqlstate, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_nobody_looked_at_is_refused_when_it_fires() {
    let scene = Scene::with_orders().await;
    scene.db.exec("alter event trigger pg_edge_check_webhooks disable").await;
    let batch = r#"'f', '', '{"batch": true}'"#;
    for (when, arguments, words) in [
        (ROW, "'a b'", "\"a b\" is not the name of a function"),
        (ROW, batch, "needs FOR EACH STATEMENT"),
        ("before insert on orders for each row", "'f'", "must be an AFTER trigger"),
    ] {
        trigger(&scene.db, "tell", when, arguments).await;
        let error = scene.db.fails("insert into orders values (1)").await;
        assert!(error.sqlstate == "22023" && error.message.contains(words), "{error}");
        scene.db.exec("drop trigger tell on orders").await;
    }
    assert_eq!(queued(&scene.db).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_trigger_is_not_given_are_a_warning_when_it_is_made() {
    let scene = Scene::with_orders().await;
    let each = |event: &str, tables: &str| format!("after {event} on orders {tables} for each statement");
    let table = [
        ("halves", each("update", "referencing new table as n"), Some("old_record will always be null")),
        ("other_halves", each("update", "referencing old table as o"), Some("record will always be null")),
        ("none", each("insert or update", ""), Some("record and old_record will always be null")),
        ("whole", each("update", "referencing old table as o new table as n"), None),
        ("added", each("insert", "referencing new table as n"), None),
        ("gone", each("delete", "referencing old table as o"), None),
        ("emptied", each("truncate", ""), None),
        ("rows", "after insert or update or delete on orders for each row".to_owned(), None),
    ];
    for (name, when, _) in &table {
        trigger(&scene.db, name, when, "'hook'").await;
    }
    // What Postgres says comes in order, so that nothing is missing before this.
    scene.db.exec("do $$ begin raise warning 'that is all'; end $$").await;
    let is_all = || async { scene.db.notices().iter().any(|notice| notice == "that is all") };
    eventually("the last warning comes", SERVER_DEADLINE, is_all).await;
    for (name, when, words) in table {
        let of_this = format!("trigger \"{name}\" of table");
        let said: Vec<_> = scene.db.notices().into_iter().filter(|notice| notice.contains(&of_this)).collect();
        match words {
            Some(words) => assert!(said.len() == 1 && said[0].contains(words), "{when}: {said:?}"),
            None => assert_eq!(said, [""; 0], "{when}"),
        }
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.webhook_problems").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_is_replaced_does_what_it_says_now() {
    let scene = Scene::with_orders().await;
    trigger(&scene.db, "tell", ROW, "'first'").await;
    scene.db.exec("insert into orders values (1)").await;
    scene.db.exec(&made("tell", ROW, "'second'").replace("create trigger", "create or replace trigger")).await;
    scene.db.exec("insert into orders values (2)").await;
    let urls: Vec<String> = scene.db.column("select url from edge_store.request order by id").await;
    assert_eq!(urls, ["first", "second"]);
    scene
        .db
        .exec("alter table orders rename to invoices; create schema shop; alter table invoices set schema shop")
        .await;
    scene.db.exec("insert into shop.invoices values (3)").await;
    let told = queued(&scene.db).await;
    assert_eq!((told[2]["schema"].as_str(), told[2]["table"].as_str()), (Some("shop"), Some("invoices")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_not_there_is_a_warning_first_and_a_failed_call_then() {
    let scene = Scene::with_orders().await;
    trigger(&scene.db, "tell", ROW, "'f', 'later'").await;
    let warned = |db: &crate::harness::Db| {
        db.notices().iter().any(|notice| notice.contains("endpoint \"later\" does not exist"))
    };
    eventually("the warning comes", SERVER_DEADLINE, || async { warned(&scene.db) }).await;
    scene.db.exec("insert into orders values (1)").await;
    let id: i64 = scene.db.one("select id from edge.calls").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "failed");
    assert_eq!(scene.db.column::<i64>("select id from edge.dead_letters").await, [id]);
    scene.db.exec(&format!("select edge.create_endpoint('later', '{}')", scene.peer.url("/"))).await;
    let again: i64 = scene.db.one_with("select edge.replay($1)", &[&id]).await;
    assert_eq!(ended(&scene.db, again).await.get::<_, &str>("state"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_call_something_else_are_nobody_s_business() {
    let scene = Scene::with_orders().await;
    scene
        .db
        .exec(
            "create role ada login; grant create, usage on schema public to ada;
             create function webhook() returns trigger language plpgsql as 'begin return null; end'",
        )
        .await;
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    ada.exec("create table t (id int); create trigger own before insert on t for each row execute function public.webhook('a b')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_can_be_made_on_a_server_that_was_started_without_pg_edge() {
    let mut scene = Scene::with_orders().await;
    trigger(&scene.db, "tell", ROW, "'hook'").await;
    scene.db.exec("alter system set shared_preload_libraries = 'plpgsql'").await;
    scene.cluster.restart(Stop::Fast);
    let db = scene.cluster.connect().await;
    db.exec("create function f() returns trigger language plpgsql as 'begin return null; end'").await;
    db.exec("create trigger own before insert on orders for each row execute function f()").await;
    // One that nobody can take for granted says what is missing, as do the others when they fire.
    let error = db.fails(&made("another", ROW, "'hook'")).await;
    assert!(error.message.contains("must be loaded when the server starts"), "{error}");
    db.exec("drop trigger own on orders").await;
    let error = db.fails("insert into orders values (1)").await;
    assert!(error.message.contains("must be loaded when the server starts"), "{error}");
}
