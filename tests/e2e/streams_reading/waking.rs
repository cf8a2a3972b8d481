//! Readers are woken by what comes. Otherwise they look once a second anyway; here they do not, so that whoever is not woken
//! sleeps on.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio_postgres::types::ToSql;

use super::live::delta;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Gate, Reply, eventually, within};
use crate::scene::{Scene, reaches};

const WORDS: usize = 8;

/// A call whose words wait at a gate each.
struct Gated {
    scene: Scene,
    id: i64,
    gates: [Gate; WORDS],
}

impl Gated {
    async fn start() -> Self {
        let scene = Scene::start().await;
        scene.cluster.fail_at("no_second_look", "stands");
        let gates = [(); WORDS].map(|()| Gate::closed());
        let begun = Reply::stream("text/event-stream");
        let words = gates.iter().fold(begun, |reply, gate| reply.hold(gate).send(delta("word")));
        scene.peer.on("/", words.send("data: [DONE]\n\n"));
        let id = scene.call("edge.http_get_async($1, stream => 'sse')", "/").await;
        reaches(&scene.db, id, "streaming").await;
        Self { scene, id, gates }
    }

    /// Opens a gate once the reader sleeps, so that it has to be woken for the word behind it.
    async fn say(&self, word: usize) {
        let sleeping = "select count(*) from pg_stat_activity
                        where query like '%reads_on' and state = 'active' and wait_event_type = 'Extension'";
        eventually("it sleeps", SERVER_DEADLINE, || async { self.scene.cluster.psql(sleeping) == "1" }).await;
        self.gates[word].open();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tails_is_woken_for_each_event_and_for_the_end() {
    for form in ["edge.tail_text($1)", "edge.tail($1, timeout => '1 hour')::text"] {
        let gated = Gated::start().await;
        let reader = gated.scene.cluster.connect().await;
        let parameters: [&(dyn ToSql + Sync); 1] = [&gated.id];
        let sql = format!("select {form} as reads_on");
        let mut rows = pin!(reader.client().query_raw(&sql, parameters).await.expect("it begins"));
        for word in 0..WORDS {
            let next = async { tokio::join!(rows.next(), gated.say(word)).0 };
            let row = within("a word comes", SERVER_DEADLINE, next).await.expect("it goes on").expect("no error");
            assert!(row.get::<_, &str>(0).contains("word"), "{form}: {row:?}");
        }
        within("it ends", SERVER_DEADLINE, async { while rows.next().await.is_some() {} }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_polls_is_woken_for_each_event() {
    let gated = Gated::start().await;
    let reader = gated.scene.cluster.connect().await;
    let all = async {
        let mut after: i64 = 0;
        for word in 0..WORDS {
            let sql = "select max((event).seq) from (select edge.poll($1, $2, wait => '1 hour') as event) as reads_on";
            let polled = async { reader.one_with::<i64>(sql, &[&gated.id, &after]).await };
            let (last, ()) = tokio::join!(polled, gated.say(word));
            assert!(last > after, "{last} after {after}");
            after = last;
        }
    };
    // A timer of Postgres' own, for statistics, wakes a session 10 s after it was idle: that would be 80 s.
    within("all words come", Duration::from_secs(40), all).await;
}
