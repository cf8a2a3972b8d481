//! What lands in `net._http_response`, and the functions that read it.

use serde_json::json;

use super::{all_stored, request, response, start};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Peer, Reply, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lands_with_all_that_it_had() {
    let scene = start().await;
    let answer = Reply::json(201, &json!({"a": "é"})).header("set-cookie", "one").header("set-cookie", "two");
    scene
        .peer
        .on("/", answer)
        .on("/empty", Reply::status(204))
        .on("/bytes", Reply::bytes(200, "image/png", vec![0xff, 0]));
    let id = request(&scene, "net.http_get($1)", "/").await;
    let row = response(&scene.db, id).await;
    assert_eq!((row.get::<_, i32>("status_code"), row.get::<_, bool>("timed_out")), (201, false));
    assert_eq!(row.get::<_, Option<String>>("content").as_deref(), Some(r#"{"a":"é"}"#));
    assert_eq!(row.get::<_, String>("content_type"), "application/json");
    assert_eq!(row.get::<_, Option<String>>("error_msg"), None);
    assert_eq!(row.get::<_, serde_json::Value>("headers")["set-cookie"], json!(["one", "two"]));
    for path in ["/empty", "/bytes"] {
        let id = request(&scene, "net.http_get($1)", path).await;
        assert_eq!(response(&scene.db, id).await.get::<_, Option<String>>("content"), None);
    }
    all_stored(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_lands_with_its_reason_in_the_words_that_users_know() {
    // That a name does not exist may be long in coming.
    let scene = super::start_on(Cluster::builder().setting("pg_edge.connect_timeout", "60s")).await;
    scene.peer.on("/slow", Reply::hang());
    let refusing = format!("http://{}/", Peer::refusing_address().await);
    let slow = request(&scene, "net.http_get($1, timeout_milliseconds := 200)", "/slow").await;
    let dead: i64 = scene.db.one_with("select net.http_get($1)", &[&refusing]).await;
    let nowhere: i64 =
        scene.db.one("select net.http_get('http://no-such-host.invalid/', timeout_milliseconds := 60000)").await;
    let row = response(&scene.db, slow).await;
    let said: String = row.get("error_msg");
    let total =
        said.strip_prefix("Timeout of 200 ms reached. Total time: ").and_then(|rest| rest.split_once(" ms (DNS time"));
    let total =
        total.and_then(|(total, rest)| rest.contains("HTTP Request/Response time:").then(|| total.parse::<f64>()));
    // It is as long as it took to notice, which nobody knows on a busy machine.
    assert!(total.is_some_and(|total| total.is_ok_and(|total| (200.0..60_000.0).contains(&total))), "{said}");
    assert!(row.get::<_, bool>("timed_out") && row.get::<_, Option<i32>>("status_code").is_none());
    let row = response(&scene.db, dead).await;
    assert_eq!(row.get::<_, String>("error_msg"), "Couldn't connect to server");
    assert!(!row.get::<_, bool>("timed_out"));
    assert_eq!(response(&scene.db, nowhere).await.get::<_, String>("error_msg"), "Couldn't resolve host name");
    // One hanging request held back none of the others.
    all_stored(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_are_collected_by_their_requests_id() {
    let scene = start().await;
    let told = |sql: String| {
        let db = &scene.db;
        async move {
            db.one::<String>(&format!("select concat_ws('|', (r).status, (r).message, ((r).response).status_code, ((r).response).body) from (select {sql} as r) as c")).await
        }
    };
    scene.db.exec("select edge.pause()").await;
    let id = request(&scene, "net.http_get($1)", "/").await;
    assert_eq!(told(format!("net._http_collect_response({id})")).await, "PENDING|request is pending processing");
    scene.db.exec("select edge.resume()").await;
    assert_eq!(
        told(format!("net._http_collect_response({id}, async := false)")).await,
        r#"SUCCESS|ok|200|{"ok":true}"#
    );
    assert_eq!(told(format!("net.http_collect_response({id}, false)")).await, r#"SUCCESS|ok|200|{"ok":true}"#);
    assert_eq!(
        told("net._http_collect_response(987654)".to_owned()).await,
        "ERROR|request matching request_id not found"
    );
    assert_eq!(
        told("net._http_collect_response(987654, false)".to_owned()).await,
        "ERROR|request matching request_id not found"
    );
    assert!(scene.db.one::<bool>(&format!("select net._await_response({id})")).await);
    let slow: i64 = scene.db.one("select net.http_get('http://127.0.0.1:1/')").await;
    assert_eq!(told(format!("net._http_collect_response({slow}, false)")).await, "ERROR|Couldn't connect to server");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_ones_own_uncommitted_request_is_an_error_and_not_for_ever() {
    let scene = start().await;
    let sql = format!("do $$ begin perform net._await_response(net.http_get('{}')); end $$", scene.peer.url("/"));
    assert_eq!(scene.db.fails(&sql).await.sqlstate, "55000");
    let sql = "begin isolation level repeatable read; select net._await_response(1)";
    assert_eq!(scene.db.fails(sql).await.sqlstate, "25001");
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_on_the_responses_run_once_each_and_one_that_fails_holds_up_no_other() {
    let scene = start().await;
    scene.peer.on("/bad", Reply::text(200, "bad")).on("/good", Reply::text(200, "good"));
    scene
        .db
        .exec(
            "create table seen (id bigint, content text);
             create function note() returns trigger language plpgsql as $$
             begin
                 if new.content = 'bad' then raise exception 'no luck'; end if;
                 insert into seen values (new.id, new.content);
                 return new;
             end $$;
             create trigger t after insert on net._http_response for each row execute function note()",
        )
        .await;
    let url = scene.peer.url("");
    let sql = format!(
        "select net.http_get('{url}/' || case when n % 10 = 3 then 'bad' else 'good' end) from generate_series(1, 50) as n"
    );
    scene.db.exec(&sql).await;
    all_stored(&scene.db).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from seen").await, 45);
    assert_eq!(scene.db.one::<i64>("select count(distinct id) from net._http_response").await, 45);
    let errors: Vec<String> =
        scene.db.column("select distinct concat_ws('|', sqlstate, error) from edge.callback_errors").await;
    assert_eq!(errors, ["P0001|no luck"]);
    let failed: i64 = scene.db.one("select min(call_id) from edge.callback_errors").await;
    let outcome = "select body from edge.result($1)";
    assert_eq!(scene.db.one_with::<String>(outcome, &[&failed]).await, "bad", "the outcome itself is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_takes_too_long_is_ended_and_passed_over() {
    let scene = super::start_on(Cluster::builder().setting("pg_edge.callback_timeout", "5s")).await;
    scene.peer.on("/slow", Reply::text(200, "slow"));
    scene
        .db
        .exec(
            "create function sleeps() returns trigger language plpgsql as
                 $$ begin if new.content = 'slow' then perform pg_sleep(3600); end if; return new; end $$;
             create trigger t before insert on net._http_response for each row execute function sleeps()",
        )
        .await;
    let slow = request(&scene, "net.http_get($1)", "/slow").await;
    let good = request(&scene, "net.http_get($1)", "/good").await;
    assert_eq!(response(&scene.db, good).await.get::<_, i32>("status_code"), 200);
    eventually("the error is recorded", SERVER_DEADLINE, || async {
        let sql = "select sqlstate from edge.callback_errors where call_id = $1";
        scene.db.rows_with(sql, &[&slow]).await.first().is_some_and(|row| row.get::<_, &str>(0) == "57014")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_is_stored_whatever_became_of_the_role_that_asked() {
    let scene = start().await;
    scene.db.exec("create role nobody nologin; create role gone").await;
    let get = format!("select net.http_get('{}')", scene.peer.url("/"));
    scene.db.exec("select edge.pause()").await;
    for role in ["nobody", "gone"] {
        scene.db.exec(&format!("set role {role}; {get}; reset role")).await;
    }
    scene.db.exec("revoke connect on database postgres from public; drop role gone; select edge.resume()").await;
    all_stored(&scene.db).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from net._http_response where status_code = 200").await, 2);
}
