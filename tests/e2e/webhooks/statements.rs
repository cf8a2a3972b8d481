//! Triggers for each statement, with the rows and without.

use serde_json::{Value, json};

use super::{arrived, queued, told, trigger};
use crate::harness::Reply;
use crate::harness::process::resident_kib;
use crate::scene::Scene;

/// The calls as the ids that each of them is about.
async fn ids(scene: &Scene) -> Vec<Vec<i64>> {
    let id = |payload: &Value| payload["record"]["id"].as_i64().or(payload["old_record"]["id"].as_i64()).unwrap_or(0);
    let ids = |body: &Value| match body {
        Value::Array(payloads) => payloads.iter().map(id).collect(),
        payload => vec![id(payload)],
    };
    queued(&scene.db).await.iter().map(ids).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_rows_there_is_one_call_a_statement() {
    let scene = Scene::with_orders().await;
    trigger(&scene.db, "tell", "after insert or truncate on orders for each statement", "'hook'").await;
    scene.db.exec("insert into orders select generate_series(1, 5); insert into orders select 9 where false").await;
    scene.db.exec("truncate orders").await;
    arrived(&scene.peer, "/hook", 3).await;
    let told: Vec<_> = queued(&scene.db).await.iter().map(told).collect();
    let insert = || ("INSERT".to_owned(), Value::Null, Value::Null);
    assert_eq!(told, [insert(), insert(), ("TRUNCATE".to_owned(), Value::Null, Value::Null)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_rows_there_is_one_call_a_row() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause()").await;
    let for_each =
        |event: &str, tables: &str| format!("after {event} on orders referencing {tables} for each statement");
    trigger(&scene.db, "added", &for_each("insert", "new table as new_rows"), "'hook'").await;
    trigger(&scene.db, "changed", &for_each("update", "old table as o new table as n"), "'hook'").await;
    trigger(&scene.db, "gone", &for_each("delete", "old table as o"), "'hook'").await;
    scene.db.exec("insert into orders select n, 'new' from generate_series(1, 700) as n").await;
    assert_eq!(ids(&scene).await, (1..=700).map(|id| vec![id]).collect::<Vec<_>>());
    scene.db.exec("update orders set state = 'paid' where id <= 2; delete from orders where id = 3").await;
    scene.db.exec("update orders set state = 'x' where false").await;
    let told: Vec<_> = queued(&scene.db).await.iter().skip(700).map(told).collect();
    let row = |id: i64, state: &str| json!({"id": id, "state": state, "total": null, "note": null});
    assert_eq!(
        told,
        [
            ("UPDATE".to_owned(), row(1, "paid"), row(1, "new")),
            ("UPDATE".to_owned(), row(2, "paid"), row(2, "new")),
            ("DELETE".to_owned(), Value::Null, row(3, "new")),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_call_with_a_list_and_cut_at_its_limits() {
    let scene = Scene::with_orders().await;
    let when = "after insert on orders referencing new table as added for each statement";
    trigger(&scene.db, "tell", when, r#"'hook', '', '{"batch": true}'"#).await;
    scene.db.exec("insert into orders select generate_series(1, 250)").await;
    let sent = arrived(&scene.peer, "/hook", 3).await;
    assert_eq!(sent.iter().map(|body| body.as_array().map_or(0, Vec::len)).sum::<usize>(), 250);
    let sizes: Vec<usize> = ids(&scene).await.iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(ids(&scene).await.concat(), (1..=250).collect::<Vec<i64>>());
    assert!(
        scene.db.one::<bool>("select bool_and(round = 0) from edge_store.request").await,
        "they are no lists of items"
    );
    scene.db.exec("insert into orders select 999 where false").await;
    assert_eq!(queued(&scene.db).await.len(), 3, "no rows made a call");
    // By the bytes that the endpoint takes.
    scene.db.exec("select edge.alter_endpoint('default', max_request_bytes => 1000)").await;
    scene.db.exec("insert into orders select n, repeat('x', 200) from generate_series(301, 310) as n").await;
    let sizes = "select octet_length(body)::int from edge_store.request order by id offset 3";
    let sizes: Vec<i32> = scene.db.column(sizes).await;
    assert!(sizes.len() == 4 && sizes.iter().all(|size| *size <= 1000), "{sizes:?}");
    assert_eq!(ids(&scene).await[3..].concat(), (301..=310).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_function_says_have_failed_come_again_alone_and_too_many_are_halved() {
    let scene = Scene::with_orders().await;
    let failed = Reply::json(207, &json!({"failed": [1]}));
    scene.peer.sequence("/hook", [failed, Reply::status(200), Reply::status(413), Reply::status(200)]);
    let when = "after insert on orders referencing new table as added for each statement";
    trigger(&scene.db, "tell", when, r#"'hook', '', '{"batch": true}'"#).await;
    scene.db.exec("insert into orders values (1), (2), (3)").await;
    let sent = arrived(&scene.peer, "/hook", 2).await;
    assert_eq!(sent[0].as_array().map(Vec::len), Some(3));
    assert_eq!(sent[1], json!([sent[0][1]]));
    scene.db.exec("insert into orders values (4), (5)").await;
    let sent = arrived(&scene.peer, "/hook", 5).await;
    assert_eq!(sent[2].as_array().map(Vec::len), Some(2));
    assert!(sent[3..].iter().all(|half| half.as_array().map(Vec::len) == Some(1)), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_holds_only_the_rows_that_changed() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause()").await;
    let when = "after update on orders referencing old table as o new table as n for each statement";
    trigger(&scene.db, "tell", when, r#"'hook', '', '{"batch": true, "max_items": 2, "when_changed": ["state"]}'"#)
        .await;
    scene.db.exec("insert into orders select n, case when n % 2 = 0 then 'even' else 'odd' end from generate_series(1, 9) as n").await;
    scene.db.exec("update orders set state = 'odd', total = 1").await;
    assert_eq!(ids(&scene).await, [vec![2, 4], vec![6, 8]]);
    scene.db.exec("update orders set total = 2").await;
    assert_eq!(ids(&scene).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_triggers_of_the_statement_read_the_same_rows() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause()").await;
    scene
        .db
        .exec(
            "create table seen (n bigint);
             create function see() returns trigger language plpgsql as
             $$ begin insert into seen select count(*) from added; return null; end $$",
        )
        .await;
    let when = "after insert on orders referencing new table as added for each statement";
    scene.db.exec(&format!("create trigger a {when} execute function see()")).await;
    trigger(&scene.db, "b", when, r#"'hook', '', '{"batch": true}'"#).await;
    scene.db.exec(&format!("create trigger c {when} execute function see()")).await;
    trigger(&scene.db, "d", when, "'hook'").await;
    scene
        .db
        .exec("set work_mem = '64kB'; insert into orders select n, repeat('x', 100) from generate_series(1, 5000) as n")
        .await;
    assert_eq!(scene.db.column::<i64>("select n from seen").await, [5000, 5000]);
    let calls = "select count(*) from edge_store.request";
    assert_eq!(scene.db.one::<i64>(calls).await, 50 + 5000);
}

/// A table whose updates move rows between partitions, with a trigger that is given both tables.
async fn with_partitions(scene: &Scene) {
    scene.db.exec("select edge.pause()").await;
    scene
        .db
        .exec(
            "create table jobs (id int, state text) partition by list (state);
             create table jobs_new partition of jobs for values in ('new');
             create table jobs_done (state text, id int);
             alter table jobs attach partition jobs_done for values in ('done');
             insert into jobs select n, 'new' from generate_series(1, 6) as n",
        )
        .await;
    let when = "after update on jobs referencing old table as o new table as n for each statement";
    trigger(&scene.db, "tell", when, "'hook'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_move_between_partitions_are_told_of_with_what_they_were() {
    let scene = Scene::with_orders().await;
    with_partitions(&scene).await;
    scene.db.exec("update jobs set state = case when id % 2 = 0 then 'done' else 'new' end").await;
    for (event, new, old) in queued(&scene.db).await.iter().map(told) {
        assert_eq!((event.as_str(), &new["id"], &old["state"]), ("UPDATE", &old["id"], &json!("new")));
    }
    assert_eq!(queued(&scene.db).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_never_told_of_with_what_another_row_was() {
    let scene = Scene::with_orders().await;
    with_partitions(&scene).await;
    // Half of the move is undone: the row is gone from the one partition, and does not come into the other.
    scene
        .db
        .exec(
            "create function drop_two() returns trigger language plpgsql as
             $$ begin if new.id = 2 then return null; end if; return new; end $$;
             create trigger lose before insert on jobs_done for each row execute function drop_two()",
        )
        .await;
    scene.db.exec("update jobs set state = 'done'").await;
    let told: Vec<_> = queued(&scene.db).await.iter().map(told).collect();
    let (news, olds): (Vec<_>, Vec<_>) = told.iter().partition(|(_, new, _)| !new.is_null());
    assert_eq!((news.len(), olds.len()), (5, 6));
    assert!(told.iter().all(|(_, new, old)| new.is_null() || old.is_null()), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_that_become_updates_are_told_of_as_what_they_became() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause(); insert into orders values (2, 'old'), (3, 'old')").await;
    let batch = r#"'hook', '', '{"batch": true}'"#;
    trigger(&scene.db, "a", "after insert on orders referencing new table as n for each statement", batch).await;
    let both = "after update on orders referencing old table as o new table as n for each statement";
    trigger(&scene.db, "b", both, batch).await;
    scene
        .db
        .exec(
            "insert into orders select n, 'new' from generate_series(1, 4) as n
             on conflict (id) do update set state = excluded.state",
        )
        .await;
    assert_eq!(ids(&scene).await, [vec![2, 3], vec![1, 4]]);
    let updates = &queued(&scene.db).await[0];
    assert_eq!((&updates[0]["record"]["state"], &updates[0]["old_record"]["state"]), (&json!("new"), &json!("old")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_many_rows_is_told_of_in_little_memory_and_can_be_cancelled() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause()").await;
    let when = "after insert on orders referencing new table as added for each statement";
    trigger(&scene.db, "tell", when, "'hook'").await;
    let pid = scene.db.backend_pid().await;
    let insert = "insert into orders select n, repeat('x', 10000) from generate_series(1, 20000) as n";
    let before = resident_kib(pid);
    scene.db.exec(insert).await;
    let after = resident_kib(pid);
    // The bodies alone have 200 MB. Shared buffers that were touched count as well.
    assert!(after - before < 150 * 1024, "{before} kB before, {after} kB after");
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.request").await, 20_000);
    let error = scene.db.fails(&format!("set statement_timeout = '100ms'; delete from orders; {insert}")).await;
    assert_eq!(error.sqlstate, "57014");
}
