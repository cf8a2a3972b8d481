//! Reading the rows of others through the views: with functions and operators that tell what they are given, and
//! through what the planner knows.

use crate::faults::SOON;
use crate::harness::{Db, Reply, eventually};
use crate::scene::{Scene, call, ended};

/// Functions and operators, cheap enough to be tried first, that tell in a NOTICE what they were given.
const TELLING: &str = "
    create function tell(t text) returns boolean language plpgsql cost 0.0000001 as
        $$ begin raise notice 'told %', t; return true; end $$;
    create function tell2(a text, b text) returns boolean language plpgsql cost 0.0000001 as
        $$ begin raise notice 'told % %', a, b; return true; end $$;
    create function tell3(a jsonb, b jsonb) returns boolean language plpgsql cost 0.0000001 as
        $$ begin raise notice 'told % %', a, b; return true; end $$;
    create operator <<< (leftarg = text, rightarg = text, function = tell2, restrict = scalarltsel);
    create operator === (leftarg = text, rightarg = text, function = tell2, restrict = eqsel, join = eqjoinsel);
    create operator === (leftarg = jsonb, rightarg = jsonb, function = tell3, restrict = eqsel, join = eqjoinsel);
    create domain telling as text check (tell(value));
    create function tell4(t text) returns text language plpgsql as $$ begin raise notice 'told %', t; return t; end $$;
    create type word as (t text);
    create function to_word(t text) returns word language plpgsql as
        $$ begin raise notice 'told %', t; return row(t)::word; end $$;
    create cast (text as word) with function to_word(text);";

/// Ada has calls in every view; eve has one of her own, so that her views are not empty by chance.
async fn calls_of_two() -> (Scene, Db) {
    let scene = Scene::start().await;
    scene.db.exec("grant create on schema public to public").await;
    scene.peer.on("/ada-bad", Reply::text(404, "ada-body")).on("/eve-bad", Reply::status(404));
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    for (db, name, calls) in [(&ada, "ada", 20), (&eve, "eve", 1)] {
        db.exec(&format!(
            "create function {name}_fails(r edge.response) returns void language plpgsql as
             $$ begin raise exception '{name}-error'; end $$"
        ))
        .await;
        let ask = format!(
            "edge.http_get_async($1, metadata => '{{\"of\": \"{name}-{{}}\"}}', on_complete => '{name}_fails')"
        );
        for n in 0..calls {
            let url = scene.peer.url(&format!("/{name}-bad"));
            let id = call(db, &ask.replace("{}", &n.to_string()), &url).await;
            ended(db, id).await;
        }
    }
    let errors = "select count(*) from edge.callback_errors";
    eventually("all callbacks have failed", SOON, || async { scene.db.one::<i64>(errors).await == 21 }).await;
    (scene, eve)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telling_function_is_only_told_of_one_s_own_rows() {
    let (_scene, eve) = calls_of_two().await;
    eve.exec(TELLING).await;
    let views = ["calls", "attempts", "dead_letters", "callbacks", "callback_errors"];
    for view in views {
        for question in [
            "tell(v::text)",
            "tell4(v::text) is not null",
            "v::text <<< 'x'",
            "v::text::telling is not null",
            "(v::text)::word is not null",
            "case when tell(v::text) then true end",
            "exists (select from pg_class where tell(v::text))",
        ] {
            eve.exec(&format!("select * from edge.{view} as v where {question}")).await;
            eve.exec(&format!("select {question} from edge.{view} as v order by 1")).await;
            eve.exec(&format!(
                "select count(*) filter (where {question}) from edge.{view} as v having bool_and({question})"
            ))
            .await;
        }
    }
    eve.exec("select * from edge.calls as v join edge.attempts as a on v.url === a.error and tell(v.url || a.error)")
        .await;
    eve.exec("select * from edge.calls where method <<< 'M' and error === 'x' and metadata === '{}' and tell(url)")
        .await;
    let told = eve.notices();
    assert!(told.iter().any(|line| line.contains("eve")), "the functions tell nothing at all");
    let leaked: Vec<_> = told.iter().filter(|line| line.contains("ada")).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planner_tells_nothing_of_its_statistics() {
    let (scene, eve) = calls_of_two().await;
    scene.db.exec("analyze edge_store.request; analyze edge_store.response; analyze edge_store.callback_error").await;
    eve.exec(TELLING).await;
    for question in ["method <<< 'M'", "error === 'x'", "metadata === '{}'", "state <<< 'x'", "error_class === 'x'"] {
        eve.exec(&format!("explain select * from edge.calls where {question}")).await;
    }
    for question in ["error === 'x'", "sqlstate <<< 'M'"] {
        eve.exec(&format!("explain select * from edge.callback_errors where {question}")).await;
    }
    // Not even constants that are not hers: whatever an operator is told while planning comes out of the statistics.
    assert_eq!(eve.notices(), Vec::<String>::new());
    let shown: i64 = eve.one("select count(*) from pg_stats where schemaname like 'edge%'").await;
    assert_eq!(shown, 0, "pg_stats shows samples of the tables");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_made_for_one_role_does_not_serve_another() {
    let (scene, _eve) = calls_of_two().await;
    let both = "create role pat login; grant ada, eve to pat; select edge.grant_access('pat')";
    scene.db.exec(both).await;
    let pat = scene.cluster.connect_as("pat", "postgres").await;
    pat.exec("set plan_cache_mode = force_generic_plan; prepare mine as select count(*) from edge.calls").await;
    for (role, calls) in [("ada", 20), ("eve", 1), ("pat", 0), ("ada", 20)] {
        pat.exec(&format!("set role {role}")).await;
        let rows = pat.client().simple_query("execute mine").await.expect("a prepared statement runs");
        let found = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        assert_eq!(found, Some(calls.to_string()), "{role}");
    }
}
