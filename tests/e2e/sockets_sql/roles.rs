//! Whose websockets are whose, and what others see of them.

use super::{NOWHERE, open};
use crate::harness::Cluster;
use crate::scene::Scene;

async fn quiet_scene() -> Scene {
    Scene::on(Cluster::builder().setting("pg_edge.ws_max_connections", "0")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_another_websocket_for_another_role() {
    let scene = quiet_scene().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    let hers = open(&ada, "room").await;
    ada.exec("select edge.ws_send('room', 'private')").await;
    for view in ["edge.ws_connections", "edge.ws_messages"] {
        assert_eq!(ada.one::<i64>(&format!("select count(*) from {view}")).await, 1, "{view}");
        assert_eq!(eve.one::<i64>(&format!("select count(*) from {view}")).await, 0, "{view}");
    }
    // The same answers as where there is none, so that nothing can be learnt from them.
    assert_eq!(eve.fails("select edge.ws_send('room', 'x')").await.message, "websocket \"room\" does not exist");
    assert!(!eve.one::<bool>("select edge.ws_close('room')").await);
    let his = open(&eve, "room").await;
    assert_ne!(hers, his);
    eve.exec("select edge.ws_send('room', 'his own'); select edge.ws_close('room')").await;
    assert_eq!(ada.column::<String>("select data from edge.ws_messages").await, ["private"]);
    assert!(ada.one::<bool>("select state <> 'closed' and state <> 'closing' from edge.ws_connections").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn monitors_see_that_there_are_websockets_and_not_what_is_said() {
    let scene = quiet_scene().await;
    let (ada, monitor) = (scene.role("ada").await, scene.role("watcher").await);
    scene.db.exec("grant pg_monitor to watcher").await;
    let open = r#"select edge.ws_open('room', 'wss://h.example/?token=hush', '{"x-key": "hush"}', '{jwt-hush}', heartbeat => 'hush')"#;
    ada.exec("begin").await;
    ada.exec(open).await;
    ada.exec("rollback").await;
    ada.exec(&open.replace("wss://h.example/", NOWHERE)).await;
    ada.exec("select edge.ws_send('room', 'hush'), edge.ws_send('room', '\"hush\"'::jsonb), edge.ws_send('room', 'hush'::bytea)")
        .await;
    let seen: String = monitor.one("select string_agg(c::text, '') from edge.ws_connections as c").await;
    assert!(seen.contains("ada") && !seen.contains("hush"), "{seen}");
    let seen: String = monitor.one("select string_agg(m::text, '') from edge.ws_messages as m").await;
    assert!(seen.contains("room") && !seen.contains("hush") && !seen.contains("68757368"), "{seen}");
    assert_eq!(monitor.one::<i64>("select count(*) from edge.ws_messages").await, 3);
    for db in [&ada, &scene.db] {
        let seen: Vec<Option<String>> = db.column("select data from edge.ws_messages order by id").await;
        assert_eq!(seen, [Some("hush".to_owned()), Some("\"hush\"".to_owned()), None]);
        assert!(
            db.one::<bool>("select heartbeat = 'hush' and subprotocols = '{jwt-hush}' from edge.ws_connections").await
        );
    }
    assert!(!monitor.one::<bool>("select edge.ws_close('room')").await, "a monitor only looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_closes_his_own_first_then_the_only_one_that_there_is() {
    let scene = quiet_scene().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    for db in [&scene.db, &ada, &eve] {
        open(db, "room").await;
    }
    let wanted = "select owner::text from edge_store.ws_connection where wanted order by 1";
    let close = "select edge.ws_close('room')";
    assert!(scene.db.one::<bool>(close).await);
    assert_eq!(scene.db.column::<String>(wanted).await, ["ada", "eve"]);
    assert!(!scene.db.one::<bool>(close).await, "his own is closed, and nobody else's meant");
    scene.db.exec("delete from edge_store.ws_connection where owner = 'postgres'::regrole").await;
    let error = scene.db.fails(close).await;
    assert_eq!(error.message, "several roles have a websocket \"room\", and you have none");
    assert!(error.hint.contains("edge.ws_close(id)"), "{error}");
    eve.exec("begin").await;
    scene.db.exec("delete from edge_store.ws_connection where owner = 'eve'::regrole").await;
    assert!(scene.db.one::<bool>(close).await);
    assert_eq!(scene.db.column::<String>(wanted).await, Vec::<String>::new());
    let error = scene.db.fails("select edge.ws_send('room', 'in her name')").await;
    assert_eq!(error.sqlstate, "42704", "nobody speaks over somebody else's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_closed_by_its_number_by_its_owner_and_by_superusers() {
    let scene = quiet_scene().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    let (hers, his) = (open(&ada, "room").await, open(&eve, "room").await);
    let close = |id: i64| format!("select edge.ws_close({id}, 4000, 'bye')");
    assert!(!ada.one::<bool>(&close(his)).await, "it is another role's");
    assert!(!ada.one::<bool>(&close(his + 100)).await, "the same answer as where there is none");
    assert!(ada.one::<bool>(&close(hers)).await);
    assert!(!ada.one::<bool>(&close(hers)).await);
    scene.db.exec("select edge.revoke_access('eve')").await;
    assert!(scene.db.one::<bool>(&close(his)).await);
    assert_eq!(ada.fails("select edge.ws_close(null::bigint)").await.message, "id must not be null");
    assert_eq!(ada.fails("select edge.ws_close(1, 1001)").await.sqlstate, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_effective_role_owns_the_websocket() {
    let scene = quiet_scene().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    scene.db.exec("grant create on schema public to ada; create role team; grant team to ada; select edge.grant_access('team')").await;
    ada.exec(
        "create function say(words text) returns bigint language sql security definer as $$ select edge.ws_send('room', words) $$",
    )
    .await;
    ada.exec("set role team").await;
    open(&ada, "teams").await;
    ada.exec("reset role").await;
    open(&ada, "room").await;
    eve.exec("select say('hello')").await;
    assert_eq!(eve.one::<i64>("select count(*) from edge.ws_messages").await, 0);
    assert_eq!(ada.column::<String>("select data from edge.ws_messages").await, ["hello"]);
    let owners = "select name || ' ' || owner from edge.ws_connections order by 1";
    assert_eq!(scene.db.column::<String>(owners).await, ["room ada", "teams team"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placeholder_takes_the_right_to_set_secrets_and_a_function_the_right_to_execute_it() {
    let scene = quiet_scene().await;
    let ada = scene.role("ada").await;
    let say = format!("select edge.ws_open('room', '{NOWHERE}', '{{\"apikey\": \"${{secret:k}}\"}}')");
    assert_eq!(ada.fails(&say).await.sqlstate, "42501");
    scene.db.exec("grant execute on function edge.set_secret to ada").await;
    ada.exec(&say).await;
    scene
        .db
        .exec(
            "create function hear(edge.ws_message) returns void language sql as 'select';
         revoke execute on function hear from public",
        )
        .await;
    let hear = format!("select edge.ws_open('room', '{NOWHERE}', on_message => 'hear')");
    let refused = ada.fails(&hear).await;
    assert_eq!(refused.sqlstate, "42501", "{refused}");
    scene.db.exec("grant execute on function hear to ada").await;
    ada.exec(&hear).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_search_path_changes_nothing() {
    let scene = quiet_scene().await;
    scene.db.exec("create table who (at text, cur text); grant all on who to public; grant create on database postgres to public").await;
    scene.db.exec("create function me(at text) returns void language sql as $$ insert into public.who values (at, current_user) $$").await;
    let eve = scene.role("eve").await;
    eve.exec(crate::identity::HOSTILE).await;
    eve.exec("grant usage on schema hostile to public").await;
    for db in [&scene.db, &eve] {
        db.exec("set search_path = hostile, pg_temp, pg_catalog; create temp table ws_connection (id bigint)").await;
        db.exec(&format!(
            "select edge.ws_open('room', '{NOWHERE}'); select edge.ws_open('room', '{NOWHERE}', heartbeat => 'x');
             select edge.ws_send('room', 'x'); select edge.ws_send('room', '1'::jsonb); select edge.ws_close('room', 3000, 'x');
             select * from edge.ws_connections; select * from edge.ws_messages; reset search_path"
        ))
        .await;
    }
    let trapped: Vec<String> = scene.db.column("select distinct cur from public.who").await;
    assert!(trapped.is_empty(), "the trap ran as {trapped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telling_function_is_only_told_of_one_s_own_rows() {
    let scene = quiet_scene().await;
    scene.db.exec("grant create on schema public to public").await;
    for name in ["ada", "eve"] {
        let role = scene.role(name).await;
        role.exec(&format!("select edge.ws_open('of {name}', '{NOWHERE}?of={name}')")).await;
        role.exec(&format!("select edge.ws_send('of {name}', '{name} says ' || n) from generate_series(1, 20) as n"))
            .await;
    }
    scene.db.exec("analyze edge_store.ws_connection; analyze edge_store.ws_outgoing").await;
    let eve = scene.cluster.connect_as("eve", "postgres").await;
    eve.exec(
        "create function tell(t text) returns boolean language plpgsql cost 0.0000001 as
             $$ begin raise notice 'told %', t; return true; end $$;
         create function tell2(a text, b text) returns boolean language plpgsql cost 0.0000001 as
             $$ begin raise notice 'told % %', a, b; return true; end $$;
         create operator <<< (leftarg = text, rightarg = text, function = tell2, restrict = scalarltsel)",
    )
    .await;
    for (view, column) in [("ws_connections", "name"), ("ws_connections", "url"), ("ws_messages", "data")] {
        for question in ["tell(v::text)".to_owned(), format!("tell({column})"), format!("{column} <<< 'x'")] {
            eve.exec(&format!("select * from edge.{view} as v where {question}")).await;
            eve.exec(&format!("select {question} from edge.{view} as v order by 1")).await;
        }
    }
    eve.exec(
        "select * from edge.ws_messages as m join edge.ws_connections as c on tell(m.connection || c.name || m.data)",
    )
    .await;
    let told = eve.notices();
    assert!(told.iter().any(|line| line.contains("eve")), "the function tells nothing at all");
    let leaked: Vec<_> = told.iter().filter(|line| line.contains("ada")).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}
