//! `edge.wait`: until the end, until the time is up, or until it cannot help to wait any longer.

use std::time::Duration;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Gate, Reply, eventually, within};
use crate::scene::{Scene, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_session_is_woken_by_the_end_of_its_call() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let id = scene.get("/gated").await;
    let waiting =
        "select count(*) from pg_stat_activity where query like '%edge.wait%' and wait_event_type = 'Extension'";
    let opened = async {
        eventually("the session sleeps", SERVER_DEADLINE, || async { scene.cluster.psql(waiting) == "1" }).await;
        gate.open();
    };
    let wait = async { scene.db.one_with::<String>("select (edge.wait($1, '1 hour')).state", &[&id]).await };
    let (state, ()) = within("the session wakes", SERVER_DEADLINE, async { tokio::join!(wait, opened) }).await;
    assert_eq!(state, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_woken_and_need_not_look_by_himself() {
    const CALLS: usize = 8;
    let scene = Scene::start().await;
    // Else whoever is not woken would look after a second.
    scene.cluster.fail_at("no_second_look", "stands");
    let reader = scene.cluster.connect().await;
    let sleeping = "select count(*) from pg_stat_activity
                    where query like '%as awaited' and state = 'active' and wait_event_type = 'Extension'";
    let all = async {
        for call in 0..CALLS {
            let gate = Gate::closed();
            let path = format!("/{call}");
            scene.peer.on(&path, Reply::gate(&gate));
            let id = scene.get(&path).await;
            let opened = async {
                eventually("the session sleeps", SERVER_DEADLINE, || async { scene.cluster.psql(sleeping) == "1" })
                    .await;
                gate.open();
            };
            let sql = "select (edge.wait($1, '1 hour')).state as awaited";
            let wait = async { reader.one_with::<String>(sql, &[&id]).await };
            assert_eq!(tokio::join!(wait, opened).0, "succeeded");
        }
    };
    // A timer of Postgres' own, for statistics, wakes a session 10 s after it was idle: that would be 80 s.
    within("all are over", Duration::from_secs(40), all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_wait_for_one_call() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let id = scene.get("/gated").await;
    let mut sessions = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let db = scene.cluster.connect().await;
        sessions.spawn(async move { db.one_with::<String>("select (edge.wait($1, '1 hour')).state", &[&id]).await });
    }
    let waiting =
        "select count(*) from pg_stat_activity where query like '%edge.wait%' and wait_event_type = 'Extension'";
    eventually("all sleep", SERVER_DEADLINE, || async { scene.cluster.psql(waiting) == "12" }).await;
    gate.open();
    let states = within("all wake", SERVER_DEADLINE, sessions.join_all()).await;
    assert!(states.iter().all(|state| state == "succeeded"), "{states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_is_up_the_present_state_is_given() {
    let scene = Scene::start().await;
    scene.peer.on("/hang", Reply::hang());
    let hanging = scene.get("/hang").await;
    reaches(&scene.db, hanging, "running").await;
    for patience in ["100 ms", "0"] {
        let sql = format!("select (edge.wait($1, '{patience}')).state");
        assert_eq!(scene.db.one_with::<String>(&sql, &[&hanging]).await, "running");
    }
    let later = scene.call("edge.http_get_async($1, run_at => clock_timestamp() + interval '1 day')", "/later").await;
    assert_eq!(scene.db.one_with::<String>("select (edge.wait($1, '100 ms')).state", &[&later]).await, "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_call_is_given_at_once_even_under_an_old_snapshot() {
    let scene = Scene::start().await;
    let id = scene.get("/done").await;
    crate::scene::ended(&scene.db, id).await;
    scene.db.exec("begin isolation level repeatable read").await;
    assert_eq!(scene.db.one_with::<String>("select (edge.wait($1, '1 hour')).state", &[&id]).await, "succeeded");
    scene.db.exec("commit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_where_it_cannot_end_is_an_error_at_once() {
    let scene = Scene::start().await;
    scene.peer.on("/hang", Reply::hang());
    let hanging = scene.get("/hang").await;
    let own = format!("begin; select edge.wait(edge.http_get_async('{}'), '1 hour')", scene.peer.url("/own"));
    let table = [
        (own, "25000", "sent only after its commit"),
        (format!("begin isolation level repeatable read; select edge.wait({hanging})"), "25000", "sees new commits"),
        (format!("begin isolation level serializable; select edge.wait({hanging})"), "25000", "sees new commits"),
        ("select edge.wait(4711)".to_owned(), "42704", "call 4711 does not exist"),
        ("select edge.wait(null)".to_owned(), "22004", "id must not be null"),
        (format!("select edge.wait({hanging}, null)"), "22004", "timeout must not be null"),
        (format!("select edge.wait({hanging}, '-1 s')"), "22023", "zero or longer, not -1 s"),
    ];
    for (sql, sqlstate, words) in table {
        let refused = within("it is refused at once", SERVER_DEADLINE, scene.db.fails(&sql)).await;
        assert!(refused.sqlstate == sqlstate && refused.message.contains(words), "{sql}: {refused}");
        scene.db.exec("rollback").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_subtransaction_that_is_still_open_cannot_be_awaited() {
    let scene = Scene::start().await;
    scene.db.exec("begin; savepoint s").await;
    let id = scene.get("/own").await;
    scene.db.exec("release s").await;
    let refused = scene.db.fails(&format!("select edge.wait({id}, '1 hour')")).await;
    assert_eq!(refused.sqlstate, "25000", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_or_timed_out_statement_ends_its_wait() {
    let scene = Scene::start().await;
    scene.peer.on("/hang", Reply::hang());
    let id = scene.get("/hang").await;
    reaches(&scene.db, id, "running").await;
    let wait = format!("select edge.wait({id}, '1 hour')");
    let timed_out = scene.db.fails(&format!("set statement_timeout = '200ms'; {wait}")).await;
    assert_eq!(timed_out.sqlstate, "57014", "{timed_out}");
    scene.db.exec("reset statement_timeout").await;
    let cancel = "select count(*) from (select pg_cancel_backend(pid) from pg_stat_activity
                  where query like 'select edge.wait%' and wait_event_type = 'Extension') as c";
    let cancelled = async {
        eventually("the wait is cancelled", SERVER_DEADLINE, || async { scene.cluster.psql(cancel) == "1" }).await;
    };
    let (refused, ()) = tokio::join!(scene.db.fails(&wait), cancelled);
    assert_eq!(refused.sqlstate, "57014", "{refused}");
    // The place among those who wait is free again, and the session works.
    assert_eq!(scene.db.one_with::<String>("select (edge.wait($1, '10 ms')).state", &[&id]).await, "running");
}
