//! The table of errors, row by row, over the wire.

use pg_edge::domain::profile::Platform;
use pg_edge::domain::profile::errors::{Code, ERRORS};

use super::courses::COURSES;
use super::{asked, invoke, start};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Db, eventually};
use crate::scene::ended;

/// What the endpoint's policy allows.
const ATTEMPTS: i32 = 4;

/// The endpoint's policy tries again sooner than this: a longer wait is the platform's.
const LONG: u64 = 2;

/// The path at which the stand-in answers so.
fn path_of(platform: Platform, status: u16, code: &str) -> String {
    match (platform, code) {
        (_, "x-relay-error") => "behind-a-relay".to_owned(),
        (_, "") => format!("error/{status}"),
        (Platform::Supabase, code) => format!("error/{status}/{code}"),
        (Platform::Cloudflare, code) => format!("cloudflare/{status}/{code}"),
    }
}

/// What is to be said of it.
fn meaning_of(platform: Platform, status: u16, code: &str) -> &'static str {
    let fits = |known: Code| match known {
        Code::Named(name) => name == code,
        Code::Any => code.is_empty(),
    };
    let mut rows = ERRORS.iter().filter(|row| row.platform == platform && row.statuses.contains(&status));
    rows.find(|row| fits(row.code)).expect("every course is that of an error in the table").meaning
}

async fn error(db: &Db, id: i64) -> String {
    db.one_with("select error from edge.attempts where call_id = $1 order by attempt limit 1", &[&id]).await
}

async fn every_row_of(platform: Platform, profile: &str) {
    let (scene, _gateway) = start(profile).await;
    // One error says nothing about another, and the breaker is tested elsewhere.
    scene.cluster.set("pg_edge.breaker_failures", "0").await;
    let mut calls = Vec::new();
    for course in COURSES.iter().filter(|course| course.0 == platform) {
        let path = path_of(platform, course.1, course.2);
        calls.push((course, invoke(&scene.db, &path).await, path));
    }
    for ((_, status, code, attempts, wait), id, path) in calls {
        if *wait >= LONG {
            // Of its first attempt: it may have made another one meanwhile.
            let sql = "select extract(epoch from retry_at - started_at)::float8 from edge.attempts
                       where call_id = $1 and attempt = 1";
            let waits = eventually("it waits to be tried again", SERVER_DEADLINE, || async {
                scene.db.rows_with(sql, &[&id]).await.first().map(|row| row.get::<_, f64>(0))
            });
            let (least, waits) = (*wait as f64, waits.await);
            assert!(waits >= least && waits < least + 10.0, "{path}: {waits} s");
        } else {
            // Where the platform does not limit them, the policy does.
            let attempts = i32::try_from(*attempts).unwrap().min(ATTEMPTS);
            let response = ended(&scene.db, id).await;
            assert_eq!(response.get::<_, &str>("state"), "failed", "{path}");
            assert_eq!(response.get::<_, i32>("status_code"), i32::from(*status), "{path}");
            assert_eq!(response.get::<_, i32>("attempts"), attempts, "{path}");
            assert_eq!(asked(&scene, &path).await, i64::from(attempts), "{path}");
        }
        let said = error(&scene.db, id).await;
        assert!(said.starts_with(&format!("the peer answered {status}")), "{path}: {said}");
        assert!(said.ends_with(&format!("{})", meaning_of(platform, *status, code))), "{path}: {said}");
        assert!(code.is_empty() || said.contains(&format!("({code}: ")), "{path}: {said}");
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
