//! Standard Webhooks: what endpoints sign is what the published package, and Node's own Ed25519, verify.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Reply, Request, programs};
use crate::scene::{Scene, ended};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const PRIVATE: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC: &str = "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const OTHER_PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// Where the package is installed, which happens once, below target/.
fn installed() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("standardwebhooks");
        let files = [
            ("package.json", include_str!("signatures/package.json")),
            ("verify.mjs", include_str!("signatures/verify.mjs")),
            ("package-lock.json", include_str!("signatures/package-lock.json")),
        ];
        let lock = place.join("package-lock.json");
        let is_there = place.join("node_modules/.package-lock.json").exists()
            && fs::read_to_string(lock).is_ok_and(|known| known == files[2].1);
        fs::create_dir_all(&place).expect("target/ can be written");
        for (name, content) in files {
            fs::write(place.join(name), content).expect("target/ can be written");
        }
        if !is_there {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&place);
            programs::run(&mut npm);
        }
        place
    })
}

/// What Node says of requests: whether `v1` and `v1a` hold.
fn verified(requests: &[Value]) -> Vec<(bool, bool)> {
    let mut node = Command::new("node");
    node.arg("verify.mjs").current_dir(installed()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().expect("node can be run");
    let input = serde_json::to_vec(requests).expect("requests are JSON");
    node.stdin.take().expect("it is piped").write_all(&input).expect("node reads");
    let output = node.wait_with_output().expect("node ends");
    let verdicts: Vec<Value> = serde_json::from_slice(&output.stdout).expect("verify.mjs prints JSON");
    verdicts.iter().map(|verdict| (verdict["v1"] == true, verdict["v1a"] == true)).collect()
}

/// A request as it came, for a receiver with this secret and public key.
fn received(request: &Request, secret: &str, key: &str) -> Value {
    let header = |name: &str| request.header(name).unwrap_or_default();
    let headers = json!({
        "webhook-id": header("webhook-id"),
        "webhook-timestamp": header("webhook-timestamp"),
        "webhook-signature": header("webhook-signature"),
    });
    json!({ "secret": secret, "key": key, "headers": headers, "body": STANDARD.encode(&request.body) })
}

async fn with_endpoint(secrets: &str) -> Scene {
    let scene = Scene::start().await;
    scene.db.exec(&format!("select edge.set_secret('old', '{OLD}'), edge.set_secret('private', '{PRIVATE}')")).await;
    let sql = format!("select edge.create_endpoint('hooks', $1, signing_secrets => {secrets})");
    scene.db.rows_with(&sql, &[&scene.peer.url("")]).await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_verify_what_was_signed_and_nothing_else() {
    let scene = with_endpoint(&format!("array['${{secret:old}}', '{NEW}', '${{secret:private}}']")).await;
    let calls = [
        "edge.http_post_async('/json', '{\"b\": 1, \"a\": \"é\"}', endpoint => 'hooks')",
        "edge.http_get_async('/none', endpoint => 'hooks')",
        "edge.http_async('POST', '/text', 'hello world', 'text/plain', endpoint => 'hooks')",
        "edge.http_async('POST', '/empty', '', endpoint => 'hooks')",
    ];
    for call in calls {
        let id: i64 = scene.db.one(&format!("select {call}")).await;
        ended(&scene.db, id).await;
    }
    let requests = scene.peer.requests();
    assert_eq!(requests.len(), calls.len());
    for request in &requests {
        let signature = request.header("webhook-signature").expect("it is signed");
        let versions: Vec<_> = signature.split(' ').map(|one| one.split(',').next().unwrap()).collect();
        assert_eq!(versions, ["v1", "v1", "v1a"]);
        let tampered = |name: &str, value: &str| {
            let mut changed = received(request, OLD, PUBLIC);
            changed["headers"][name] = json!(value);
            changed
        };
        let mut other_body = received(request, OLD, PUBLIC);
        other_body["body"] = json!(STANDARD.encode([&request.body[..], b" "].concat()));
        let seconds: u64 = request.header("webhook-timestamp").unwrap().parse().unwrap();
        let verdicts = verified(&[
            received(request, OLD, PUBLIC),
            received(request, NEW, PUBLIC),
            received(request, OTHER, OTHER_PUBLIC),
            other_body,
            tampered("webhook-id", "msg_other"),
            tampered("webhook-timestamp", &(seconds + 1).to_string()),
        ]);
        let (yes, no) = ((true, true), (false, false));
        assert_eq!(verdicts, [yes, yes, no, no, no, no], "{}", request.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_signed_as_they_are() {
    let scene = with_endpoint("array['${secret:private}']").await;
    let id: i64 = scene.db.one("select edge.http_async('POST', '/bytes', '\\xff00fe0a', endpoint => 'hooks')").await;
    ended(&scene.db, id).await;
    let request = &scene.peer.requests()[0];
    assert_eq!(&request.body[..], b"\xff\x00\xfe\x0a");
    assert_eq!(verified(&[received(request, OLD, PUBLIC)]), [(false, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_has_the_id_of_its_call_and_a_time_of_its_own() {
    let scene = with_endpoint("array['${secret:old}']").await;
    scene.peer.sequence("/retried", [Reply::status(503), Reply::status(200)]);
    let id: i64 = scene
        .db
        .one("select edge.http_post_async('/retried', endpoint => 'hooks', headers => '{\"webhook-id\": \"mine\"}')")
        .await;
    ended(&scene.db, id).await;
    let requests = scene.peer.requests_for("/retried");
    let ids: Vec<_> = requests.iter().map(|request| request.header("webhook-id").unwrap()).collect();
    assert_eq!(ids[0], ids[1]);
    assert!(ids[0].starts_with("msg_") && ids[0].ends_with(&format!("_{id}")) && !ids[0].contains('.'), "{ids:?}");
    let times: Vec<u64> = requests.iter().map(|r| r.header("webhook-timestamp").unwrap().parse().unwrap()).collect();
    assert!(times[1] > times[0], "{times:?}");
    let cases: Vec<Value> = requests.iter().map(|request| received(request, OLD, PUBLIC)).collect();
    assert_eq!(verified(&cases), [(true, false), (true, false)]);
    let replayed: i64 = scene.db.one_with("select edge.replay($1)", &[&id]).await;
    ended(&scene.db, replayed).await;
    assert_ne!(scene.peer.requests_for("/retried")[2].header("webhook-id"), Some(ids[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signing_secret_that_cannot_be_used_is_an_error_without_its_value() {
    let scene = with_endpoint("array['${secret:later}']").await;
    for bad in ["hush", "whsec_aHVzaA==", "whsk_hush", "${secret:", ""] {
        let sql = format!("select edge.create_endpoint('bad', 'http://host/', signing_secrets => array['{bad}'])");
        let refused = scene.db.fails(&sql).await;
        assert_eq!(refused.sqlstate, "22023", "{bad}: {refused}");
        assert!(!refused.to_string().contains("hush") && !refused.to_string().contains("aHVz"), "{refused}");
    }
    let table = [
        ("select", "${secret:later} does not exist"),
        (
            "select edge.set_secret('later', 'hush')",
            "the call cannot be signed: a signing secret must begin with whsec_",
        ),
        ("select edge.set_secret('later', 'whsec_aHVzaA==')", "must hold 24 to 64 bytes, not 4"),
    ];
    for (step, why) in table {
        scene.db.exec(step).await;
        let id: i64 = scene.db.one("select edge.http_post_async('/x', endpoint => 'hooks')").await;
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, Option<String>>("error_class").as_deref(), Some("secret"));
        let error: String = response.get("error");
        assert!(error.contains(why) && !error.contains("hush") && !error.contains("aHVz"), "{error}");
    }
    assert_eq!(scene.peer.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_s_headers_have_their_values_put_in_for_any_caller() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('key', 'sb_secret_hush')").await;
    let sql = "select edge.create_endpoint('default', $1, '{\"apikey\": \"${secret:key}\", \"x-two\": \"a ${secret:key}\"}', 'supabase-pro')";
    scene.db.rows_with(sql, &[&scene.peer.url("/functions/v1")]).await;
    let ada = scene.role("ada").await;
    let id: i64 = ada.one("select edge.invoke('hello')").await;
    ended(&ada, id).await;
    let request = &scene.peer.requests()[0];
    assert_eq!((request.header("apikey"), request.header("x-two")), (Some("sb_secret_hush"), Some("a sb_secret_hush")));
    // A legacy key is a JWT; the platform's client sends it as a bearer token, too.
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl";
    scene.db.exec(&format!("select edge.set_secret('key', '{jwt}')")).await;
    let id: i64 = ada.one("select edge.invoke('hello')").await;
    ended(&ada, id).await;
    let request = &scene.peer.requests()[1];
    assert_eq!(
        (request.header("apikey"), request.header("authorization")),
        (Some(jwt), Some(format!("Bearer {jwt}").as_str()))
    );
}
