//! Rows that are little in their table and too much as JSON: they are written, and told of as far as that goes.

use serde_json::json;

use super::{queued, trigger};
use crate::scene::Scene;

const TELL: (&str, &str) = ("after insert on big for each row", "'hook'");

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_more_than_a_gigabyte_of_json_is_written_and_told_of_without_what_is_too_large() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause(); create table big (id int, digits numeric[], note text)").await;
    trigger(&scene.db, "tell", TELL.0, TELL.1).await;
    // 131,072 digits in eight bytes each. The row takes about a kilobyte.
    scene.db.exec("insert into big values (7, array_fill(1e131071::numeric, array[9000]), repeat('n', 60000))").await;
    let told = queued(&scene.db).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["omitted"], json!(["digits"]));
    assert_eq!(told[0]["record"], json!({"id": 7, "note": "n".repeat(60000)}));
}

#[tokio::test(flavor = "multi_thread")]
async fn composite_values_of_many_nulls_are_left_out_where_their_names_are_too_much() {
    let scene = Scene::with_orders().await;
    scene
        .db
        .exec(
            "select edge.pause();
             do $$ begin execute (select 'create type wide as ('
                 || string_agg(format('%I int', repeat('c', 58) || n), ', ') || ')' from generate_series(1001, 2600) as n); end $$;
             create table big (id int, few wide[], many wide[], note text)",
        )
        .await;
    trigger(&scene.db, "tell", TELL.0, TELL.1).await;
    trigger(&scene.db, "chosen", TELL.0, r#"'chosen', '', '{"columns": ["id", "few"]}'"#).await;
    let wide = |n: usize| format!("array_fill(json_populate_record(null::wide, '{{}}'), array[{n}])");
    let insert = format!("insert into big values (7, {}, {}, 'kept')", wide(2), wide(600));
    scene.db.exec(&insert).await;
    let told = queued(&scene.db).await;
    let (chosen, told) = (&told[0], &told[1]);
    assert_eq!(told["omitted"], json!(["many"]));
    assert_eq!((&told["record"]["id"], &told["record"]["note"]), (&json!(7), &json!("kept")));
    assert_eq!(told["record"]["few"][1].as_object().map(serde_json::Map::len), Some(1600));
    assert!(chosen.get("omitted").is_none(), "a column that nobody wants is missed");
    assert_eq!(chosen["record"]["few"].as_array().map(Vec::len), Some(2));
    // A limit of the session's own still holds.
    let error = scene.db.fails(&format!("set statement_timeout = '20ms'; {insert}")).await;
    assert_eq!(error.sqlstate, "57014");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_errors_of_size_are_kept_from_whoever_writes() {
    let scene = Scene::with_orders().await;
    scene
        .db
        .exec(
            "select edge.pause();
             create type mood as enum ('calm', 'vast', 'odd');
             create function as_json(given mood) returns json language plpgsql as $$
             begin
                 case given
                     when 'vast' then raise program_limit_exceeded using message = 'too much to be said';
                     when 'odd' then raise exception 'not to be said' using hint = 'try another one';
                     else return '{\"is\": \"calm\"}';
                 end case;
             end $$;
             create cast (mood as json) with function as_json(mood);
             create table big (id int, feels mood[], note text)",
        )
        .await;
    trigger(&scene.db, "tell", TELL.0, TELL.1).await;
    let insert = |mood: &str| format!("insert into big values (7, array['{mood}'::mood], repeat('n', 60000))");
    scene.db.exec(&insert("calm")).await;
    scene.db.exec(&insert("vast")).await;
    let told = queued(&scene.db).await;
    assert_eq!(told[0]["record"]["feels"], json!([{"is": "calm"}]));
    assert_eq!((&told[1]["omitted"], &told[1]["record"]["id"]), (&json!(["feels"]), &json!(7)));
    let error = scene.db.fails(&insert("odd")).await;
    assert_eq!((error.sqlstate.as_str(), error.hint.as_str()), ("P0001", "try another one"));
    // What was begun for it is over, and the transaction goes on.
    scene.db.exec(&format!("begin; {}; savepoint s", insert("vast"))).await;
    scene.db.fails(&insert("odd")).await;
    scene.db.exec(&format!("rollback to s; {}; commit", insert("calm"))).await;
    assert_eq!(queued(&scene.db).await.len(), 4);
    let block = "do $$ begin insert into big values (7, array['odd'::mood], repeat('n', 60000)); exception when raise_exception then
                     insert into big values (8, array['vast'::mood], repeat('n', 60000)); end $$";
    scene.db.exec(block).await;
    assert_eq!(queued(&scene.db).await[4]["record"]["id"], 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_not_wanted_is_never_made_json_of_by_its_type() {
    let scene = Scene::with_orders().await;
    scene
        .db
        .exec(
            "select edge.pause();
             create type mood as enum ('calm', 'vast', 'odd');
             create function as_json(given mood) returns json language plpgsql as $$
             begin
                 case given
                     when 'vast' then raise program_limit_exceeded using message = 'too much to be said';
                     when 'odd' then raise exception 'not to be said';
                     else return '\"calm\"';
                 end case;
             end $$;
             create cast (mood as json) with function as_json(mood);
             create domain temper as mood;
             create table big (id int, feels mood, felt mood[], is_like temper)",
        )
        .await;
    trigger(&scene.db, "chosen", TELL.0, r#"'hook', '', '{"columns": ["id"]}'"#).await;
    // The row is little, and the function of the cast would fail each of these.
    for row in ["(1, 'odd')", "(2, null, '{odd}')", "(3, null, null, 'odd')"] {
        scene.db.exec(&format!("insert into big values {row}")).await;
    }
    let told = queued(&scene.db).await;
    let records: Vec<_> = told.iter().map(|payload| payload["record"].clone()).collect();
    assert_eq!(records, [json!({"id": 1}), json!({"id": 2}), json!({"id": 3})]);
    assert!(told.iter().all(|payload| payload.get("omitted").is_none()), "a column that nobody wants is missed");
    scene.db.exec("drop trigger chosen on big").await;
    trigger(&scene.db, "tell", TELL.0, TELL.1).await;
    scene.db.exec("insert into big values (4, 'vast', '{calm}')").await;
    let told = queued(&scene.db).await;
    assert_eq!(told[3]["omitted"], json!(["feels"]));
    assert_eq!(told[3]["record"], json!({"id": 4, "felt": ["calm"], "is_like": null}));
    // Of a column that is wanted, the type has its say.
    assert_eq!(scene.db.fails("insert into big values (5, 'odd')").await.sqlstate, "P0001");
}
