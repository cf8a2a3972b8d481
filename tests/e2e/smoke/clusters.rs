//! Servers without the extension: started, stopped, killed, recovered, followed.

use crate::harness::{Cluster, Stop, process};

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_cluster_answers() {
    let cluster = Cluster::bare();
    let db = cluster.connect().await;
    assert_eq!(db.one::<i32>("select 40 + 2").await, 42);
    assert_eq!(db.one::<String>("show server_encoding").await, "UTF8");
    assert_eq!(db.one::<String>("show fsync").await, "off");
    assert_eq!(cluster.psql("select 1, 'ä'"), "1|ä");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_survives_every_way_to_stop() {
    let mut cluster = Cluster::builder().bare().durable().start();
    cluster.connect().await.exec("create table kept (how text)").await;
    for mode in [Stop::Smart, Stop::Fast, Stop::Immediate] {
        cluster.connect().await.exec(&format!("insert into kept values ('{mode:?}')")).await;
        cluster.restart(mode);
    }
    cluster.connect().await.exec("insert into kept values ('killed')").await;
    cluster.kill_postmaster();
    assert!(!cluster.is_running());
    cluster.start_again();
    cluster.connect().await.exec("insert into kept values ('by pg_ctl')").await;
    cluster.pg_ctl(&["restart", "-m", "immediate"]);
    let kept: Vec<String> = cluster.connect().await.column("select how from kept").await;
    assert_eq!(kept, ["Smart", "Fast", "Immediate", "killed", "by pg_ctl"]);
    assert!(cluster.log().contains("database system was not properly shut down"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backend_makes_the_server_recover() {
    let cluster = Cluster::bare();
    let victim = cluster.connect().await;
    process::send(victim.backend_pid().await, process::Signal::SIGKILL);
    crate::harness::eventually(
        "the server accepts sessions again",
        crate::harness::cluster::SERVER_DEADLINE,
        || async {
            cluster.log().contains("all server processes terminated; reinitializing")
                && cluster.try_connect_as("postgres", "postgres").await.is_ok()
        },
    )
    .await;
    assert!(!victim.fails("select 1").await.message.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_setting_is_there_when_set_returns() {
    let cluster = Cluster::builder().bare().setting("work_mem", "5MB").start();
    assert_eq!(cluster.connect().await.one::<String>("show work_mem").await, "5MB");
    cluster.set("work_mem", "7MB").await;
    assert_eq!(cluster.connect().await.one::<String>("show work_mem").await, "7MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_keeps_the_server_down_is_in_the_log_of_the_failed_start() {
    let mut cluster = Cluster::bare();
    cluster.set("shared_preload_libraries", "no_such_library").await;
    cluster.stop(Stop::Fast);
    let log = cluster.try_start().expect_err("there is no such library");
    assert!(log.contains("could not access file \"no_such_library\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_follows_and_is_promoted() {
    let mut primary = Cluster::bare();
    primary.create_database("other").await;
    let db = primary.connect_as("postgres", "other").await;
    db.exec("create table t as select 1 as n").await;
    let mut standby = primary.basebackup_standby();
    db.exec("insert into t values (2)").await;
    standby.catch_up_with(&primary).await;
    let follower = standby.connect_as("postgres", "other").await;
    assert_eq!(follower.column::<i32>("select n from t order by n").await, [1, 2]);
    let refused = follower.fails("insert into t values (3)").await;
    assert_eq!(refused.sqlstate, "25006", "{refused}");
    primary.kill_postmaster();
    standby.promote();
    follower.exec("insert into t values (3)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_notices_and_notifications_reach_the_test() {
    let cluster = Cluster::bare();
    let db = cluster.connect().await;
    let error = db.fails("select 1/0").await;
    assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("22012", "division by zero"));
    db.exec("do $$ begin raise notice 'hear this'; end $$; listen news; notify news, 'payload'").await;
    assert_eq!(db.next_notification().await.payload(), "payload");
    assert_eq!(db.notices(), ["hear this"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failpoint_is_a_file_the_server_may_remove() {
    let cluster = Cluster::bare();
    cluster.fail_at("after_lease", "abort");
    assert!(cluster.failpoint_is_armed());
    let db = cluster.connect().await;
    assert_eq!(db.one::<String>("select pg_read_file('pg_edge_failpoint')").await, "after_lease abort");
    db.exec("copy (select) to program 'rm pg_edge_failpoint'").await;
    assert!(!cluster.failpoint_is_armed());
}
