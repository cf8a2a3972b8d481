//! Lists that are too much at once.

use serde_json::json;

use super::{create, done, list, send, takes_at_most};
use crate::faults::{SOON, all_ended, dispatcher, holds, successor};
use crate::harness::{Cluster, Gate, Reply, Stop, eventually};
use crate::scene::{Scene, call, ended};

/// What became of all that was made of some calls: how many succeeded, how many were split, and how many there are.
const FAMILY: &str = "
    with recursive family as (
        select id, state, error_class from edge.calls where id = any ($1)
        union all
        select calls.id, calls.state, calls.error_class
        from edge.calls join family on calls.replay_of = family.id
    )
    select count(*) filter (where state = 'succeeded'), count(*) filter (where error_class = 'split'), count(*) from family";

/// The page about batches.
const PAGE: &str = include_str!("../../../docs/batches.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_query_of_the_page_tells_what_became_of_a_batch() {
    let scene = Scene::start().await;
    takes_at_most(&scene.peer, 3, 546);
    create(&scene, "").await;
    let ids = send(&scene, 8, ", 4").await;
    all_ended(&scene.cluster, "postgres").await;
    let begin = PAGE.find("with recursive family").expect("the page has a query");
    let end = begin + PAGE[begin..].find("```").expect("it ends");
    let query = PAGE[begin..end].replace("{17,18}", &format!("{{{},{}}}", ids[0], ids[1]));
    let rows = scene.db.rows(query.trim_end().trim_end_matches(';')).await;
    let told: Vec<(String, Option<String>, i64)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(told, [("failed".to_owned(), Some("split".to_owned()), 2), ("succeeded".to_owned(), None, 4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_too_much_is_halved_until_it_is_not() {
    for status in [413, 546] {
        let scene = Scene::start().await;
        takes_at_most(&scene.peer, 3, status);
        create(&scene, "").await;
        let ids = send(&scene, 10, "").await;
        all_ended(&scene.cluster, "postgres").await;
        let once = done(&scene.peer, 3);
        assert_eq!(once.len(), 10, "each item was taken");
        assert!(once.values().all(|times| *times == 1), "{once:?}");
        // 10 in 5 + 5, each of them in 3 + 2.
        let family = &scene.db.rows_with(FAMILY, &[&ids]).await[0];
        let counts: (i64, i64, i64) = (family.get(0), family.get(1), family.get(2));
        assert_eq!(counts, (4, 3, 7), "{status}");
        let dead = "select count(*) from edge.dead_letters";
        assert_eq!(scene.db.one::<i64>(dead).await, 0, "a split call is no dead letter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_split_call_is_told_what_became_of_it() {
    let scene = Scene::start().await;
    takes_at_most(&scene.peer, 1, 413);
    create(&scene, "").await;
    let ids = send(&scene, 2, ", metadata => '{\"m\": 1}', max_attempts => 2").await;
    let split = ended(&scene.db, ids[0]).await;
    let state: (&str, Option<i32>, Option<&str>) =
        (split.get("state"), split.get("status_code"), split.get("error_class"));
    assert_eq!(state, ("failed", Some(413), Some("split")));
    let halves: Vec<i64> =
        scene.db.column(&format!("select id from edge.calls where replay_of = {} order by id", ids[0])).await;
    let [first, second] = halves.as_slice() else { panic!("there are two halves: {halves:?}") };
    assert_eq!(
        split.get::<_, &str>("error"),
        format!("the peer answered 413 Payload Too Large, so the items are sent as calls: {first} and {second}")
    );
    let alike =
        "select count(*) from edge_store.request where metadata = '{\"m\": 1}' and max_attempts = 2 and round = 0
                   and endpoint = 'default' and owner = 'postgres'::regrole";
    assert_eq!(scene.db.one::<i64>(alike).await, 3);
    for half in halves {
        assert_eq!(ended(&scene.db, half).await.get::<_, &str>("state"), "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_item_that_is_too_much_fails_as_any_call_does() {
    let scene = Scene::start().await;
    scene.peer.on("/work", Reply::status(413));
    create(&scene, "").await;
    let ids = send(&scene, 3, "").await;
    all_ended(&scene.cluster, "postgres").await;
    let family = &scene.db.rows_with(FAMILY, &[&ids]).await[0];
    assert_eq!((family.get::<_, i64>(0), family.get::<_, i64>(1), family.get::<_, i64>(2)), (0, 2, 5));
    let letters = "select array_agg(error_class) from edge.dead_letters";
    assert_eq!(scene.db.one::<Vec<String>>(letters).await, ["http"; 3]);
}

/// Has a function `note` write what it is called with into the table `told`.
async fn note_callbacks(scene: &Scene) {
    scene
        .db
        .exec(
            "create table told (id bigint, state text, error_class text);
             create function note(response edge.response) returns void language sql as
             $$ insert into public.told values (response.id, response.state, response.error_class) $$",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_halves_call_back_and_the_split_call_does_not() {
    let scene = Scene::start().await;
    takes_at_most(&scene.peer, 1, 413);
    create(&scene, "").await;
    note_callbacks(&scene).await;
    let ids = send(&scene, 2, ", on_complete => 'note'").await;
    all_ended(&scene.cluster, "postgres").await;
    eventually("both halves have called back", SOON, || async {
        scene.db.one::<i64>("select count(*) from told").await == 2
    })
    .await;
    let told: Vec<String> = scene.db.column(&format!("select state from told where id <> {}", ids[0])).await;
    assert_eq!(told, ["succeeded", "succeeded"]);
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.callbacks").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_halves_cannot_be_made_calls_back_itself() {
    let scene = Scene::start().await;
    takes_at_most(&scene.peer, 1, 413);
    create(&scene, "").await;
    note_callbacks(&scene).await;
    scene.db.exec("alter table edge_store.request_0 add constraint whole check (replay_of is null)").await;
    let ids = send(&scene, 2, ", on_complete => 'note'").await;
    eventually("it has called back", SOON, || async { scene.db.one::<i64>("select count(*) from told").await == 1 })
        .await;
    let told = &scene.db.rows("select id, error_class from told").await[0];
    assert_eq!((told.get::<_, i64>(0), told.get::<_, &str>(1)), (ids[0], "internal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn halves_wait_where_the_function_ran_out_of_means_and_not_where_the_body_is_too_large() {
    // Whoever waits for an hour has not ended when this gives up.
    for (status, base, least) in [(546, "1500 ms", 1400), (413, "1 hour", 0)] {
        let scene = Scene::start().await;
        takes_at_most(&scene.peer, 1, status);
        create(&scene, &format!(", retry => edge.retry_policy(base => '{base}', jitter => '0')")).await;
        send(&scene, 2, "").await;
        all_ended(&scene.cluster, "postgres").await;
        let at: Vec<_> = scene.peer.requests().iter().map(|request| request.at).collect();
        let waited = (at[1] - at[0]).as_millis();
        assert!(waited >= least, "{status}: {waited}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_cannot_be_read_for_the_moment_stop_nobody() {
    let scene = Scene::start().await;
    takes_at_most(&scene.peer, 1, 413);
    create(&scene, "").await;
    scene.cluster.fail_at("before_items_are_read", "disk_full");
    send(&scene, 2, "").await;
    let other = scene.get("/other").await;
    assert_eq!(ended(&scene.db, other).await.get::<_, &str>("state"), "succeeded");
    all_ended(&scene.cluster, "postgres").await;
    assert!(!scene.cluster.failpoint_is_armed());
    assert_eq!(done(&scene.peer, 1).len(), 2);
    let log = scene.cluster.log_tail(400);
    assert!(!log.contains("dispatcher: could not extend file"), "no turn has failed: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_list_is_halved_to_the_last_byte() {
    let scene = Scene::start().await;
    takes_at_most(&scene.peer, 2, 546);
    create(&scene, "").await;
    let items = "array_agg(jsonb_build_object('n', n, 'text', repeat(chr(228), 20000)))";
    scene.db.exec(&format!("select edge.invoke_batch('work', (select {items} from generate_series(1, 7) as n))")).await;
    all_ended(&scene.cluster, "postgres").await;
    let once = done(&scene.peer, 2);
    assert_eq!((once.len(), once.values().sum::<usize>()), (7, 7));
    assert!(once.keys().all(|item| item.chars().filter(|letter| *letter == 'ä').count() == 20_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn halves_are_made_also_where_the_role_may_queue_no_more_and_are_counted() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_queued_per_role", "1")).await;
    takes_at_most(&scene.peer, 1, 413);
    create(&scene, "").await;
    let ada = scene.role("ada").await;
    call(&ada, "edge.invoke_batch(substr($1, 2), array['1', '2', '3', '4']::jsonb[])", "/work").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(done(&scene.peer, 1).len(), 4);
    let none = "select coalesce(max(queued), 0) = 0 from edge.queued_per_role where owner = 'ada'";
    eventually("none of ada's calls counts any more", SOON, || async { scene.db.one::<bool>(none).await }).await;
}

/// Sends a list that is too much, and lets the dispatcher pass `point` once while it is halved.
async fn struck(point: &str, action: &str) -> Scene {
    let scene = Scene::start().await;
    create(&scene, "").await;
    let worker = dispatcher(&scene.cluster, "postgres").await;
    // Nothing is answered before the session has heard that it is queued: the server takes it along when it goes down.
    let gate = Gate::closed();
    let whole = gate.clone();
    scene
        .peer
        .answer("/work", move |request| Reply::status(if list(request).len() > 1 { 413 } else { 200 }).behind(&whole));
    scene.cluster.fail_at(point, action);
    send(&scene, 4, "").await;
    gate.open();
    eventually("the fault has struck", SOON, || async { !scene.cluster.failpoint_is_armed() }).await;
    if action == "kill" {
        successor(&scene.cluster, "dispatcher", "postgres", worker).await;
    }
    all_ended(&scene.cluster, "postgres").await;
    scene
}

async fn assert_halved_once(scene: &Scene) {
    let made = "select count(*) = 7 and count(*) filter (where replay_of is null) = 1
                       and count(*) filter (where state = 'succeeded') = 4 from edge.calls";
    assert!(holds(&scene.cluster, "postgres", made).await, "{}", scene.cluster.log_tail(20));
    assert_eq!(done(&scene.peer, 1).len(), 4, "no item is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_the_halves_are_committed_makes_them_once() {
    let scene = struck("before_response_commit", "kill").await;
    assert_halved_once(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_while_the_halves_are_written_makes_them_once() {
    for action in ["error", "disk_full"] {
        let scene = struck("before_response_commit", action).await;
        assert_halved_once(&scene).await;
        let sent_once = scene.peer.requests_for("/work").iter().filter(|request| list(request).len() == 4).count();
        assert_eq!(sent_once, 1, "the answer was not lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_server_while_lists_are_halved_loses_no_item() {
    let mut scene = Scene::on(Cluster::builder().durable()).await;
    takes_at_most(&scene.peer, 1, 546);
    create(&scene, ", max_concurrency => 4").await;
    send(&scene, 256, ", 64").await;
    for least in [40, 120] {
        eventually("some were sent", SOON, || async { scene.peer.requests().len() >= least }).await;
        scene.cluster.restart(Stop::Immediate);
    }
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(done(&scene.peer, 1).len(), 256, "no item is lost");
    // Made by 4 calls for 64 items: each call with n of them was made of one, n = 1 to 32, and once.
    let made = "select count(*) = 4 * 127 and count(*) filter (where state = 'succeeded') = 256 from edge.calls";
    assert!(holds(&scene.cluster, "postgres", made).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_cannot_be_read_back_cost_their_own_call_alone() {
    for (status, class) in [(413, "http"), (207, "items")] {
        let scene = Scene::start().await;
        let gate = Gate::closed();
        scene.peer.on("/work", Reply::json(status, &json!({"failed": [0]})).behind(&gate));
        create(&scene, ", timeout => '1 hour'").await;
        let items = "array_agg(to_jsonb((select string_agg(md5(n::text || m), '') from generate_series(1, 200) as m)))";
        let bad: i64 = scene
            .db
            .one(&format!("select edge.invoke_batch('work', (select {items} from generate_series(1, 5) as n))"))
            .await;
        eventually("it is on the wire", SOON, || async { scene.peer.in_flight() == 1 }).await;
        scene
            .db
            .exec(
                "set allow_system_table_mods = on;
                 do $$
                 declare
                     apart regclass := (select reltoastrelid from pg_class where oid = 'edge_store.request_0'::regclass);
                 begin
                     -- What is stored out of line cannot be deleted as long as it is known for what it is.
                     update pg_class set relkind = 'r' where oid = apart;
                     execute format('delete from %s', apart);
                     update pg_class set relkind = 't' where oid = apart;
                 end $$",
            )
            .await;
        // Until it is cleared away it can still be read by whoever has a pointer to it.
        eventually("the items cannot be read", SOON, || async {
            scene.db.exec("vacuum edge_store.request_0").await;
            scene.db.try_exec("select md5(body) from edge_store.request").await.is_err()
        })
        .await;
        gate.open();
        let end = ended(&scene.db, bad).await;
        let found = (end.get::<_, &str>("state"), end.get::<_, Option<&str>>("error_class"));
        assert_eq!(found, ("failed", Some(class)), "{:?}", end.get::<_, Option<&str>>("error"));
        let good = scene.get("/good").await;
        assert_eq!(ended(&scene.db, good).await.get::<_, &str>("state"), "succeeded");
    }
}
