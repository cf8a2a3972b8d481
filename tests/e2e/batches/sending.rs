//! From items to calls.

use serde_json::json;

use super::{create, list, send};
use crate::harness::Db;
use crate::scene::{Scene, ended};

async fn refused(db: &Db, arguments: &str) -> (String, String) {
    let error = db.fails(&format!("select edge.invoke_batch('work', {arguments})")).await;
    (error.sqlstate, error.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn items_arrive_in_order_in_as_few_calls_as_may_be() {
    let scene = Scene::start().await;
    create(&scene, ", headers => '{\"x-of\": \"endpoint\"}'").await;
    let ask = r#"select edge.invoke_batch('work', array['{"a": 1.00}', '"two"', 'null', '[4]', '5']::jsonb[], 2,
                 headers => '{"x-of": "call"}', params => '{"p": "q"}', metadata => '{"m": 1}')"#;
    let ids: Vec<i64> = scene.db.column(ask).await;
    assert_eq!(ids.len(), 3);
    assert!(ids.is_sorted());
    for id in &ids {
        assert_eq!(ended(&scene.db, *id).await.get::<_, &str>("state"), "succeeded");
    }
    let mut requests = scene.peer.requests_for("/work");
    requests.sort_by_key(|request| request.header("idempotency-key").map(str::to_owned));
    let bodies: Vec<&str> = requests.iter().map(|request| request.text()).collect();
    assert_eq!(bodies, [r#"[{"a": 1.00},"two"]"#, "[null,[4]]", "[5]"]);
    for request in &requests {
        assert_eq!(
            (request.method.as_str(), request.query.as_str(), request.header("content-type"), request.header("x-of")),
            ("POST", "p=q", Some("application/json"), Some("call"))
        );
    }
    let with_metadata = "select count(*) from edge.calls where metadata = '{\"m\": 1}'";
    assert_eq!(scene.db.one::<i64>(with_metadata).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_no_larger_than_its_endpoint_takes_or_than_was_said() {
    let scene = Scene::start().await;
    create(&scene, ", max_request_bytes => 20").await;
    let sizes = |ids: Vec<i64>| {
        let (db, peer) = (&scene.db, &scene.peer);
        async move {
            for id in ids {
                ended(db, id).await;
            }
            let mut sizes: Vec<usize> = peer.requests().iter().map(|request| list(request).len()).collect();
            sizes.sort_unstable();
            peer.forget();
            sizes
        }
    };
    // Nine digits and eight commas in two brackets are nineteen bytes.
    assert_eq!(sizes(send(&scene, 9, "").await).await, [9]);
    assert_eq!(sizes(send(&scene, 9, ", max_bytes => 9").await).await, [1, 4, 4]);
    assert_eq!(sizes(send(&scene, 9, ", max_bytes => 1000").await).await, [9]);
    assert_eq!(
        refused(&scene.db, r#"array['1', '"a text that is too long"']::jsonb[]"#).await,
        (
            "22023".to_owned(),
            "item 2 of items makes a body of 27 bytes by itself, more than the 20 that one may have".to_owned()
        )
    );
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.calls where state = 'pending'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_in_a_sentence() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    for nothing in ["'{}'::jsonb[]", "null", "(select array_agg(to_jsonb(n)) from generate_series(1, 0) as n)"] {
        let sql = format!("select edge.invoke_batch('work', {nothing})");
        assert_eq!(scene.db.column::<i64>(&sql).await, Vec::<i64>::new(), "{nothing}");
    }
    for (arguments, sqlstate, message) in [
        ("array['1', null]::jsonb[]", "22004", "item 2 of items is null; for the null of JSON write 'null'::jsonb"),
        ("array['1']::jsonb[], 0", "22023", "max_items must be between 1 and 10000, not 0"),
        ("array['1']::jsonb[], null", "22004", "max_items must not be null"),
        ("array['1']::jsonb[], max_bytes => 0", "22023", "max_bytes must be one or more, not 0"),
        ("array['1']::jsonb[], endpoint => 'nowhere'", "42704", "endpoint \"nowhere\" does not exist"),
    ] {
        assert_eq!(refused(&scene.db, arguments).await, (sqlstate.to_owned(), message.to_owned()), "{arguments}");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.calls").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_has_the_key_with_its_number_and_the_same_items_are_not_queued_twice() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    let first = send(&scene, 5, ", 2, idempotency_key => 'night'").await;
    let again = send(&scene, 5, ", 2, idempotency_key => 'night'").await;
    assert_eq!(first, again);
    for id in &first {
        ended(&scene.db, *id).await;
    }
    let mut keys: Vec<_> =
        scene.peer.requests().iter().map(|request| request.header("idempotency-key").unwrap().to_owned()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["night-1", "night-2", "night-3"]);
    let others = "select edge.invoke_batch('work', array['7', '8']::jsonb[], 2, idempotency_key => 'night')";
    assert_eq!(scene.db.fails(others).await.sqlstate, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_list_is_not_one_of_a_plain_call_with_the_same_body() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    scene.db.exec("select edge.invoke_batch('work', array['1']::jsonb[], idempotency_key => 'k')").await;
    let plain = "select edge.invoke('work', '[1]', idempotency_key => 'k-1')";
    assert_eq!(scene.db.fails(plain).await.sqlstate, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_sends_lists_as_itself_and_a_rolled_back_list_is_never_sent() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    let ada = scene.role("ada").await;
    ada.exec("begin; select edge.invoke_batch('work', array['1']::jsonb[]); rollback").await;
    let id: i64 = ada.one("select edge.invoke_batch('work', array['2']::jsonb[])").await;
    assert_eq!(ended(&ada, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(scene.peer.requests().iter().map(|request| request.json()).collect::<Vec<_>>(), [json!([2])]);
    assert_eq!(scene.db.one_with::<String>("select owner::text from edge.calls where id = $1", &[&id]).await, "ada");
}
