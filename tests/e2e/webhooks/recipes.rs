//! What the pages tell people to paste.

use serde_json::json;

use super::{queued, statements_of};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::process::{Signal, send};
use crate::harness::{Reply, Request, Stop, eventually};
use crate::scene::Scene;

const WEBHOOKS: &str = include_str!("../../../docs/database-webhooks.md");
const PIPELINES: &str = include_str!("../../../docs/pipelines.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_webhooks_does_what_it_says() {
    let scene = Scene::start().await;
    scene.default_endpoint().await;
    for sql in statements_of(WEBHOOKS) {
        let sql = sql.replace("https://partner.example.com/", &scene.peer.url("/"));
        scene.db.exec(&sql.replace("https://example.com/", &scene.peer.url("/"))).await;
    }
    scene.db.exec("insert into orders (state, total) values ('new', 12.50), ('new', 1)").await;
    scene.db.exec("update orders set state = 'paid' where id = 1").await;
    let stock = &scene.peer.wait_for_path("/stock", 1).await[0];
    assert_eq!(stock.json().as_array().map(Vec::len), Some(2));
    let partner = &scene.peer.wait_for_path("/hooks/orders", 2).await[0];
    assert_eq!(partner.header("x-source"), Some("shop"));
    let mail = scene.peer.wait_for_path("/mail", 1).await[0].json();
    assert_eq!(
        (&mail["record"], &mail["old_record"]),
        (&json!({"id": 1, "state": "paid"}), &json!({"id": 1, "state": "new"}))
    );
    let found = "select count(*) from edge.calls where metadata ->> 'id' = '1'";
    assert_eq!(scene.db.one::<i64>(found).await, 1);
    // The dashboard's function tells the same as ours.
    let ours = scene.peer.wait_for_path("/order-changed", 3).await;
    let dashboards = scene.peer.wait_for_path("/functions/v1/order-changed", 3).await;
    assert_eq!(dashboards[0].header("content-type"), Some("application/json"));
    let bodies = |requests: &[Request]| requests.iter().map(Request::json).collect::<Vec<_>>();
    for told in bodies(&ours) {
        assert!(bodies(&dashboards).contains(&told), "only ours told {told}");
    }
    scene.db.exec("delete from orders where id = 2").await;
    scene.peer.wait_for_path("/functions/v1/order-changed", 4).await;
    let last = queued(&scene.db).await.pop().expect("there are calls");
    assert_eq!((last["type"].as_str(), last["record"].is_null()), (Some("DELETE"), true));
    let get =
        "create trigger ping after update on orders for each row execute function supabase_functions.http_request(";
    scene.db.exec(&format!("{get}'{}', 'GET', '{{}}', '{{\"a\": \"b\"}}', '1000')", scene.peer.url("/ping"))).await;
    scene.db.exec("update orders set total = 2").await;
    let ping = &scene.peer.wait_for_path("/ping", 1).await[0];
    assert_eq!((ping.method.as_str(), ping.query.as_str()), ("GET", "a=b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_of_the_page_is_run_through_once_for_each_signup_whatever_is_killed() {
    let mut scene = Scene::start().await;
    let pages = statements_of(PIPELINES);
    let (last, pages) = pages.split_last().expect("the page has SQL");
    for sql in pages {
        let sql = sql.replace("https://YOUR-REF.supabase.co/functions/v1", &scene.peer.url("/functions"));
        scene.db.exec(&sql.replace("https://chat.example.com/hooks", &scene.peer.url("/hooks"))).await;
    }
    // Some functions are down at first, and all of them take their time, so that something is always under way.
    scene.peer.answer("/functions/welcome", |request| {
        let id = request.json()["record"]["id"].as_i64().unwrap_or(0);
        let first = request.header("x-edge-attempt") == Some("1");
        Reply::status(if first && id % 5 == 0 { 503 } else { 200 }).after(std::time::Duration::from_millis(20))
    });
    scene.peer.answer("/hooks/team", |_| Reply::status(200).after(std::time::Duration::from_millis(20)));
    let total = 60;
    for kill in 0..3 {
        let (from, to) = (kill * 20 + 1, kill * 20 + 20);
        let insert =
            "insert into signups (email, plan) select 'u' || n || '@example.com', (array['free', 'pro'])[n % 2 + 1]";
        scene.db.exec(&format!("{insert} from generate_series({from}, {to}) as n")).await;
        let begun = "select count(*) from signups where stage <> 'new'";
        eventually("the pipeline has begun", SERVER_DEADLINE, || async {
            scene.db.one::<i64>(begun).await > kill * 20 + 3
        })
        .await;
        match kill {
            0 => {
                let dispatcher: i32 = scene.db.one("select pid from edge.worker_status()").await;
                send(dispatcher, Signal::SIGKILL);
                // The server takes all its sessions along.
                let again = || async { scene.cluster.try_connect_as("postgres", "postgres").await.ok() };
                eventually("the old session is gone", SERVER_DEADLINE, || async {
                    scene.db.try_exec("select").await.is_err()
                })
                .await;
                scene.db = eventually("the server is back", SERVER_DEADLINE, again).await;
            }
            1 => {
                scene.cluster.kill_postmaster();
                scene.cluster.start_again();
                scene.db = scene.cluster.connect().await;
            }
            _ => {
                scene.cluster.restart(Stop::Fast);
                scene.db = scene.cluster.connect().await;
            }
        }
    }
    let done = "select count(*) from signups where stage = 'announced'";
    eventually("everybody has been announced", SERVER_DEADLINE * 3, || async {
        scene.db.one::<i64>(done).await == total
    })
    .await;
    assert_eq!(scene.db.column::<i64>("select signups from metrics order by plan").await, [30, 30]);
    let steps =
        "select count(*) filter (where endpoint = 'default') || ' ' || count(*) filter (where endpoint = 'chat')
                 || ' ' || count(distinct metadata ->> 'id') from edge.calls";
    assert_eq!(scene.db.one::<String>(steps).await, "60 60 60");
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.callback_errors").await, 0);
    scene.db.exec(last).await;
    // Nobody was announced before he was welcomed: the requests are in the order in which they came.
    let mut welcomed = std::collections::HashSet::new();
    for request in scene.peer.requests() {
        if request.path == "/functions/welcome" {
            welcomed.extend(request.json()["record"]["email"].as_str().map(str::to_owned));
        } else {
            let text = request.json()["text"].as_str().unwrap_or_default().to_owned();
            let email = text.split(' ').next().unwrap_or_default().to_owned();
            assert!(welcomed.contains(&email), "{text}");
        }
    }
}
