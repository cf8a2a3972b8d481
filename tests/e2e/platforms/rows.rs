//! The table of errors, row by row, over the wire.

use pg_edge::domain::profile::Platform;
use pg_edge::domain::profile::advice::Advice;
use pg_edge::domain::profile::errors::{Code, ERRORS, Known};

use super::{asked, invoke, start};
use crate::harness::Db;
use crate::scene::{ended, reaches};

/// What the endpoint's policy allows.
const ATTEMPTS: i32 = 4;

/// The path at which the stand-in answers so, and the status.
fn path_of(row: &Known) -> (String, u16) {
    let status = if row.statuses.contains(&503) { 503 } else { *row.statuses.start() };
    let path = match (row.platform, row.code) {
        (_, Code::Named("x-relay-error")) => return ("behind-a-relay".to_owned(), 502),
        (_, Code::Any) => format!("error/{status}"),
        (Platform::Supabase, Code::Named(code)) => format!("error/{status}/{code}"),
        (Platform::Cloudflare, Code::Named(code)) => format!("cloudflare/{status}/{code}"),
    };
    (path, status)
}

async fn error(db: &Db, id: i64) -> String {
    db.one_with("select error from edge.attempts where call_id = $1 order by attempt limit 1", &[&id]).await
}

async fn every_row_of(platform: Platform, profile: &str) {
    let (scene, _gateway) = start(profile).await;
    // One error says nothing about another, and the breaker is tested elsewhere.
    scene.cluster.set("pg_edge.breaker_failures", "0").await;
    let rows: Vec<_> = ERRORS.iter().filter(|row| row.platform == platform).collect();
    let mut calls = Vec::new();
    for row in rows {
        let (path, status) = path_of(row);
        calls.push((row, invoke(&scene.db, &path).await, path, status));
    }
    for (row, id, path, status) in calls {
        let is_retried = matches!(status, 429 | 500..=599);
        let waits = matches!(row.advice, Advice::NotBefore(_)) && is_retried;
        if waits {
            reaches(&scene.db, id, "retrying").await;
            let Advice::NotBefore(least) = row.advice else { unreachable!() };
            let wait: f64 = scene
                .db
                .one_with(
                    "select extract(epoch from retry_at - started_at)::float8 from edge.attempts where call_id = $1",
                    &[&id],
                )
                .await;
            assert!(wait >= least.as_secs_f64() && wait < least.as_secs_f64() + 10.0, "{path}: {wait} s");
        } else {
            let attempts = match row.advice {
                Advice::AtMost(most) if is_retried => i32::try_from(most).unwrap(),
                Advice::AsThePolicySays if is_retried => ATTEMPTS,
                _ => 1,
            };
            let response = ended(&scene.db, id).await;
            assert_eq!(response.get::<_, &str>("state"), "failed", "{path}");
            assert_eq!(response.get::<_, i32>("status_code"), i32::from(status), "{path}");
            assert_eq!(response.get::<_, i32>("attempts"), attempts, "{path}");
            assert_eq!(asked(&scene, &path).await, i64::from(attempts), "{path}");
        }
        let said = error(&scene.db, id).await;
        assert!(said.starts_with(&format!("the peer answered {status}")), "{path}: {said}");
        assert!(said.ends_with(&format!("{})", row.meaning)), "{path}: {said}");
        if let Code::Named(code) = row.code {
            assert!(said.contains(&format!("({code}: ")), "{path}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_supabase_is_understood_and_acted_upon() {
    every_row_of(Platform::Supabase, "supabase-free").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_cloudflare_is_understood_and_acted_upon() {
    every_row_of(Platform::Cloudflare, "cloudflare").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_without_a_profile_tries_again_what_its_policy_says_and_explains_it_all_the_same() {
    let (scene, _gateway) = start("generic").await;
    let id = invoke(&scene.db, "error/546/WORKER_LIMIT").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, i32>("attempts"), ATTEMPTS);
    let said: String = response.get("error");
    let row = ERRORS.iter().find(|row| row.code == Code::Named("WORKER_LIMIT")).unwrap();
    assert_eq!(said, format!("the peer answered 546 (WORKER_LIMIT: {})", row.meaning));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_functions_do_not_take_is_not_tried_again() {
    let (scene, _gateway) = start("supabase-pro").await;
    let id: i64 = scene.db.one("select edge.invoke('hello', method => 'PROPFIND')").await;
    let response = ended(&scene.db, id).await;
    assert_eq!((response.get::<_, i32>("status_code"), response.get::<_, i32>("attempts")), (405, 1));
    let said: String = response.get("error");
    assert!(said.contains("functions take GET, POST, PUT, PATCH, DELETE and OPTIONS"), "{said}");
}
