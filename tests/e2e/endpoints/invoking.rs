//! `edge.invoke` does what the platforms' own clients do.

use serde_json::json;

use crate::endpoints::create;
use crate::harness::{Peer, Request};
use crate::scene::{Scene, ended};

async fn invoked(scene: &Scene, arguments: &str) -> Request {
    scene.peer.forget();
    let id: i64 = scene.db.one(&format!("select edge.invoke({arguments})")).await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded", "{arguments}");
    scene.peer.requests().remove(0)
}

async fn with_default(profile: &str, headers: &str) -> Scene {
    let scene = Scene::start().await;
    let base = scene.peer.url("/functions/v1");
    let make =
        format!("select edge.create_endpoint('default', '{base}', headers => '{headers}', profile => '{profile}')");
    scene.db.exec(&make).await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_called_below_the_base_with_a_body_of_its_kind() {
    let scene = with_default("generic", "{}").await;
    let object = invoked(&scene, r#"'hello', '{"name": "Ada"}'"#).await;
    assert_eq!((object.method.as_str(), object.path.as_str()), ("POST", "/functions/v1/hello"));
    assert_eq!(object.header("content-type"), Some("application/json"));
    assert_eq!(object.json(), json!({"name": "Ada"}));
    let text = invoked(&scene, r#"'echo/sub', '"plain words"'"#).await;
    assert_eq!((text.path.as_str(), text.header("content-type")), ("/functions/v1/echo/sub", Some("text/plain")));
    assert_eq!(text.text(), "plain words");
    let nothing = invoked(&scene, "'list', method => 'GET'").await;
    assert_eq!((nothing.method.as_str(), nothing.header("content-type")), ("GET", None));
    let own =
        invoked(&scene, r#"'csv', '"a;b"', headers => '{"content-type": "text/csv"}', params => '{"page": 2}'"#).await;
    assert_eq!((own.header("content-type"), own.query.as_str()), (Some("text/csv"), "page=2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_goes_into_the_header_and_the_query() {
    let scene = with_default("supabase-pro", "{}").await;
    let request = invoked(&scene, "'hello', region => 'us-east-1'").await;
    assert_eq!(request.header("x-region"), Some("us-east-1"));
    assert_eq!(request.query, "forceFunctionRegion=us-east-1");
    let anywhere = invoked(&scene, "'hello', region => 'any'").await;
    assert_eq!((anywhere.header("x-region"), anywhere.query.as_str()), (None, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_key_is_a_bearer_token_too_and_a_new_one_is_not() {
    let scene = with_default("supabase-pro", r#"{"apikey": "eyJhbGciOi.eyJyb2xl.c2ln"}"#).await;
    let legacy = invoked(&scene, "'hello'").await;
    assert_eq!(legacy.header("apikey"), Some("eyJhbGciOi.eyJyb2xl.c2ln"));
    assert_eq!(legacy.header("authorization"), Some("Bearer eyJhbGciOi.eyJyb2xl.c2ln"));
    let given = invoked(&scene, r#"'hello', headers => '{"Authorization": "Bearer a-user"}'"#).await;
    assert_eq!(given.header("authorization"), Some("Bearer a-user"));
    scene.db.exec(r#"select edge.alter_endpoint('default', headers => '{"apikey": "sb_secret_x"}')"#).await;
    let new = invoked(&scene, "'hello'").await;
    assert_eq!((new.header("apikey"), new.header("authorization")), (Some("sb_secret_x"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_url_gets_an_endpoint_s_headers_only_at_its_origin() {
    let scene = Scene::start().await;
    let elsewhere = Peer::start().await;
    create(&scene, r#", headers => '{"apikey": "k"}'"#).await;
    let at_home = format!("select edge.http_get_async('{}', endpoint => 'crm')", scene.peer.url("/x"));
    ended(&scene.db, scene.db.one(&at_home).await).await;
    assert_eq!(scene.peer.requests_for("/x")[0].header("apikey"), Some("k"));
    let away = format!("select edge.http_get_async('{}', endpoint => 'crm')", elsewhere.url("/x"));
    let refused = scene.db.fails(&away).await;
    assert_eq!(refused.sqlstate, "22023");
    assert!(refused.message.contains("not at the endpoint's origin"), "{}", refused.message);
    // One that was queued while the base was there is not sent anywhere with those headers after the base has moved.
    scene.db.exec("select edge.disable_endpoint('crm')").await;
    let id: i64 = scene.db.one(&at_home).await;
    scene.db.exec(&format!("select edge.alter_endpoint('crm', '{}')", elsewhere.url(""))).await;
    scene.db.exec("select edge.enable_endpoint('crm')").await;
    let response = ended(&scene.db, id).await;
    assert!(response.get::<_, &str>("error").contains("not at the endpoint's origin"));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_s_own_body_limit_holds_when_the_call_is_queued() {
    let scene = Scene::start().await;
    create(&scene, ", max_request_bytes => 10, max_response_bytes => 4").await;
    let refused =
        scene.db.fails(r#"select edge.http_post_async('x', '{"a": "long enough"}', endpoint => 'crm')"#).await;
    assert!(refused.message.contains("more than the 10"), "{}", refused.message);
    let id: i64 = scene.db.one("select edge.http_post_async('x', endpoint => 'crm')").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("error_class"), "response_too_large");
}
