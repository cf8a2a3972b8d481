//! Slots as they come.

use super::job::{Job, at_work, comes_true, gaps, reaches, runs};
use crate::harness::{Reply, eventually};
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn every_slot_is_called_once_and_in_time() {
    let scene = at_work().await;
    let id = Job::new("tick", "every 1 second", &scene.peer.url("/tick")).start(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 4).await;
    assert_eq!(gaps(&scene.db, id).await, 0);
    let db = &scene.db;
    // None is later than what counts as due, and not all are late, however busy the machine is.
    let late = "select extract(epoch from started_at - scheduled_for)::float8 from edge_store.schedule_run
                where started_at is not null order by 1";
    let late: Vec<f64> = db.column(late).await;
    assert!(late[0] >= 0.0 && late[0] < 2.0 && late[late.len() - 1] < 10.0, "{late:?} s");
    let odd = "select count(*) from edge_store.schedule_run
               where extract(microseconds from scheduled_for)::bigint % 1000000 <> 0 or origin <> 't' or slots <> 1";
    assert_eq!(db.one::<i64>(odd).await, 0, "slots lie on whole seconds");
    let requests = scene.peer.requests_for("/tick");
    let mut keys: Vec<_> =
        requests.iter().map(|request| request.header("idempotency-key").unwrap().to_owned()).collect();
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count, "each slot has a key of its own");
    let said = "select bool_and(metadata ->> 'schedule' = 'tick'
                                and (metadata ->> 'scheduled_for')::timestamptz = run.scheduled_for
                                and idempotency_key = database_id || '-s' || schedule_id || '-'
                                    || (extract(epoch from scheduled_for) * 1000000)::bigint)
                from edge_store.request join edge_store.schedule_run as run on call_id = request.id, edge_store.control";
    assert!(db.one::<bool>(said).await);
    let schedule = "select last_state = 'succeeded' and last_run_at is not null and next_run_at > passed
                           and due_at = next_run_at from edge_store.schedule";
    comes_true(db, "the schedule's row shows how it goes", schedule).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_a_scheduled_call_has_a_key_of_its_own() {
    let scene = Scene::start().await;
    scene.peer.on("/once", Reply::status(404));
    let id = Job::hourly("once", &scene.peer.url("/once"))
        .with("passed", "clock_timestamp() - interval '1 hour'")
        .start(&scene.db)
        .await;
    reaches(&scene.db, id, "failed", 1).await;
    scene.db.exec("select edge.replay(call_id) from edge_store.schedule_run where call_id is not null").await;
    eventually("the copy arrives", crate::faults::SOON, || async { scene.peer.count("/once") == 2 }).await;
    let keys: Vec<_> = scene.peer.requests_for("/once");
    assert_ne!(keys[0].header("idempotency-key"), keys[1].header("idempotency-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_keeps_to_its_beginning_and_its_end_and_then_rests() {
    let scene = Scene::start().await;
    let id = Job::new("short", "every 1 second", &scene.peer.url("/"))
        .with("starts_at", "date_trunc('second', now()) + interval '2.25 seconds'")
        .with("ends_at", "date_trunc('second', now()) + interval '5 seconds'")
        .with("catchup", "'all'")
        .start(&scene.db)
        .await;
    comes_true(&scene.db, "it has ended", "select due_at is null and next_run_at is null from edge_store.schedule")
        .await;
    reaches(&scene.db, id, "succeeded", 3).await;
    let times = "select bool_and(scheduled_for between starts_at and ends_at
                                 and extract(milliseconds from scheduled_for)::int % 1000 = 250) and count(*) = 3
                 from edge_store.schedule_run join edge_store.schedule on id = schedule_id";
    assert!(scene.db.one::<bool>(times).await, "counted from its beginning");
    assert!(scene.db.one::<bool>("select active from edge_store.schedule").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_once_happens_once() {
    let scene = Scene::start().await;
    let at: String = scene
        .db
        .one("select to_char(clock_timestamp() + interval '2 seconds', '\"at\" YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        .await;
    // Of a time before it, should that come before this is written.
    let job = Job::new("once", &at, &scene.peer.url("/once")).with("passed", "clock_timestamp() - interval '1 minute'");
    let id = job.start(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 1).await;
    comes_true(&scene.db, "there is no next one", "select due_at is null from edge_store.schedule").await;
    assert_eq!(scene.peer.count("/once"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn jitter_puts_slots_off_by_the_same_each_time_and_never_beyond_the_next() {
    let scene = at_work().await;
    for n in 0..20 {
        let job = Job::new(&format!("spread {n}"), "every 2 seconds", &scene.peer.url("/"));
        job.with("jitter", "interval '1 hour'")
            .with("due_at", "null")
            .with("next_run_at", "null")
            .write(&scene.db)
            .await;
    }
    // All at once, and from now on: however long the writing took, no slot has been missed.
    let begin = "update edge_store.schedule set passed = clock_timestamp(), due_at = clock_timestamp(), next_run_at = clock_timestamp()";
    scene.db.exec(begin).await;
    super::job::tell(&scene.db).await;
    let three = "select count(*) = 20 from (select from edge_store.schedule_run where started_at is not null
                 group by schedule_id having count(*) >= 3) as busy";
    comes_true(&scene.db, "each has run three times", three).await;
    let db = &scene.db;
    let spread = "select count(distinct due_at - next_run_at) > 15
                         and bool_and(due_at >= next_run_at and due_at < next_run_at + interval '2 seconds')
                  from edge_store.schedule";
    assert!(db.one::<bool>(spread).await);
    for n in 1..=20 {
        assert_eq!(db.one::<i64>(&super::job::GAPS.replace("$1", &n.to_string()).replace("$2", "2")).await, 0);
        assert_eq!(runs(db, n, "skipped").await, 0, "none counts as missed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_when_the_server_starts_does_so_once_a_start_and_not_when_it_is_made() {
    let mut scene = Scene::start().await;
    let id = Job::new("boot", "@reboot", &scene.peer.url("/boot"))
        .with("due_at", "null")
        .with("next_run_at", "null")
        .start(&scene.db)
        .await;
    let tick = Job::new("tick", "every 1 second", &scene.peer.url("/")).start(&scene.db).await;
    reaches(&scene.db, tick, "succeeded", 1).await;
    assert_eq!(runs(&scene.db, id, "running,succeeded").await, 0);
    for starts in 1..=2 {
        scene.cluster.restart(crate::harness::Stop::Fast);
        scene.db = scene.cluster.connect().await;
        reaches(&scene.db, id, "succeeded", starts).await;
        // Another dispatcher of the same server is no start.
        let before = crate::faults::dispatcher(&scene.cluster, "postgres").await;
        crate::harness::process::send(before, nix::sys::signal::Signal::SIGTERM);
        crate::faults::successor(&scene.cluster, "dispatcher", "postgres", before).await;
        let ticks = runs(&scene.db, tick, "succeeded").await;
        reaches(&scene.db, tick, "succeeded", ticks + 2).await;
        assert_eq!(runs(&scene.db, id, "running,succeeded").await, starts);
    }
    let slot = "select max(scheduled_for) = pg_postmaster_start_time() from edge_store.schedule_run where origin = 't'
                and schedule_id = ";
    assert!(scene.db.one::<bool>(&format!("{slot}{id}")).await);
}
