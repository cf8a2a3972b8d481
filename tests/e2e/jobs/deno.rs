//! Jobs whose functions run on Deno, and report as those of a platform do: over a REST interface, as a role without a right.

mod rest;

use serde_json::{Value, json};

use super::{is_accepted, later, nothing_is_left};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Gate, Reply, eventually};
use crate::scene::{Scene, ended};
use crate::streams_deno::runtime::Runtime;
use rest::Rest;

/// A scene whose peer takes letters, and whose functions report over a REST interface.
struct Stage {
    scene: Scene,
    rest: Rest,
    runtime: Runtime,
}

impl Stage {
    async fn start() -> Self {
        Self::on(Scene::start().await).await
    }

    /// One whose clock is the test's: leases run out when the test says so.
    async fn with_clock() -> Self {
        Self::on(Scene::on(Cluster::builder().own_clock()).await).await
    }

    async fn on(scene: Scene) -> Self {
        scene.db.exec("create role anon login").await;
        let rest = Rest::start(scene.cluster.connect_as("anon", "postgres").await).await;
        let runtime = functions(&rest);
        let sql =
            "select edge.create_endpoint('default', $1, retry => edge.retry_policy(base => '50 ms', jitter => '0'))";
        scene.db.rows_with(sql, &[&runtime.url("")]).await;
        Self { scene, rest, runtime }
    }

    /// A job that sends so many letters to the peer.
    async fn letters(&self, letters: i32, more: &str) -> i64 {
        let body = json!({"letters": letters, "outbox": self.scene.peer.url("")});
        self.scene.db.one_with(&format!("select edge.job('send-letters', $1{more})"), &[&body]).await
    }

    /// The functions are served by another process, elsewhere, from now on.
    async fn move_to(&mut self, runtime: Runtime) {
        self.runtime = runtime;
        let sql = "select edge.alter_endpoint('default', base_url => $1)";
        self.scene.db.rows_with(sql, &[&self.runtime.url("")]).await;
    }
}

fn functions(rest: &Rest) -> Runtime {
    Runtime::start_with(&[("SUPABASE_URL", &rest.url()), ("SUPABASE_ANON_KEY", "anon")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_answers_at_once_and_works_on_completes_its_job() {
    let stage = Stage::start().await;
    let id = stage.letters(3, ", heartbeat => '30 s'").await;
    let response = ended(&stage.scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "succeeded", "{:?}", response.get::<_, Option<String>>("error"));
    assert_eq!(response.get::<_, Value>("json"), json!({"sent": 3}));
    assert_eq!(response.get::<_, i32>("attempts"), 1);
    assert_eq!(stage.scene.peer.requests().len(), 3);
    nothing_is_left(&stage.scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_killed_after_its_answer_has_its_job_done_by_another_and_once() {
    let mut stage = Stage::with_clock().await;
    let another = functions(&stage.rest);
    stage.scene.peer.on("/letters/3", Reply::hang());
    let id = stage.letters(4, ", heartbeat => '1 hour'").await;
    eventually("two letters are sent", SERVER_DEADLINE, || async {
        let sql = "select progress from edge.jobs where id = $1 and progress is not null";
        let rows = stage.scene.db.rows_with(sql, &[&id]).await;
        rows.first().is_some_and(|row| row.get::<_, Value>(0) == json!({"sent": 2}))
    })
    .await;
    stage.scene.peer.wait_for_path("/letters/3", 1).await;
    // Its answer may be on its way still when it is already at work.
    is_accepted(&stage.scene.db, id).await;
    stage.runtime.kill();
    stage.scene.peer.on("/letters/3", Reply::status(204));
    stage.move_to(another).await;
    later(&stage.scene, 2.0).await;
    let response = ended(&stage.scene.db, id).await;
    assert_eq!(
        response.get::<_, Value>("json"),
        json!({"sent": 4}),
        "{:?}",
        response.get::<_, Option<String>>("error")
    );
    let letters: Vec<usize> = (1..=4).map(|n| stage.scene.peer.count(&format!("/letters/{n}"))).collect();
    assert_eq!(letters, [1, 1, 2, 1], "it went on where the first one had come to");
    nothing_is_left(&stage.scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_overtaken_hears_that_it_no_longer_counts() {
    let stage = Stage::with_clock().await;
    // The first delivery takes longer for a letter than it may be silent.
    let gate = Gate::closed();
    stage.scene.peer.sequence("/letters/2", [Reply::status(204).behind(&gate), Reply::status(204)]);
    let id = stage.letters(3, ", heartbeat => '1 hour'").await;
    stage.scene.peer.wait_for_path("/letters/2", 1).await;
    is_accepted(&stage.scene.db, id).await;
    later(&stage.scene, 2.0).await;
    let response = ended(&stage.scene.db, id).await;
    assert_eq!(response.get::<_, Value>("json"), json!({"sent": 3}));
    gate.open();
    eventually("the first one has heard it", SERVER_DEADLINE, || async {
        stage.rest.heard().iter().any(|(what, answer)| what == "heartbeat" && *answer == json!(false))
    })
    .await;
    assert_eq!(stage.scene.peer.count("/letters/3"), 1, "the first one has gone on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_shut_down_says_so_and_is_called_again_at_once() {
    let stage = Stage::start().await;
    let id: i64 = stage.scene.db.one("select edge.job('is-shut-down', deadline => '1 hour')").await;
    let response = ended(&stage.scene.db, id).await;
    assert_eq!(response.get::<_, Value>("json"), json!({"went_on_after": {"pages": 3}}));
    let tries = "select error from edge.attempts where call_id = $1 and error is not null";
    assert_eq!(stage.scene.db.one_with::<String>(tries, &[&id]).await, "the function was shut down");
}

#[test]
fn the_page_shows_what_these_functions_report_by() {
    let page = include_str!("../../../docs/jobs.md");
    let (module, function) = (include_str!("../../functions/job.ts"), include_str!("../../functions/send-letters.ts"));
    for code in [module, function] {
        assert!(page.contains(code.trim_end()), "docs/jobs.md shows other code");
    }
}
