//! Background jobs: functions that accept and report later, or never.

mod accepting;
mod cancelling;
mod copies;
mod deno;
mod faults;
mod leases;
mod limits;
mod races;
mod reporting;
mod rights;
mod storm;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, ClusterBuilder, Db, Reply, Request, eventually};
use crate::scene::{Scene, ended};

/// Where the function is that most of these tests call.
const WORK: &str = "/work";

/// A scene whose peer is the default endpoint, tries again soon, and accepts all jobs.
async fn start() -> Scene {
    prepared(Scene::start().await).await
}

async fn start_on(builder: ClusterBuilder) -> Scene {
    prepared(Scene::on(builder).await).await
}

/// One whose clock is the test's: leases of hours run out when the test says so, and not before, however slow the machine is.
async fn start_with_clock() -> Scene {
    start_on(Cluster::builder().own_clock()).await
}

/// Sets the server's clock forward, and has the dispatcher look at what is due then: it sleeps by another clock.
async fn later(scene: &Scene, hours: f64) {
    scene.cluster.clock().step_forward(Duration::from_secs_f64(3600.0 * hours));
    let other = scene.get("/").await;
    assert_eq!(ended(&scene.db, other).await.get::<_, String>("state"), "succeeded");
}

/// Returns when the dispatcher has tried for the rows of jobs so many times more.
async fn jobs_are_looked_at(scene: &Scene, times: u32) {
    for look in 1..=times {
        scene.cluster.fail_at("job_held", "pass");
        let what = format!("the dispatcher has looked at the job, {look} of {times}");
        eventually(&what, SERVER_DEADLINE, || async { !scene.cluster.failpoint_is_armed() }).await;
    }
}

async fn prepared(scene: Scene) -> Scene {
    scene.peer.on(WORK, Reply::status(202));
    let sql = "select edge.create_endpoint('default', $1, retry => edge.retry_policy(base => '50 ms', jitter => '0'))";
    scene.db.rows_with(sql, &[&scene.peer.url("")]).await;
    scene
}

/// Queues a job with more arguments.
async fn job(db: &Db, more: &str) -> i64 {
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    db.one(&format!(r#"select edge.job('work', '{{"n": 1}}'{more})"#)).await
}

/// The n-th delivery that the function has seen, from 1.
async fn delivery(scene: &Scene, n: usize) -> Delivery {
    let requests = scene.peer.wait_for_path(WORK, n).await;
    Delivery::of(&requests[n - 1])
}

/// Waits until a job is with its function.
async fn is_accepted(db: &Db, id: i64) {
    crate::scene::reaches(db, id, "accepted").await;
}

/// What a function is given to report with.
#[derive(Clone, Debug)]
struct Delivery {
    id: i64,
    token: String,
    attempt: String,
    progress: Option<Value>,
}

impl Delivery {
    fn of(request: &Request) -> Self {
        let header = |name| request.header(name).unwrap_or_else(|| panic!("{name} is missing")).to_owned();
        let progress = request.header("x-edge-progress").map(|text| {
            assert!(text.is_ascii(), "{text}");
            serde_json::from_str(text).expect("progress is JSON")
        });
        let id = header("x-edge-job").parse().expect("an id is a number");
        Self { id, token: header("x-edge-token"), attempt: header("x-edge-attempt"), progress }
    }

    async fn complete(&self, db: &Db, result: Value) -> bool {
        db.one_with("select edge.complete($1, $2, $3)", &[&self.id, &self.token, &result]).await
    }

    async fn fail(&self, db: &Db, error: &str, retry: bool) -> bool {
        db.one_with("select edge.fail($1, $2, $3, $4)", &[&self.id, &self.token, &error, &retry]).await
    }

    async fn heartbeat(&self, db: &Db, progress: Option<Value>) -> bool {
        db.one_with("select edge.heartbeat($1, $2, $3)", &[&self.id, &self.token, &progress]).await
    }

    /// Whether none of the three says anything any more.
    async fn is_worthless(&self, db: &Db) -> bool {
        !self.complete(db, json!(1)).await && !self.fail(db, "no", true).await && !self.heartbeat(db, None).await
    }
}

/// How the tries of a call ended, in their order.
async fn tries(db: &Db, id: i64) -> Vec<String> {
    let sql = "select coalesce(error_class, 'none') from edge.attempts where call_id = $1 order by attempt";
    db.rows_with(sql, &[&id]).await.iter().map(|row| row.get(0)).collect()
}

/// Whether nothing is kept of jobs.
async fn nothing_is_left(db: &Db) {
    eventually("no job is left", SERVER_DEADLINE, || async {
        db.one::<bool>(
            "select not exists (select from edge_store.job) and not exists (select from edge_store.deferred)",
        )
        .await
    })
    .await;
}
