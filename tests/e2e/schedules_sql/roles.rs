//! Whose schedules are whose.

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_role_sees_and_touches_its_own_schedules_only() {
    let scene = Scene::start().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    ada.exec("select edge.schedule('s', '@daily', 'select ''private''')").await;
    ada.exec("select edge.run_now('s')").await;
    for view in ["edge.schedules", "edge.schedule_runs", "edge.all_schedules"] {
        assert_eq!(ada.one::<i64>(&format!("select count(*) from {view}")).await, 1, "{view}");
        assert_eq!(eve.one::<i64>(&format!("select count(*) from {view}")).await, 0, "{view}");
    }
    assert!(!eve.one::<bool>("select edge.unschedule('s', true)").await);
    for function in
        ["pause_schedule('s')", "resume_schedule('s')", "run_now('s')", "backfill('s', '2020-01-01', '2020-01-02')"]
    {
        let error = eve.fails(&format!("select edge.{function}")).await;
        assert_eq!(
            (error.sqlstate.as_str(), error.message.as_str()),
            ("42704", "schedule \"s\" does not exist"),
            "{function}"
        );
    }
    // The same name is another schedule.
    eve.exec("select edge.schedule('s', '@hourly', 'select 2')").await;
    assert_eq!(ada.one::<String>("select schedule from edge.schedules").await, "@daily");
    assert_eq!(eve.one::<String>("select schedule from edge.schedules").await, "@hourly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_names_his_own_first_then_the_only_one_that_there_is() {
    let scene = Scene::start().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    for db in [&scene.db, &ada, &eve] {
        db.exec("select edge.schedule('s', '@daily', 'select 1')").await;
    }
    let owners = "select owner::text from edge.schedules order by owner";
    assert!(scene.db.one::<bool>("select edge.unschedule('s')").await);
    assert_eq!(scene.db.column::<String>(owners).await, ["ada", "eve"]);
    let error = scene.db.fails("select edge.unschedule('s')").await;
    assert!(error.message.contains("several roles"), "{error}");
    eve.exec("select edge.unschedule('s')").await;
    scene.db.exec("select edge.pause_schedule('s', 'by the administrator')").await;
    let note: String = ada.one("select note || ' ' || noted_by from edge.schedules").await;
    assert_eq!(note, "by the administrator postgres");
    ada.exec("select edge.resume_schedule('s')").await;
    let run: i64 = scene.db.one("select edge.run_now('s')").await;
    let owner: String = scene.db.one(&format!("select owner::text from edge.schedule_runs where run_id = {run}")).await;
    assert_eq!(owner, "ada", "it runs as its owner, whoever asks for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_dropped_by_its_number_also_when_its_owner_is_gone() {
    let scene = Scene::start().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    let mut ids = Vec::new();
    for db in [&ada, &eve] {
        ids.push(db.one::<i64>("select edge.schedule('s', '@daily', 'select 1')").await);
    }
    let by_id = |id: i64| format!("select edge.unschedule({id}, cancel => true)");
    assert!(!ada.one::<bool>(&by_id(ids[1])).await, "it is another role's");
    assert_eq!(ada.fails("select edge.unschedule(null::bigint)").await.message, "id must not be null");
    drop((ada, eve));
    for role in ["ada", "eve"] {
        let gone = format!("drop owned by {role}; drop role {role}");
        scene.db.exec(&gone).await;
    }
    let error = scene.db.fails("select edge.unschedule('s')").await;
    assert!(error.hint.contains("edge.unschedule(id)"), "{error}");
    for id in ids {
        assert!(scene.db.one::<bool>(&by_id(id)).await);
        assert!(!scene.db.one::<bool>(&by_id(id)).await);
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.schedules").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_pg_monitor_see_all_schedules_and_the_effective_role_owns_them() {
    let scene = Scene::start().await;
    let (ada, monitor) = (scene.role("ada").await, scene.role("watcher").await);
    scene
        .db
        .exec("grant pg_monitor to watcher; create role team; grant team to ada; select edge.grant_access('team')")
        .await;
    ada.exec("set role team").await;
    ada.exec("select edge.schedule('s', '@daily', 'select 1')").await;
    ada.exec("reset role").await;
    assert_eq!(ada.one::<i64>("select count(*) from edge.schedules").await, 0);
    for view in ["edge.schedules", "edge.all_schedules"] {
        assert_eq!(monitor.one::<String>(&format!("select owner::text from {view}")).await, "team");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_access_there_are_no_schedules_and_a_hostile_search_path_changes_nothing() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    ada.exec("select edge.schedule('s', '@daily', 'select 1')").await;
    scene.db.exec("grant create on database postgres to ada").await;
    ada.exec(crate::identity::HOSTILE).await;
    scene.db.exec("create table who (at text, cur text); grant all on who to public").await;
    scene.db.exec("create function me(at text) returns void language sql as $$ insert into public.who values (at, current_user) $$").await;
    scene.db.exec("grant usage on schema hostile to postgres; set search_path = hostile, pg_temp, pg_catalog").await;
    scene
        .db
        .exec(
            "select edge.schedule('t', '@daily', 'select 1'); select edge.schedule('t', '@daily', 'select 1');
             select edge.run_now('t'); select edge.backfill('t', '2020-01-01', '2020-01-03'); select edge.pause_schedule('t');
             select edge.resume_schedule('t'); select * from edge.schedules; select * from edge.schedule_runs;
             select * from edge.all_schedules; select * from edge.next_runs('@daily'); select edge.unschedule('t', true);
             reset search_path",
        )
        .await;
    assert_eq!(scene.db.column::<String>("select cur from public.who").await, Vec::<String>::new());
    scene.db.exec("select edge.revoke_access('ada')").await;
    for what in [
        "edge.schedule('s', '@daily', 'select 1')",
        "edge.schedule_invoke('s', '@daily', 'f')",
        "edge.schedule_http('s', '@daily', 'https://x.y/')",
        "edge.unschedule('s')",
        "edge.pause_schedule('s')",
        "edge.resume_schedule('s')",
        "edge.run_now('s')",
        "edge.backfill('s', now(), now())",
        "edge.next_runs('@daily')",
        "edge.describe_schedule('@daily')",
        "edge.import_pg_cron()",
        "(select count(*) from edge.schedules)",
        "(select count(*) from edge.schedule_runs)",
        "(select count(*) from edge.all_schedules)",
    ] {
        assert_eq!(ada.fails(&format!("select {what}")).await.sqlstate, "42501", "{what}");
    }
}
