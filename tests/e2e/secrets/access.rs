//! Who may set secrets, and whose calls may use them.

use super::{sent, with_header};
use crate::scene::{Scene, ended};

const DENIED: &str = "42501";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_access_alone_may_neither_set_nor_use_nor_see_secrets() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('key', 'hush')").await;
    let ada = scene.role("ada").await;
    let calls = ["edge.set_secret('key', 'x')", "edge.drop_secret('key')", "edge.rotate_secret_key()"];
    for call in calls {
        assert_eq!(ada.fails(&format!("select {call}")).await.sqlstate, DENIED, "{call}");
    }
    assert_eq!(ada.fails("select * from edge.secrets").await.sqlstate, DENIED);
    for placeholder in ["${secret:key}", "Bearer ${file:key}", "${vault:key}"] {
        let call =
            format!("select edge.http_get_async('{}', headers => '{{\"x\": \"{placeholder}\"}}')", scene.peer.url("/"));
        let refused = ada.fails(&call).await;
        assert_eq!(refused.sqlstate, DENIED, "{placeholder}");
        assert!(refused.message.contains("edge.set_secret(text, text)"), "{refused}");
    }
    let typed = format!("select edge.http_async('POST', '{}', 'x', '${{secret:key}}')", scene.peer.url("/"));
    assert_eq!(ada.fails(&typed).await.sqlstate, DENIED);
    assert_eq!(sent(&scene, &ada, "$${secret:key} ${x}").await, "${secret:key} ${x}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_granted_set_secret_uses_secrets_until_it_is_revoked() {
    let scene = Scene::start().await;
    let ops = scene.role("ops").await;
    scene.db.exec("grant execute on function edge.set_secret, edge.drop_secret to ops").await;
    ops.exec("select edge.set_secret('key', 'hush')").await;
    assert_eq!(sent(&scene, &ops, "${secret:key}").await, "hush");
    scene.peer.forget();
    scene.db.exec("select edge.pause()").await;
    let waiting = with_header(&ops, &scene.peer.url("/seen"), "${secret:key}").await;
    // One after the other: Postgres tells other processes of a REVOKE when its transaction has ended.
    scene.db.exec("revoke execute on function edge.set_secret from ops").await;
    scene.db.exec("select edge.resume()").await;
    let response = ended(&ops, waiting).await;
    assert_eq!(response.get::<_, String>("state"), "failed");
    let why = "the role that queued the call has no right to placeholders for secrets";
    assert_eq!(response.get::<_, String>("error"), why);
    assert_eq!(scene.peer.count("/seen"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_role_that_is_gone_gets_no_secret() {
    let scene = Scene::start().await;
    let ops = scene.role("ops").await;
    scene
        .db
        .exec("grant execute on function edge.set_secret to ops; select edge.set_secret('key', 'hush'), edge.pause()")
        .await;
    let waiting = with_header(&ops, &scene.peer.url("/seen"), "${secret:key}").await;
    drop(ops);
    scene
        .db
        .exec("revoke execute on function edge.set_secret from ops; select edge.revoke_access('ops'); drop role ops")
        .await;
    scene.db.exec("select edge.resume()").await;
    let response = ended(&scene.db, waiting).await;
    assert_eq!(response.get::<_, Option<String>>("error_class").as_deref(), Some("secret"));
    assert_eq!(scene.peer.count("/seen"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_search_path_gets_no_hold_of_a_value() {
    let scene = Scene::start().await;
    scene.db.exec("create role eve login; grant create on database postgres to eve; create table stolen (value text); grant all on stolen to public").await;
    let eve = scene.cluster.connect_as("eve", "postgres").await;
    eve.exec(crate::identity::HOSTILE).await;
    eve.exec("grant usage on schema hostile to public").await;
    scene
        .db
        .exec("set search_path = hostile, pg_temp, pg_catalog; create temp table secret (name text, value text)")
        .await;
    scene.db.exec("select edge.set_secret('key', 'hush'); select edge.rotate_secret_key(); select edge.set_secret('key', 'hush2'); select edge.drop_secret('none'); select * from edge.secrets").await;
    scene.db.exec("reset search_path").await;
    assert_eq!(scene.db.one::<i64>("select count(*) from pg_temp.secret").await, 0);
    assert_eq!(sent(&scene, &scene.db, "${secret:key}").await, "hush2");
}
