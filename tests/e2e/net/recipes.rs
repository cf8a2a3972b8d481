//! What people have pasted into their databases, unchanged.

use std::time::Duration;

use super::{response, start, start_on};
use crate::harness::{Cluster, eventually};
use crate::scene::Scene;
use crate::streams_deno::runtime::Runtime;

/// pg_cron runs a job at a full minute, and looks at the clock once a minute.
const TWO_MINUTES: Duration = Duration::from_secs(150);

/// The settings that these recipes read, as a project has them.
async fn configure(scene: &Scene, runtime: &Runtime) {
    let url = runtime.url("");
    let project = url.trim_end_matches("/functions/v1/");
    let sql = format!(
        "alter database postgres set app.supabase_url = '{project}';
         alter database postgres set app.service_role_key = 'service-role-key'"
    );
    scene.db.exec(&sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_morning_digest_of_pg_cron_arrives_at_nine() {
    let cluster = Cluster::builder()
        .own_clock()
        .preload("pg_cron")
        .setting("cron.database_name", "postgres")
        .setting("cron.use_background_workers", "on");
    let scene = start_on(cluster).await;
    let runtime = Runtime::start(&scene.peer.url(""));
    configure(&scene, &runtime).await;
    let db = &scene.db;
    db.exec("create extension pg_cron").await;
    db.exec(
        "select cron.schedule(
           'morning-digest',
           '0 9 * * *',
           $$
           select net.http_post(
             url := current_setting('app.supabase_url') || '/functions/v1/morning-digest',
             headers := jsonb_build_object(
               'Content-Type', 'application/json',
               'Authorization', 'Bearer ' || current_setting('app.service_role_key')
             ),
             body := '{}'::jsonb
           )
           $$
         )",
    )
    .await;
    let to_go: f64 = db
        .one(
            "select extract(epoch from (now() at time zone 'utc')::date + interval '1 day 08:59:45'
                                       - (clock_timestamp() at time zone 'utc'))::float8",
        )
        .await;
    scene.cluster.clock().step_forward(Duration::from_secs_f64(to_go));
    let id = eventually("the job has made its request, and it was answered", TWO_MINUTES, || async {
        db.maybe::<i64>("select id from net._http_response").await
    })
    .await;
    let row = response(db, id).await;
    assert_eq!(row.get::<_, Option<i32>>("status_code"), Some(200), "{:?}", row.get::<_, Option<String>>("error_msg"));
    let said: serde_json::Value = serde_json::from_str(row.get("content")).unwrap();
    assert_eq!(said, serde_json::json!({"sent": true, "asked": {}}));
    let at: String = db.one("select to_char(queued_at at time zone 'utc', 'HH24:MI') from edge.calls").await;
    assert_eq!(at, "09:00");
    // pg_cron looks after its workers from time to time, and may not have seen yet how this one ended.
    eventually("pg_cron knows that it has succeeded", TWO_MINUTES, || async {
        db.one::<String>("select status from cron.job_run_details").await == "succeeded"
    })
    .await;
}

/// The helper for embeddings and other work in the background, with the table that stands for the vault of the platform.
const INVOKE_EDGE_FUNCTION: &str = "
    create schema vault;
    create table vault.decrypted_secrets (name text, decrypted_secret text);
    create schema util;
    create function util.project_url()
    returns text
    language plpgsql
    security definer
    as $$
    declare
      secret_value text;
    begin
      select decrypted_secret into secret_value from vault.decrypted_secrets where name = 'project_url';
      return secret_value;
    end;
    $$;
    create or replace function util.invoke_edge_function(
      name text,
      body jsonb,
      timeout_milliseconds int = 5 * 60 * 1000
    )
    returns void
    language plpgsql
    as $$
    declare
      headers_raw text;
      auth_header text;
    begin
      headers_raw := current_setting('request.headers', true);
      auth_header := case
        when headers_raw is not null then
          (headers_raw::json->>'authorization')
        else
          null
      end;
      perform net.http_post(
        url => util.project_url() || '/functions/v1/' || name,
        headers => jsonb_build_object(
          'Content-Type', 'application/json',
          'Authorization', auth_header
        ),
        body => body,
        timeout_milliseconds => timeout_milliseconds
      );
    end;
    $$;";

#[tokio::test(flavor = "multi_thread")]
async fn the_helper_that_invokes_functions_passes_the_callers_token_on() {
    let scene = start().await;
    let runtime = Runtime::start(&scene.peer.url(""));
    let db = &scene.db;
    db.exec(INVOKE_EDGE_FUNCTION).await;
    let url = runtime.url("");
    let project = url.trim_end_matches("/functions/v1/");
    db.exec(&format!("insert into vault.decrypted_secrets values ('project_url', '{project}')")).await;
    // As PostgREST has it, for a role that has been given nothing of pg_edge; and from a trigger or a job, without a token.
    db.exec("create role authenticated nologin; grant usage on schema util to authenticated").await;
    db.exec(
        r#"begin;
           set local role authenticated;
           set local request.headers = '{"authorization": "Bearer service-role-key"}';
           select util.invoke_edge_function(name => 'morning-digest', body => '{"rows": [1, 2]}');
           commit"#,
    )
    .await;
    // A session of its own: one in which the headers were set keeps an empty text of them, which is no JSON.
    scene.cluster.connect().await.exec("select util.invoke_edge_function('morning-digest', '{}')").await;
    let ids: Vec<i64> = eventually("both are answered", TWO_MINUTES, || async {
        Some(db.column::<i64>("select id from net._http_response order by id").await).filter(|ids| ids.len() == 2)
    })
    .await;
    let row = response(db, ids[0]).await;
    assert_eq!(row.get::<_, i32>("status_code"), 200);
    let said: serde_json::Value = serde_json::from_str(row.get("content")).unwrap();
    assert_eq!(said["asked"], serde_json::json!({"rows": [1, 2]}));
    assert_eq!(response(db, ids[1]).await.get::<_, i32>("status_code"), 401, "no header was sent for a null");
    let owner: String = db.one_with("select owner::text from edge.calls where id = $1", &[&ids[0]]).await;
    assert_eq!(owner, "authenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_on_a_table_notifies_once_for_each_row_however_many() {
    let scene = start().await;
    let db = &scene.db;
    let trigger = format!(
        "create table profiles (id bigint primary key, name text);
         create function notify() returns trigger language plpgsql as $$
         begin
             perform net.http_post('{}', jsonb_build_object('type', tg_op, 'record', to_jsonb(new)));
             return new;
         end $$;
         create trigger t after insert on profiles for each row execute function notify()",
        scene.peer.url("/webhook")
    );
    db.exec(&trigger).await;
    db.exec("create role app; grant insert on profiles to app; set role app").await;
    db.exec("insert into profiles select n, 'name ' || n from generate_series(1, 500) as n; reset role").await;
    super::all_stored(db).await;
    assert_eq!(db.one::<i64>("select count(*) from net._http_response where status_code = 200").await, 500);
    let mut ids: Vec<i64> =
        scene.peer.requests_for("/webhook").iter().map(|sent| sent.json()["record"]["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=500).collect::<Vec<i64>>());
}
