//! What platforms answer when things go wrong, from a stand-in that Deno runs: each of their errors is understood and acted upon.

#[path = "../domain/courses.rs"]
mod courses;
mod health;
mod recovering;
mod rows;

use crate::harness::Db;
use crate::scene::Scene;
use crate::streams_deno::runtime::Runtime;

/// A scene with an endpoint `default` at the stand-in, and a retry policy that does not keep a test waiting.
async fn start(profile: &str) -> (Scene, Runtime) {
    let scene = Scene::start().await;
    let gateway = Runtime::gateway();
    let base = gateway.url("");
    let retry = "edge.retry_policy(max_attempts => 4, base => '20 ms', factor => 1, jitter => '0')";
    let headers = r#"{"apikey": "sb_secret_right"}"#;
    scene
        .db
        .exec(&format!(
            "select edge.create_endpoint('default', '{base}', '{headers}', profile => '{profile}', retry => {retry})"
        ))
        .await;
    (scene, gateway)
}

/// Invokes a function, and gives the call's id.
async fn invoke(db: &Db, function: &str) -> i64 {
    db.one_with("select edge.invoke($1)", &[&function]).await
}

/// How often the stand-in was asked for a function.
async fn asked(scene: &Scene, function: &str) -> i64 {
    let id: i64 = scene.db.one_with("select edge.invoke($1, method => 'GET')", &[&format!("asked/{function}")]).await;
    crate::scene::ended(&scene.db, id).await;
    scene.db.one_with("select (json ->> 'times')::bigint from edge.result($1)", &[&id]).await
}
