//! Queueing an ended call anew, one or all dead letters.

use crate::harness::Reply;
use crate::scene::{Scene, ended, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_the_same_request_and_links_to_the_old_call() {
    let scene = Scene::start().await;
    scene.peer.sequence("/order", [Reply::status(422), Reply::status(200)]);
    let ask = r#"edge.http_post_async($1, '{"n": 1}', '{"p": "q"}', '{"x-h": "v"}', metadata => '{"m": 1}')"#;
    let old = scene.call(ask, "/order").await;
    ended(&scene.db, old).await;
    assert_eq!(scene.db.column::<i64>("select id from edge.dead_letters").await, [old]);
    let new: i64 = scene.db.one_with("select edge.replay($1)", &[&old]).await;
    assert_ne!(new, old);
    assert_eq!(ended(&scene.db, new).await.get::<_, &str>("state"), "succeeded");
    let sql = "select replay_of from edge.calls where id = $1 and metadata = '{\"m\": 1}' and owner = 'postgres'";
    assert_eq!(scene.db.one_with::<Option<i64>>(sql, &[&new]).await, Some(old));
    let requests = scene.peer.requests();
    let [first, second] = requests.as_slice() else { panic!("two requests were awaited") };
    assert_eq!(
        (&first.method, &first.query, &first.body, first.header("x-h"), first.header("content-type")),
        (&second.method, &second.query, &second.body, second.header("x-h"), second.header("content-type"))
    );
    assert_eq!(
        scene.db.one::<i64>("select count(*) from edge.dead_letters").await,
        0,
        "a replayed letter is dead no more"
    );
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&old]).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_ended_or_does_not_exist_is_not_replayed() {
    let scene = Scene::start().await;
    scene.peer.on("/hang", Reply::hang());
    let id = scene.get("/hang").await;
    reaches(&scene.db, id, "running").await;
    let running = scene.db.fails(&format!("select edge.replay({id})")).await;
    assert_eq!((running.sqlstate.as_str(), running.message), ("55000", format!("call {id} has not ended yet")));
    assert_eq!(scene.db.fails("select edge.replay(4711)").await.sqlstate, "42704");
    assert_eq!(scene.db.fails("select edge.replay(null)").await.sqlstate, "22004");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_replayed_by_endpoint_by_time_and_by_number() {
    let scene = Scene::start().await;
    scene.peer.on("/dead", Reply::status(404));
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = scene.get("/dead").await;
        ended(&scene.db, id).await;
        ids.push(id);
    }
    let good = scene.get("/good").await;
    ended(&scene.db, good).await;
    scene.peer.on("/dead", Reply::status(200));
    let replay = |arguments: &str| {
        let sql = format!("select edge.replay_dead({arguments})");
        let db = &scene.db;
        async move { db.one::<i64>(&sql).await }
    };
    assert_eq!(replay("endpoint => 'http://elsewhere'").await, 0);
    assert_eq!(replay("since => clock_timestamp()").await, 0);
    assert_eq!(replay("max_calls => 0").await, 0);
    assert_eq!(replay(&format!("endpoint => '{}', max_calls => 2", scene.peer.url(""))).await, 2);
    let left: Vec<i64> = scene.db.column("select id from edge.dead_letters order by id").await;
    assert_eq!(left, ids[2..], "the oldest come first");
    let since: String = scene.db.one_with("select finished_at::text from edge.calls where id = $1", &[&ids[4]]).await;
    assert_eq!(replay(&format!("since => '{since}'")).await, 1);
    assert_eq!(replay("").await, 2);
    assert_eq!(replay("").await, 0, "each letter is replayed once");
    for id in scene.db.column::<i64>("select id from edge.calls where replay_of is not null").await {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
    assert_eq!(scene.db.fails("select edge.replay_dead(max_calls => -1)").await.sqlstate, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_that_replay_at_once_replay_each_letter_once() {
    let scene = Scene::start().await;
    scene.peer.on("/dead", Reply::status(404));
    for _ in 0..10 {
        let id = scene.get("/dead").await;
        ended(&scene.db, id).await;
    }
    let other = scene.cluster.connect().await;
    scene.db.exec("begin").await;
    assert_eq!(scene.db.one::<i64>("select edge.replay_dead()").await, 10);
    let blocked = tokio::spawn(async move { other.one::<i64>("select edge.replay_dead()").await });
    crate::harness::eventually(
        "the other session waits its turn",
        crate::harness::cluster::SERVER_DEADLINE,
        || async { scene.cluster.psql("select count(*) from pg_locks where not granted") == "1" },
    )
    .await;
    scene.db.exec("commit").await;
    assert_eq!(blocked.await.expect("the other session lives"), 0);
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.calls where replay_of is not null").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_another_role_s_call_stays_that_role_s() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    scene.peer.on("/dead", Reply::status(404));
    let id = crate::scene::get(&ada, &scene.peer.url("/dead")).await;
    ended(&ada, id).await;
    let one: i64 = scene.db.one_with("select edge.replay($1)", &[&id]).await;
    ended(&scene.db, one).await;
    assert_eq!(scene.db.one::<i64>("select edge.replay_dead()").await, 1);
    assert_eq!(ada.one::<i64>("select count(*) from edge.calls where replay_of is not null").await, 2);
}
