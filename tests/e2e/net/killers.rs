//! Triggers on the responses that end the process, or the whole server, and leave no error behind.

use super::{request, response, start_on};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Reply, eventually};
use crate::scene::Scene;

/// Makes a trigger on the responses that does this for the one with status 418.
async fn start(settings: &[(&str, &str)], harm: &str) -> Scene {
    let builder = settings.iter().fold(Cluster::builder(), |builder, (name, value)| builder.setting(name, value));
    let scene = start_on(builder).await;
    scene
        .db
        .exec(&format!(
            "create function harm() returns trigger language plpgsql as $$
             begin
                 if new.status_code = 418 then {harm}; end if;
                 return new;
             end $$;
             create trigger harm before insert on net._http_response for each row execute function harm()"
        ))
        .await;
    scene.peer.on("/bad", Reply::status(418)).on("/good", Reply::status(204));
    scene
}

const KILL: &str = "execute format('copy (select 1) to program %L', 'kill -9 ' || pg_backend_pid())";

/// Makes requests, of which one kills, and gives the ids of that one and of the others. All have been answered when the first of
/// them is stored: a call that is on the wire at each of the crashes would be given up as well.
async fn requests(scene: &Scene) -> (i64, Vec<i64>) {
    scene.db.exec("select edge.pause()").await;
    let mut good = Vec::new();
    for _ in 0..10 {
        good.push(request(scene, "net.http_get($1)", "/good").await);
    }
    let bad = request(scene, "net.http_get($1)", "/bad").await;
    for _ in 0..10 {
        good.push(request(scene, "net.http_get($1)", "/good").await);
    }
    let locker = scene.cluster.connect().await;
    locker.exec("begin; lock table net._http_response in access exclusive mode").await;
    scene.db.exec("select edge.resume()").await;
    let answered = "select count(*) = 21 from edge_store.callback where owner = 1";
    eventually("all are answered", SERVER_DEADLINE, || scene.db.one::<bool>(answered)).await;
    // The lock is given up before the session is told so, and the server may go down in between.
    let _told = locker.try_exec("commit").await;
    (bad, good)
}

/// Why an outcome was passed over, in a session that may have to be made anew, since the server goes down.
async fn given_up(scene: &Scene, id: i64) -> String {
    let sql = format!("select error from edge.callback_errors where call_id = {id}");
    eventually("the one that kills is given up", SERVER_DEADLINE * 3, || async {
        let client = scene.cluster.try_connect_as("postgres", "postgres").await.ok()?;
        let rows = client.client().query(&sql, &[]).await.ok()?;
        rows.first().map(|row| row.get::<_, String>(0))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_crashes_the_server_each_time_is_given_up_and_the_others_are_stored() {
    let scene = start(&[("pg_edge.max_interruptions", "3")], KILL).await;
    let (bad, good) = requests(&scene).await;
    let why = given_up(&scene, bad).await;
    assert!(why.contains("was begun 3 times"), "{why}");
    let db = scene.cluster.connect().await;
    for id in good {
        assert_eq!(response(&db, id).await.get::<_, i32>("status_code"), 204);
    }
    let left = "select count(*) from net._http_response where status_code = 418";
    assert_eq!(db.one::<i64>(left).await, 0);
    let waits = "select count(*) from net.http_request_queue";
    eventually("nothing waits", SERVER_DEADLINE, || async { db.one::<i64>(waits).await == 0 }).await;
    assert_eq!(db.one_with::<i32>("select (edge.result($1)).status_code", &[&bad]).await, 418, "its outcome is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_ends_its_process_each_time_is_given_up_and_the_others_are_stored() {
    let scene =
        start(&[("pg_edge.max_interruptions", "2")], "perform pg_terminate_backend(pg_backend_pid()), pg_sleep(60)")
            .await;
    let (bad, good) = requests(&scene).await;
    let why = given_up(&scene, bad).await;
    assert!(why.contains("never came to its end"), "{why}");
    for id in good {
        assert_eq!(response(&scene.db, id).await.get::<_, i32>("status_code"), 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_on_the_queue_that_kills_is_not_run_for_ever_either() {
    let scene = start(&[("pg_edge.max_interruptions", "1")], "null").await;
    scene
        .db
        .exec(&format!(
            "create function harm_queue() returns trigger language plpgsql as $$
             begin
                 if old.url like '%/bad' then {KILL}; end if;
                 return old;
             end $$;
             create trigger harm before delete on net.http_request_queue for each row execute function harm_queue()"
        ))
        .await;
    let (bad, good) = requests(&scene).await;
    let why = given_up(&scene, bad).await;
    assert!(why.contains("was begun 1 times"), "{why}");
    // It stays in the queue, and the server stays up.
    eventually("the others are stored", SERVER_DEADLINE * 2, || async {
        let db = scene.cluster.try_connect_as("postgres", "postgres").await.ok()?;
        let stored = db.client().query("select count(*) from net._http_response", &[]).await.ok()?;
        (stored[0].get::<_, i64>(0) == i64::try_from(good.len()).ok()?).then_some(())
    })
    .await;
}
