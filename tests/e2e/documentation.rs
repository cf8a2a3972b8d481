//! What users can call, read or set is described where they look for it.

use crate::harness::Cluster;

const README: &str = include_str!("../../README.md");
const SETTINGS: &str = include_str!("../../docs/settings.md");

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_the_extensions_has_a_comment() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    db.exec("create extension pg_edge_net").await;
    let silent: Vec<String> = db
        .column(
            "select pg_describe_object(classid, objid, 0) from pg_depend
             where refclassid = 'pg_extension'::regclass and deptype = 'e'
               and refobjid in (select oid from pg_extension where extname like 'pg\\_edge%')
               and obj_description(objid, classid::regclass::name) is null
               and pg_describe_object(classid, objid, 0) !~ '_[0-7]$'",
        )
        .await;
    // A table's row type and array type are described by the table.
    let silent: Vec<_> = silent
        .into_iter()
        .filter(|object| {
            !object.starts_with("type edge_store.")
                && !object.starts_with("type net._http_response")
                && !object.starts_with("type net.http_request_queue")
        })
        .collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn readme_names_every_function_and_view_of_edge() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let names: Vec<String> = db
        .column(
            "select proname::text from pg_proc where pronamespace = 'edge'::regnamespace
             union select relname::text from pg_class where relnamespace = 'edge'::regnamespace and relkind = 'v'",
        )
        .await;
    assert!(names.len() > 15, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !README.contains(&format!("edge.{name}"))).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_is_in_the_page_of_settings() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let names: Vec<String> = db.column("select name from pg_settings where name like 'pg\\_edge.%'").await;
    assert!(names.len() > 10, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !SETTINGS.contains(&format!("| `{name}` |"))).collect();
    assert_eq!(missing, Vec::<&String>::new());
}
