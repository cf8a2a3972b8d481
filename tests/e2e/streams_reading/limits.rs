//! Readers end when they are told to, when their time is up or their client is gone, and cost nothing meanwhile.

use std::fs;
use std::time::Instant;

use super::screen::Screen;
use super::stored::{add, call, end};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{eventually, process, within};
use crate::scene::Scene;

const SLEEPING: &str = "from pg_stat_activity where query like '%edge.tail%' and wait_event_type = 'Extension'";

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_is_up_reading_ends_with_what_has_come() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    add(&scene, id, &["first", "second"]).await;
    for (form, rows) in
        [("tail($1, 0, '100 ms')", 2), ("tail($1, 1, '0')", 1), ("poll($1, 2, '100 ms')", 0), ("poll($1, 2, '0')", 0)]
    {
        let sql = format!("select edge.{form}");
        let read = within("it ends", SERVER_DEADLINE, scene.db.rows_with(&sql, &[&id])).await;
        assert_eq!(read.len(), rows, "{form}");
    }
    assert!(scene.db.notices().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_or_timed_out_statement_ends_its_reading() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    add(&scene, id, &["first"]).await;
    for form in [format!("edge.tail({id}, timeout => '1 hour')"), format!("edge.tail_text({id})")] {
        let select = format!("select {form}");
        let timed_out = scene.db.fails(&format!("set statement_timeout = '1s'; {select}")).await;
        assert_eq!(timed_out.sqlstate, "57014", "{timed_out}");
        scene.db.exec("reset statement_timeout").await;
        let cancel = format!("select count(*) from (select pg_cancel_backend(pid) {SLEEPING}) as c");
        let cancelled = async {
            eventually("it is cancelled", SERVER_DEADLINE, || async { scene.cluster.psql(&cancel) == "1" }).await;
        };
        let (refused, ()) = tokio::join!(scene.db.fails(&select), cancelled);
        assert_eq!(refused.sqlstate, "57014", "{refused}");
    }
    assert_eq!(scene.db.one::<String>(&format!("select edge.stream_text({id})")).await, "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_client_is_gone_ends_by_itself() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    let copy = format!("copy (select edge.tail_text({id})) to stdout");
    let screen = Screen::psql(&scene.cluster, &["--command", &copy]);
    let sleeping = format!("select count(*) {SLEEPING}");
    eventually("it waits", SERVER_DEADLINE, || async { scene.cluster.psql(&sleeping) == "1" }).await;
    drop(screen);
    let there = "select count(*) from pg_stat_activity where query like 'copy%edge.tail%'";
    eventually("its session is gone", SERVER_DEADLINE, || async { scene.cluster.psql(there) == "0" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_takes_no_more_memory_for_more_events() {
    let scene = Scene::start().await;
    let db = &scene.db;
    let id = call(&scene, db).await;
    let events: i64 = 200_000;
    let sql = "insert into edge_store.event (call_id, seq, received_at, slot, data)
               select $1, seq, now(), slot, '{\"choices\":[{\"delta\":{\"content\":\"word\"}}]}'
               from edge_store.request, generate_series(1, $2::bigint) as seq where id = $1";
    db.rows_with(sql, &[&id, &events]).await;
    end(&scene, id, "s", None).await;
    let pid = db.backend_pid().await;
    let read = async |part: i64| {
        for form in [
            format!("edge.tail({id}, {})", events - part),
            format!("edge.poll({id}, {}, max_events => {part})", events - part),
        ] {
            db.exec(&format!("copy (select {form}) to '/dev/null'")).await;
        }
        db.exec(&format!("copy (select edge.tail_text({id})) to '/dev/null'")).await;
    };
    read(1000).await;
    let before = private_kib(pid);
    read(events).await;
    let after = private_kib(pid);
    // 40 bytes an event would be more.
    assert!(after < before + 8 * 1024, "{before} KiB before, {after} KiB after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_waits_does_nothing_but_look_now_and_then() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    let reader = scene.cluster.connect().await;
    let pid = reader.backend_pid().await;
    let tail = format!("select edge.tail({id}, timeout => '1 hour')");
    let reading = tokio::spawn(async move { reader.try_exec(&tail).await });
    let sleeping = format!("select count(*) {SLEEPING}");
    eventually("it waits", SERVER_DEADLINE, || async { scene.cluster.psql(&sleeping) == "1" }).await;
    let (before, wakes, began) = (private_kib(pid), switches(pid), Instant::now());
    eventually("it has looked some times", SERVER_DEADLINE, || async { switches(pid) >= wakes + 12 }).await;
    // A look a second, of a few switches each; a reader that is woken all the time has them at once.
    let looked = switches(pid) - wakes;
    assert!(looked as f64 <= 10.0 * (began.elapsed().as_secs_f64() + 0.5), "{looked} times in {:?}", began.elapsed());
    assert!(private_kib(pid) < before + 256);
    assert!(process::is_alive(pid));
    reading.abort();
}

/// The memory of a process that is its own: what it has touched of the server's shared memory is not.
fn private_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says RssAnon");
    line.trim().trim_end_matches(" kB").parse().expect("RssAnon is a number of kB")
}

/// How often a process has gone to sleep.
fn switches(pid: i32) -> u64 {
    process::status_field(pid, pid, "voluntary_ctxt_switches:").parse().expect("it is a number")
}
