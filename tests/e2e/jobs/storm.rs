//! Everything at once: functions that answer, report, stay silent, roll back and fail, while dispatchers and servers are killed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Delivery, WORK, nothing_is_left, start_on};
use crate::faults::{SOON, all_ended, find_worker};
use crate::harness::process::{Signal, send};
use crate::harness::{Cluster, Db, Reply, Stop, eventually};

/// With the deadline below, some thirty deliveries a second: more than a slow machine can report on in time would come again and again.
const JOBS: usize = 60;

/// What functions have reported of each job, as far as they know.
#[derive(Default)]
struct Journal {
    /// Completions whose commit was acknowledged.
    taken: BTreeMap<i64, Vec<Value>>,
    /// Those of which that is not known: the connection broke.
    unknown: BTreeMap<i64, Vec<Value>>,
}

/// What a function does with a delivery: another thing for each.
fn choice(told: &Delivery, of: i64) -> i64 {
    let attempt: i64 = told.attempt.parse().expect("an attempt is a number");
    (told.id * 7 + attempt * 13) % of
}

/// Reports on a delivery, or does not.
async fn report(told: Delivery, session: Result<Db, crate::harness::SqlError>, journal: Arc<Mutex<Journal>>) {
    let Ok(session) = session else { return };
    let result = json!([told.id, told.attempt]);
    let call = |what: &str| format!("select edge.{what}({}, '{}'", told.id, told.token);
    let complete = format!("{}, '{result}')", call("complete"));
    match choice(&told, 6) {
        0 => {}
        // No matter whether it is heard.
        1 => drop(session.try_exec(&format!("{}, 'no')", call("fail"))).await),
        2 => drop(session.try_exec(&format!("begin; {complete}; select pg_sleep(0.3); rollback")).await),
        _ => {
            let _ = session.try_exec(&format!("{}, '{{\"begun\": true}}')", call("heartbeat"))).await;
            if choice(&told, 5) == 0 {
                let _ = session.try_exec("begin").await;
            }
            let taken = session.client().query_one(&complete, &[]).await.map(|row| row.get::<_, bool>(0));
            tokio::time::sleep(Duration::from_millis(choice(&told, 400).unsigned_abs())).await;
            let committed = session.try_exec("commit").await;
            let mut journal = journal.lock().expect("no report panics");
            match (taken, committed) {
                (Ok(true), Ok(())) => journal.taken.entry(told.id).or_default().push(result),
                (Ok(false), _) => {}
                (Ok(true), Err(_)) | (Err(_), _) => journal.unknown.entry(told.id).or_default().push(result),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_a_report_that_was_taken_is_how_the_job_ends() {
    // A job that is on the wire at each of the faults is not to be given up for that.
    let mut scene = start_on(Cluster::builder().setting("pg_edge.max_interruptions", "100")).await;
    // Waits that double with each of so many attempts would outlast the test on a slow machine.
    let even = "edge.retry_policy(base => '50 ms', factor => 1, jitter => '0')";
    scene.db.exec(&format!("select edge.alter_endpoint('default', retry => {even})")).await;
    scene.peer.answer(WORK, |request| match choice(&Delivery::of(request), 7) {
        // Statuses that are tried again, and do not speak against the endpoint: its breaker would have everybody wait.
        0 => Reply::status(429),
        1 => Reply::status(202).after(Duration::from_millis(400)),
        2 => Reply::status(425),
        3 => Reply::json(200, &json!({"queued": true})),
        _ => Reply::status(202),
    });
    let sql =
        format!("select edge.job('work', deadline => '2 s', max_attempts => 1000) from generate_series(1, {JOBS})");
    let ids: Vec<i64> = scene.db.column(&sql).await;
    let journal = Arc::new(Mutex::new(Journal::default()));
    let (mut reports, mut seen) = (JoinSet::new(), 0);
    for fault in 0..8 {
        let rests = tokio::time::Instant::now() + Duration::from_millis(900);
        while tokio::time::Instant::now() < rests {
            let requests = scene.peer.requests_for(WORK);
            for told in requests[seen..].iter().map(Delivery::of) {
                let session = scene.cluster.try_connect_as("postgres", "postgres").await;
                reports.spawn(report(told, session, Arc::clone(&journal)));
            }
            seen = requests.len();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        match fault % 4 {
            0 => scene.cluster.fail_at("job_held", "kill"),
            1 => scene.cluster.fail_at("before_response_commit", "error"),
            2 => scene.cluster.restart(Stop::Immediate),
            _ => {
                if let Some(worker) = find_worker(&scene.cluster, "dispatcher", "postgres").await {
                    send(worker, Signal::SIGKILL);
                }
            }
        }
    }
    // From here on everybody who is asked accepts and completes, so that all come to an end.
    scene.peer.on(WORK, Reply::status(202));
    let all = eventually("every job has ended", SOON, || async {
        // The newest delivery of each alone: those before it are worthless, and a slow machine would never be through with them.
        let deliveries = scene.peer.requests_for(WORK).iter().map(Delivery::of).collect::<Vec<_>>();
        let newest: BTreeMap<i64, Delivery> = deliveries.into_iter().map(|told| (told.id, told)).collect();
        scene.peer.forget();
        let Ok(db) = scene.cluster.try_connect_as("postgres", "postgres").await else { return None };
        for told in newest.values() {
            let result = json!([told.id, told.attempt, "last"]);
            let sql = format!("select edge.complete({}, '{}', '{result}')", told.id, told.token);
            let taken = db.client().query_one(&sql, &[]).await.map(|row| row.get::<_, bool>(0));
            let mut journal = journal.lock().expect("no report panics");
            match taken {
                Ok(true) => journal.taken.entry(told.id).or_default().push(result),
                Ok(false) => {}
                Err(_) => journal.unknown.entry(told.id).or_default().push(result),
            }
        }
        let open = "select count(*) from edge.calls where finished_at is null";
        let left: i64 = db.client().query_one(open, &[]).await.ok()?.get(0);
        (left == 0).then_some(db)
    });
    let db = all.await;
    while reports.join_next().await.is_some() {}
    all_ended(&scene.cluster, "postgres").await;
    let journal = std::mem::take(&mut *journal.lock().expect("no report panics"));
    let mut completed = 0;
    for id in ids {
        let row = &db.rows_with("select state, json from edge.result($1)", &[&id]).await[0];
        let (state, json): (String, Option<Value>) = (row.get(0), row.get(1));
        let (taken, unknown) = (journal.taken.get(&id), journal.unknown.get(&id));
        match taken.map(Vec::as_slice) {
            Some([result]) => {
                completed += 1;
                assert_eq!((state.as_str(), json.as_ref()), ("succeeded", Some(result)), "job {id} was completed");
            }
            // Said again by the token of the same delivery, the first holds.
            Some(more) => {
                completed += 1;
                assert!(more.iter().all(|result| result[1] == more[0][1]), "job {id} was completed twice: {more:?}");
                assert!(json.is_some_and(|json| more.contains(&json)), "job {id} was completed: {more:?}");
            }
            None => {
                assert_eq!(state, "succeeded", "job {id} has run out of attempts");
                let result = json.unwrap_or_default();
                assert!(unknown.is_some_and(|some| some.contains(&result)), "nobody has said {result} of job {id}");
            }
        }
    }
    assert!(completed > JOBS / 2, "{completed} reports are known to have been taken");
    nothing_is_left(&db).await;
}
