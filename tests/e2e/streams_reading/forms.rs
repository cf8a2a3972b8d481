//! Where else a stream can be read from: forms that give everything together at the end.

use serde_json::{Value, json};

use super::live::delta;
use super::stored::{add, call, end};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Gate, Reply, eventually, within};
use crate::scene::{Scene, ended};

#[tokio::test(flavor = "multi_thread")]
async fn from_and_plpgsql_work_and_wait_for_the_end() {
    let scene = Scene::start().await;
    scene
        .db
        .exec(
            "create function told(id bigint) returns setof text language plpgsql as
             $$ begin return query select edge.tail_text(id); end $$;
             create function counted(id bigint) returns bigint language plpgsql as
             $$ declare said text; words bigint := 0; begin
                for said in select edge.tail_text(id) loop words := words + 1; end loop; return words; end $$",
        )
        .await;
    let gate = Gate::closed();
    let reply = Reply::stream("text/event-stream").send(delta("a ")).hold(&gate).send(delta("b"));
    scene.peer.on("/tell", reply.send("data: [DONE]\n\n"));
    let forms = [
        "select string_agg(said, '') from edge.tail_text($1) as said",
        "select string_agg(said, '') from told($1) as said",
        "select string_agg((event).json #>> '{choices,0,delta,content}', '') from (select edge.tail($1) as event) as events",
        "select string_agg(json #>> '{choices,0,delta,content}', '') from edge.tail($1)",
        "select case counted($1) when 2 then 'a b' end",
    ];
    for form in forms {
        gate.close();
        let id = scene.call("edge.http_post_async($1, stream => 'auto')", "/tell").await;
        crate::scene::reaches(&scene.db, id, "streaming").await;
        gate.open();
        let said = within("it ends", SERVER_DEADLINE, scene.db.one_with::<String>(form, &[&id])).await;
        assert_eq!(said, "a b", "{form}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_from_from_gives_what_has_come_and_waits_for_the_next() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    let reply = Reply::stream("text/event-stream").send("id: 7\ndata: {\"word\": \"a\"}\n\n").hold(&gate);
    scene.peer.on("/tell", reply.send("event: last\ndata: b\n\n"));
    let id = scene.call("edge.http_post_async($1, stream => 'sse')", "/tell").await;
    // As PostgREST asks: the function in FROM, its arguments by their names, and all of its rows in one JSON value.
    let sql = "select coalesce(jsonb_agg(to_jsonb(polled) - 'received_at'), '[]')
               from (select * from edge.poll(id => $1, after_seq => $2, wait => '1 hour')) as polled";
    let poll = async |after: i64| {
        within("a batch comes", SERVER_DEADLINE, scene.db.one_with::<Value>(sql, &[&id, &after])).await
    };
    let first = json!([{
        "call_id": id, "seq": 1, "event": "message", "data": "{\"word\": \"a\"}", "json": {"word": "a"}, "sse_id": "7"
    }]);
    assert_eq!(poll(0).await, first);
    let waiting =
        "select count(*) from pg_stat_activity where query like '%edge.poll%' and wait_event_type = 'Extension'";
    let open = async {
        eventually("it waits", SERVER_DEADLINE, || async { scene.cluster.psql(waiting) == "1" }).await;
        gate.open();
    };
    let second = json!([{ "call_id": id, "seq": 2, "event": "last", "data": "b", "json": null, "sse_id": "7" }]);
    assert_eq!(tokio::join!(poll(1), open).0, second);
    ended(&scene.db, id).await;
    assert_eq!(poll(2).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_no_more_rows_ends_the_reading() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    add(&scene, id, &["first", "second"]).await;
    // It would wait for a third one otherwise.
    let limited = format!("select edge.tail_text({id}) limit 2");
    let said = within("it ends", SERVER_DEADLINE, scene.db.column::<String>(&limited)).await;
    assert_eq!(said, ["first", "second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_streams_are_read_in_one_statement() {
    let scene = Scene::start().await;
    let mut ids = Vec::new();
    for words in [["a", "b"], ["c", "d"]] {
        let id = call(&scene, &scene.db).await;
        add(&scene, id, &words).await;
        end(&scene, id, "s", None).await;
        ids.push(id);
    }
    let said: Vec<String> = scene
        .db
        .column(&format!("select edge.tail_text(id) from unnest('{{{},{}}}'::bigint[]) as id", ids[0], ids[1]))
        .await;
    assert_eq!(said, ["a", "b", "c", "d"]);
    let rows = scene.db.rows(&format!("select edge.tail_text({}), edge.tail_text({})", ids[0], ids[1])).await;
    let pairs: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(pairs, [("a".to_owned(), "c".to_owned()), ("b".to_owned(), "d".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_stream_is_its_pieces_and_a_plain_body_no_stream() {
    let scene = Scene::start().await;
    scene.peer.on(
        "/raw",
        Reply::stream("text/plain").send("{\"choices\"").pause(std::time::Duration::from_millis(300)).send(":[]}"),
    );
    let raw = scene.call("edge.http_get_async($1, stream => 'raw')", "/raw").await;
    assert_eq!(scene.db.column::<String>(&format!("select edge.tail_text({raw})")).await.concat(), "{\"choices\":[]}");
    assert_eq!(scene.db.one::<String>(&format!("select edge.stream_text({raw})")).await, "{\"choices\":[]}");
    let plain = scene.call("edge.http_get_async($1, stream => 'auto')", "/plain").await;
    assert_eq!(scene.db.rows(&format!("select edge.tail({plain})")).await.len(), 0);
    assert_eq!(scene.db.one::<String>(&format!("select edge.stream_text({plain})")).await, "");
    assert_eq!(scene.db.one::<String>(&format!("select edge.status({plain})")).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_a_stream_without_a_text_that_is_known_is_told_so() {
    let scene = Scene::start().await;
    scene.peer.on(
        "/",
        Reply::stream("text/event-stream").send("data: {\"delta\":\"Once\"}\n\ndata: {\"delta\":\" upon\"}\n\n"),
    );
    let id = scene.call("edge.http_get_async($1, stream => 'sse')", "/").await;
    ended(&scene.db, id).await;
    assert!(scene.db.rows(&format!("select edge.tail_text({id})")).await.is_empty());
    let notices = scene.db.notices().join("\n");
    assert!(notices.contains(&format!("no text was found in the 2 events of call {id}")), "{notices}");
    assert_eq!(scene.db.one::<String>(&format!("select edge.stream_text({id})")).await, "");
    assert_eq!(scene.db.one::<String>(&format!("select edge.stream_text({id}, 'delta')")).await, "Once upon");
}
