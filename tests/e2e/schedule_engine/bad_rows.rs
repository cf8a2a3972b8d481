//! A row of which nothing can be made takes itself out of service, and says why.

use super::job::{Job, comes_true, reaches};
use crate::faults::SOON;
use crate::harness::{Db, eventually};
use crate::scene::Scene;

/// Waits until the schedule rests, and gives its note.
async fn note(db: &Db, name: &str) -> String {
    let sql = format!("select not active and due_at is null from edge_store.schedule where name = '{name}'");
    comes_true(db, &format!("{name} rests"), &sql).await;
    db.one(&format!("select noted_by || ': ' || note from edge_store.schedule where name = '{name}'")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_takes_itself_out_of_service_and_stops_no_other() {
    let scene = Scene::start().await;
    let url = scene.peer.url("/");
    let bad = [
        ("schedule", "'every blue moon'", "is no interval"),
        ("timezone", "'Mars/Olympus_Mons'", "no time zone \"Mars/Olympus_Mons\""),
        ("dst", "'sometimes'", "sometimes"),
        ("overlap", "'maybe'", "no overlap \"maybe\""),
        ("catchup", "'perhaps'", "no catchup \"perhaps\""),
        ("kind", "'x'", "cannot be understood"),
        ("url", "null", "cannot be understood"),
        ("catchup_window", "'-1 day'", "cannot be understood"),
        ("owner", "4242424::regrole", "owner was dropped"),
        ("endpoint", "'nowhere'", "endpoint \"nowhere\" is gone"),
    ];
    for (column, value, _) in bad {
        Job::new(&format!("bad {column}"), "every 1 second", &url).with(column, value).write(&scene.db).await;
    }
    let good = Job::new("good", "every 1 second", &url).start(&scene.db).await;
    for (column, _, reason) in bad {
        let note = note(&scene.db, &format!("bad {column}")).await;
        assert!(note.starts_with("pg_edge: ") && note.contains(reason), "{column}: {note}");
    }
    reaches(&scene.db, good, "succeeded", 2).await;
    let runs =
        "select count(*) from edge_store.schedule_run join edge_store.schedule on id = schedule_id where not active";
    assert_eq!(scene.db.one::<i64>(runs).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_of_a_dropped_role_and_of_one_without_access_rests() {
    let scene = Scene::start().await;
    scene
        .db
        .exec(
            "create role gone login; create role shut login; create role fine login;
                   select edge.grant_access('gone'), edge.grant_access('shut'), edge.grant_access('fine')",
        )
        .await;
    for role in ["gone", "shut", "fine"] {
        let job = Job::new(role, "every 1 second", &scene.peer.url("/")).with("owner", &format!("'{role}'"));
        job.start(&scene.db).await;
    }
    reaches(&scene.db, 3, "succeeded", 1).await;
    scene.db.exec("select edge.revoke_access('shut'), edge.revoke_access('gone')").await;
    scene.db.exec("drop owned by gone; drop role gone").await;
    assert!(note(&scene.db, "gone").await.contains("owner was dropped"));
    let shut = note(&scene.db, "shut").await;
    assert!(shut.contains("\"shut\"") && shut.contains("edge.resume_schedule('shut')"), "{shut}");
    reaches(&scene.db, 3, "succeeded", 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_fails_the_transaction_is_found_among_the_others() {
    let scene = Scene::start().await;
    // No such row can be written by the functions: it fails when its run is written.
    scene.db.exec("alter table edge_store.schedule_run add check (name <> 'poison') not valid").await;
    for n in 0..5 {
        Job::new(&format!("good {n}"), "every 1 second", &scene.peer.url("/")).write(&scene.db).await;
    }
    let poison = Job::new("poison", "every 1 second", &scene.peer.url("/"));
    poison.start(&scene.db).await;
    let note = note(&scene.db, "poison").await;
    assert!(note.contains("could not be run") && note.contains("check constraint"), "{note}");
    for id in 1..=5 {
        reaches(&scene.db, id, "succeeded", 2).await;
        assert_eq!(super::job::gaps(&scene.db, id).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_of_a_database_leaves_the_schedules_to_the_original() {
    let scene = Scene::start().await;
    let id = Job::new("tick", "every 1 second", &scene.peer.url("/")).start(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 1).await;
    let Scene { cluster, db, peer } = scene;
    drop(db);
    let other = cluster.connect_as("postgres", "template1").await;
    // Sessions take a moment to go, and so do dispatchers.
    eventually("the database is copied", SOON, || async {
        other.try_exec("create database copy template postgres").await.is_ok()
    })
    .await;
    let copy = cluster.connect_as("postgres", "copy").await;
    copy.exec(&format!("select edge.http_get_async('{}')", peer.url("/copy"))).await;
    assert!(note(&copy, "tick").await.contains("copy of another"));
    assert!(copy.one::<bool>("select bool_and(finished_at is not null) from edge_store.schedule_run").await);
    let db = cluster.connect().await;
    let ticks = super::job::runs(&db, id, "succeeded").await;
    reaches(&db, id, "succeeded", ticks + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_is_as_long_when_it_is_read_as_when_it_was_checked() {
    let scene = Scene::start().await;
    // A day, unless a year had more than twelve months of thirty days.
    let job = Job::new("mixed", "every 1 second", &scene.peer.url("/")).with("catchup_window", "'361 days -1 year'");
    let id = job.start(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 2).await;
    assert_eq!(scene.db.one::<Option<String>>("select note from edge_store.schedule").await, None);
}
