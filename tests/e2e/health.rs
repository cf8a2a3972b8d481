//! What is wrong is said where an administrator looks, and no longer than it is wrong.

mod calls;
mod jobs;
mod queue;
mod standing;

use serde_json::{Value, json};

use crate::faults::SOON;
use crate::harness::{Db, eventually};
use crate::scene::Scene;

/// What `edge.health` says.
pub async fn health(db: &Db) -> Value {
    db.one("select edge.health()").await
}

/// The problems with this, in no order.
async fn problems_with(db: &Db, subject: &str) -> Vec<Value> {
    let problems = health(db).await["problems"].as_array().cloned().expect("problems are a list");
    problems.into_iter().filter(|problem| problem["subject"] == subject).collect()
}

/// Waits until something is wrong with this, and gives what.
pub async fn problem(db: &Db, subject: &str) -> Value {
    let what = format!("{subject} has a problem");
    eventually(&what, SOON, || async { problems_with(db, subject).await.into_iter().next() }).await
}

/// Waits until a problem with this says so, and that the advice is to do that.
async fn says(db: &Db, subject: &str, problem: &str, advice: &str) {
    let last = std::sync::Mutex::new(String::new());
    let what = format!("{subject}: {problem} -> {advice}");
    let is_said = eventually(&what, SOON, || async {
        let found = problems_with(db, subject).await;
        let said = format!("{found:?}");
        let holds =
            |one: &Value, member: &str, text: &str| one[member].as_str().is_some_and(|said| said.contains(text));
        let is_said = found.iter().any(|one| holds(one, "problem", problem) && holds(one, "advice", advice));
        // Printed once a change, for whoever reads of a failure.
        let mut last = last.lock().expect("nobody panics in here");
        if *last != said {
            println!("{said}");
            *last = said;
        }
        is_said
    });
    is_said.await;
}

/// Waits until nothing is wrong with this.
pub async fn nothing_with(db: &Db, subject: &str) {
    let what = format!("nothing is wrong with {subject}");
    eventually(&what, SOON, || async { problems_with(db, subject).await.is_empty() }).await;
}

/// Waits until nothing is wrong at all.
pub async fn is_well(db: &Db) {
    eventually("all is well", SOON, || async { health(db).await == json!({ "ok": true, "problems": [] }) }).await;
}

/// Has all calls that wait have been queued ten minutes ago.
async fn calls_are_old(scene: &Scene) {
    scene.db.exec("update edge_store.request set queued_at = clock_timestamp() - interval '10 minutes'").await;
}

/// Makes an endpoint of the peer.
async fn endpoint(scene: &Scene, name: &str, more: &str) {
    scene.db.exec(&format!("select edge.create_endpoint('{name}', '{}'{more})", scene.peer.url(""))).await;
}
