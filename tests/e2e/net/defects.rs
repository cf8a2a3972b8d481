//! The defects of the peer that must not be found in its functions and tables here: the same numbers as in `pg_net_defects`.

use std::collections::HashMap;
use std::time::Duration;

use super::{PATIENT, all_stored, request, response, start, start_on};
use crate::harness::cluster::{SERVER_DEADLINE, Stop};
use crate::harness::{Cluster, Gate, Reply, eventually};
use crate::pg_net_defects::keeps_its_pace;

/// D1: one request with headers that are no object stopped all others for ever.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_no_object_are_refused_and_stop_nothing() {
    let scene = start().await;
    let url = scene.peer.url("/");
    for headers in ["[]", "1", "\"text\"", "[{}]", "null"] {
        for call in [
            format!("select net.http_get('{url}', headers := '{headers}')"),
            format!("select net.http_post('{url}', headers := '{headers}')"),
            format!(
                "insert into net.http_request_queue (method, url, headers, timeout_milliseconds) values ('GET', '{url}', '{headers}', 1)"
            ),
        ] {
            assert_eq!(scene.db.fails(&call).await.sqlstate, "22023", "{call}");
        }
    }
    let id = request(&scene, "net.http_get($1)", "/").await;
    assert_eq!(response(&scene.db, id).await.get::<_, i32>("status_code"), 200);
}

/// D2: redirect loops, stalled streams and redirected POSTs together had the whole batch sent again and again.
#[tokio::test(flavor = "multi_thread")]
async fn endless_redirects_and_stalled_answers_have_nothing_sent_twice() {
    let scene = start().await;
    scene.peer.on("/loop", Reply::status(302).header("location", "/loop"));
    scene.peer.on("/stalls", Reply::stream("text/event-stream").send("data: 1\n\n").then_hang());
    scene.peer.on("/301", Reply::status(301).header("location", "/there"));
    scene.peer.on("/307", Reply::status(307).header("location", "/there"));
    let (url, patient) = (scene.peer.url(""), "timeout_milliseconds := 60000");
    let sql = format!(
        "select net.http_get('{url}/loop', {patient}), net.http_get('{url}/stalls', timeout_milliseconds := 4000),
                net.http_post('{url}/301', {patient}), net.http_post('{url}/307', {patient}),
                net.http_post('{url}/plain', {patient})
         from generate_series(1, 4)"
    );
    scene.db.exec(&sql).await;
    all_stored(&scene.db).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from net._http_response").await, 20);
    assert_eq!(scene.db.one::<i64>("select count(distinct id) from net._http_response").await, 20);
    for path in ["/stalls", "/301", "/307", "/plain"] {
        assert_eq!(scene.peer.count(path), 4, "{path}");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from net._http_response where timed_out").await, 4);
}

/// D3: whoever could make a trigger on the responses became a superuser. `rights` has that nobody can.
#[tokio::test(flavor = "multi_thread")]
async fn no_role_has_the_right_to_a_trigger_on_the_tables() {
    let scene = start().await;
    scene.db.exec("create role low").await;
    for table in ["net._http_response", "net.http_request_queue"] {
        for right in ["trigger", "truncate", "references", "update"] {
            let sql = format!("select has_table_privilege('low', '{table}', '{right}')");
            assert!(!scene.db.one::<bool>(&sql).await, "{right} on {table}");
        }
    }
}

/// D4: any role read everybody's headers and bodies, deleted them, and restarted the worker. `rights` has the rest.
#[tokio::test(flavor = "multi_thread")]
async fn no_role_reads_what_others_send_or_are_told() {
    let scene = start().await;
    scene.db.exec("create role low login; select edge.pause()").await;
    request(&scene, "net.http_get($1, headers := '{\"authorization\": \"Bearer s3cret\"}')", "/").await;
    let low = scene.cluster.connect_as("low", "postgres").await;
    assert_eq!(low.one::<i64>("select count(*) from net.http_request_queue").await, 0);
    scene.db.exec("select edge.resume()").await;
    all_stored(&scene.db).await;
    assert_eq!(low.one::<i64>("select count(*) from net._http_response").await, 0);
    // Not by a function that a condition calls before the policy is asked, either.
    low.exec("create function pg_temp.leak(text) returns boolean language plpgsql cost 0.0001 as $$ begin raise notice '%', $1; return true; end $$").await;
    low.exec("select * from net._http_response where pg_temp.leak(content)").await;
    assert!(low.notices().is_empty(), "{:?}", low.notices());
}

/// D5: a session got slower with each transaction that woke the worker.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_wakes_the_worker_for_long_does_not_slow_down() {
    let scene = start().await;
    scene
        .db
        .exec(
            "create procedure thousand() language plpgsql as $$
             begin
                 for i in 1..1000 loop
                     perform net.wake();
                     commit;
                 end loop;
             end $$",
        )
        .await;
    keeps_its_pace(&scene.cluster, &scene.db).await;
}

/// D6: each batch read the whole queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_found_and_taken_out_of_a_long_queue_by_its_id() {
    let scene = start().await;
    scene.db.exec("select edge.pause()").await;
    let sql = format!("select count(net.http_get('{}')) from generate_series(1, 20000)", scene.peer.url("/"));
    scene.db.exec(&sql).await;
    scene.db.exec("insert into net._http_response (id) select -n from generate_series(1, 20000) as n").await;
    scene.db.exec("analyze net.http_request_queue, net._http_response").await;
    for (table, sql) in [
        ("http_request_queue", "delete from net.http_request_queue where id = any ('{1,2,3}')"),
        ("_http_response", "select * from net._http_response where id = -1"),
    ] {
        let plan: Vec<String> = scene.db.column(&format!("explain {sql}")).await;
        assert!(plan.iter().any(|line| line.contains(&format!("on {table}"))), "{plan:?}");
        assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{plan:?}");
    }
    scene.db.exec("truncate net._http_response").await;
    // Nothing is answered after these: the test is about the queue.
    let reads =
        "select coalesce(seq_tup_read, 0) from pg_stat_user_tables where relid = 'net.http_request_queue'::regclass";
    let before: i64 = scene.db.one(reads).await;
    scene.db.exec("select edge.resume()").await;
    eventually("some thousand are stored", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from net._http_response").await > 3000
    })
    .await;
    let after: i64 = scene.db.one(reads).await;
    assert_eq!(before, after, "the queue was read as a whole");
}

/// D7, and the tables that a crash emptied: what was asked for and what was answered outlives `kill -9` of the server.
#[tokio::test(flavor = "multi_thread")]
async fn requests_and_responses_survive_a_crash_under_the_same_ids() {
    let mut scene = start_on(Cluster::builder().durable()).await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let done = request(&scene, "net.http_get($1)", "/done").await;
    response(&scene.db, done).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(request(&scene, PATIENT, "/gated").await);
    }
    eventually("they are on the wire", SERVER_DEADLINE, || async { scene.peer.in_flight() == 5 }).await;
    scene.cluster.kill_postmaster();
    gate.open();
    scene.cluster.start_again();
    scene.db = scene.cluster.connect().await;
    assert_eq!(response(&scene.db, done).await.get::<_, i32>("status_code"), 200);
    for id in &waiting {
        assert_eq!(response(&scene.db, *id).await.get::<_, i32>("status_code"), 200);
    }
    let next = request(&scene, "net.http_get($1)", "/next").await;
    assert!(next > *waiting.last().unwrap(), "ids go on");
    // Each of the requests that were cut off has been sent again under the same key.
    let mut keys: HashMap<String, usize> = HashMap::new();
    for sent in scene.peer.requests_for("/gated") {
        *keys.entry(sent.header("idempotency-key").unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(keys.len(), 5);
}

/// D7: the cluster ends while its worker begins, and begins again.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_whenever_it_starts_takes_nothing_down() {
    // A call that is on the wire each time is not to be given up for that.
    let scene = start_on(Cluster::builder().setting("pg_edge.max_interruptions", "100")).await;
    let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity where backend_type like 'pg_edge%'";
    for n in 0..10 {
        scene.db.exec(&format!("select net.http_get('{}')", scene.peer.url("/"))).await;
        scene.db.exec(terminate).await;
        tokio::time::sleep(Duration::from_millis(3 * n)).await;
    }
    scene.db.exec("select net.wait_until_running()").await;
    all_stored(&scene.db).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from net._http_response where status_code = 200").await, 10);
    assert!(!scene.cluster.log().contains("terminated by signal"), "{}", scene.cluster.log_tail(30));
}

/// A backlog of one slow peer held back every response of the batch, and the stop of the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_holds_back_no_other_and_no_ddl_and_no_stop() {
    let mut scene = start().await;
    scene.peer.on("/slow", Reply::hang());
    request(&scene, PATIENT, "/slow").await;
    scene.peer.wait_for_path("/slow", 1).await;
    for _ in 0..3 {
        let id = request(&scene, "net.http_get($1)", "/fast").await;
        response(&scene.db, id).await;
    }
    for ddl in ["set lock_timeout = '60s'", "truncate net._http_response", "vacuum full net.http_request_queue"] {
        scene.db.exec(ddl).await;
    }
    // Whoever waited for the answer would wait for ten minutes; the harness waits for one.
    scene.cluster.stop(Stop::Fast);
}
