//! What a webhook's trigger costs whoever writes the row, next to writing the same call into a plain table by hand.

use std::time::{Duration, Instant};

use super::numbers::{median, rate};
use super::queueing::pgbench;
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, settings};

const ONE: &str = "webhook";
const ROWS_OF_MANY: &str = "webhook-rows";
const LISTS: &str = "webhook-batch";
const WITHOUT: &str = "webhook-without";

/// The rows of this file.
pub const ROWS: [&str; 4] = [ONE, ROWS_OF_MANY, LISTS, WITHOUT];

/// A table with two indexes, as a user may have it, once for each kind of trigger.
const TABLES: &str = "
    create table plain_queue (like edge_store.request including defaults, primary key (id));
    create sequence plain_id;
    alter table plain_queue alter id set default nextval('plain_id');
    do $$ begin
        for kind in 0..3 loop
            execute format('create table orders_%s (id bigserial primary key, customer int, state text, total numeric, note text)', kind);
            execute format('create index on orders_%s (customer)', kind);
        end loop;
    end $$;";

/// A row of each of them.
const VALUES: &str = "7, 'new', 12.50, 'a note of a few words that somebody has left here'";

/// The call that is written by hand, `body` included as it would be.
fn by_hand(from: &str) -> String {
    let body = "'{\"type\":\"INSERT\",\"table\":\"orders_0\",\"schema\":\"public\",\"record\":{\"id\":1,\"customer\":7,\"state\":\"new\",\
                \"total\":12.50,\"note\":\"a note of a few words that somebody has left here\"},\"old_record\": null}'";
    format!(
        "insert into plain_queue (queued_at, owner, slot, method, url, endpoint, headers, body) \
         select clock_timestamp(), 10, 0, 'POST', 'hook', 'default', E'content-type: application/json\\n', {body} {from}"
    )
}

/// Measures the rows that are wanted.
pub async fn measure(report: &mut Report, wants: &impl Fn(&[&str]) -> bool) {
    let world = World::start(settings()).await;
    world.db.exec(&format!("select edge.create_endpoint('default', '{}')", world.peer.url("/"))).await;
    // What is measured is what a webhook costs a user's transaction. Sending would take processor time from the clients.
    world.db.exec("select edge.pause()").await;
    world.db.exec(TABLES).await;
    world
        .db
        .exec(
            r#"create trigger tell after insert on orders_1 for each row execute function edge.webhook('hook');
               create trigger tell after insert on orders_2 referencing new table as added for each statement
                   execute function edge.webhook('hook', '', '{"batch": true}');"#,
        )
        .await;
    if wants(&[ONE, WITHOUT]) {
        one_a_transaction(report, &world);
    }
    if wants(&[ROWS_OF_MANY, LISTS]) {
        many_a_statement(report, &world).await;
    }
}

fn one_a_transaction(report: &mut Report, world: &World) {
    let insert = |kind: u8| format!("insert into orders_{kind} (customer, state, total, note) values ({VALUES})");
    let (told, bare) = (format!("{};", insert(1)), format!("{};", insert(3)));
    let plain = format!("with written as ({} returning id) {} from written;", insert(0), by_hand(""));
    let (mut ours, mut limit, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale::rounds(5) {
        limit.push(pgbench(world, &plain));
        ours.push(pgbench(world, &told));
        without.push(pgbench(world, &bare));
    }
    let what =
        "pgbench -M prepared, 4 clients, one row a transaction, trigger for rows; the row and its call written by hand";
    report.row(ONE, what, "tps", median(&ours), median(&limit), Budget::AtLeast(0.5));
    let what = "the same next to the row alone, nobody told";
    report.row(WITHOUT, what, "tps", median(&ours), median(&without), Budget::None);
}

async fn many_a_statement(report: &mut Report, world: &World) {
    let rows = scale::size(20_000);
    let insert = |kind: u8| {
        format!(
            "insert into orders_{kind} (customer, state, total, note) select {VALUES} from generate_series(1, {rows})"
        )
    };
    let plain = format!("with written as ({} returning id) {}", insert(0), by_hand("from written"));
    let (mut by_rows, mut by_lists, mut limit) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale::rounds(5) {
        limit.push(rate(rows, took(world, &plain).await));
        by_rows.push(rate(rows, took(world, &insert(1)).await));
        by_lists.push(rate(rows, took(world, &insert(2)).await));
    }
    let what = format!("{rows} rows in one INSERT, a call each; rows and calls written by hand");
    report.row(ROWS_OF_MANY, what, "rows/s", median(&by_rows), median(&limit), Budget::AtLeast(0.25));
    let what = format!("{rows} rows in one INSERT, lists of 100; rows and a call each written by hand");
    report.row(LISTS, what, "rows/s", median(&by_lists), median(&limit), Budget::AtLeast(0.5));
}

async fn took(world: &World, sql: &str) -> Duration {
    let began = Instant::now();
    world.db.exec(sql).await;
    began.elapsed()
}
