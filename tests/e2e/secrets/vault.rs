//! `${vault:NAME}`: Supabase Vault's view, and nobody's imitation of it.

use super::{sent, unsent};
use crate::scene::{Scene, ended};

/// A stand-in with the shape of Vault's view.
const STAND_IN: &str = "create schema vault;
    create view vault.decrypted_secrets as
    select * from (values ('stripe', 'hush'), ('a key', 'hush too')) as secrets (name, decrypted_secret)";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_vault_is_sent() {
    let scene = Scene::start().await;
    let error = unsent(&scene, &scene.db, "${vault:stripe}").await;
    assert!(error.starts_with("${vault:stripe} cannot be read: there is no view vault.decrypted_secrets"), "{error}");
    scene.db.exec(STAND_IN).await;
    assert_eq!(sent(&scene, &scene.db, "${vault:stripe} and ${vault:a key}").await, "hush and hush too");
    assert_eq!(unsent(&scene, &scene.db, "${vault:none}").await, "${vault:none} does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_fails_ends_its_call_and_no_other() {
    let scene = Scene::start().await;
    scene.db.exec("create schema vault; create view vault.decrypted_secrets as select 'a'::text as name, (1 / (random() * 0)::int)::text as decrypted_secret").await;
    assert_eq!(unsent(&scene, &scene.db, "${vault:a}").await, "${vault:a} cannot be read: Vault raised error 22012");
    assert_eq!(sent(&scene, &scene.db, "plain").await, "plain");
    scene
        .db
        .exec(
            "drop schema vault cascade; create schema vault; create view vault.decrypted_secrets as select 1 as other",
        )
        .await;
    assert_eq!(unsent(&scene, &scene.db, "${vault:a}").await, "${vault:a} cannot be read: Vault raised error 42703");
    assert_eq!(sent(&scene, &scene.db, "plain").await, "plain");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_vault_that_is_not_a_superuser_s_makes_the_worker_do_nothing() {
    let scene = Scene::start().await;
    scene.db.exec("create role eve login; grant create on database postgres to eve; create table trapped (who text); grant all on trapped to public").await;
    let eve = scene.cluster.connect_as("eve", "postgres").await;
    eve.exec("create schema vault; grant all on schema vault to public").await;
    eve.exec("create function vault.trap() returns text language sql as $$ insert into public.trapped values (current_user) returning 'evil' $$").await;
    let trap = "create view vault.decrypted_secrets as select 'a'::text as name, vault.trap() as decrypted_secret";
    eve.exec(trap).await;
    // All is eve's; then the schema alone is a superuser's; then the view alone; a table, too, is no view.
    let steps = [
        "select",
        "alter schema vault owner to postgres",
        "alter schema vault owner to eve; alter view vault.decrypted_secrets owner to postgres",
        "drop view vault.decrypted_secrets; alter schema vault owner to postgres; create table vault.decrypted_secrets (name text, decrypted_secret text)",
    ];
    for step in steps {
        scene.db.exec(step).await;
        let error = unsent(&scene, &scene.db, "${vault:a}").await;
        assert!(error.contains("there is no view vault.decrypted_secrets"), "after {step}: {error}");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from trapped").await, 0);
    // The trap is one, though: a superuser who makes such a view himself has the worker walk into it.
    scene.db.exec(&format!("drop table vault.decrypted_secrets; {trap}")).await;
    let id = super::with_header(&scene.db, &scene.peer.url("/"), "${vault:a}").await;
    ended(&scene.db, id).await;
    assert_eq!(scene.db.column::<String>("select who from trapped").await, ["postgres"]);
}
