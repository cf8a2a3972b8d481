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
            // The type of a table's rows is described by the table, and an array by what it holds. From 17 on they are members.
            "with described as (
                 select t.oid from pg_type as t left join pg_class as c on c.oid = t.typrelid
                 where c.relkind <> 'c' or t.typcategory = 'A')
             select pg_describe_object(classid, objid, 0) from pg_depend
             where refclassid = 'pg_extension'::regclass and deptype = 'e'
               and refobjid in (select oid from pg_extension where extname like 'pg\\_edge%')
               and obj_description(objid, classid::regclass::name) is null
               and pg_describe_object(classid, objid, 0) !~ '_[0-7]$'
               and not (classid = 'pg_type'::regclass and objid in (select oid from described))",
        )
        .await;
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
