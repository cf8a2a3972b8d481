//! Many schedules, of which many are due at once or none at all; and a minute mark, next to pg_cron's.

use std::time::{Duration, Instant};

use super::harness::{Db, FastPeer, eventually, extension};
use super::numbers::{median, percentile};
use super::report::{Budget, Report};
use super::scale;
use super::world::{ANSWER, World, settings};

/// The rows of this file.
pub const DUE: &str = "schedules";
pub const IDLE: &str = "schedules idle";
pub const MINUTE: &str = "minute mark";

const SCHEDULES: usize = 100_000;
const DUE_AT_ONCE: usize = 1_000;
const MARKS: i64 = 3;
const PATIENCE: Duration = Duration::from_secs(300);

/// Schedules of a URL, in a cron expression or another, of which nothing is due yet.
async fn write(db: &Db, names: &str, schedule: &str, url: &str, due: &str, count: usize) {
    let sql = format!(
        "insert into edge_store.schedule
             (id, owner, name, kind, schedule, timezone, dst, overlap, catchup, catchup_window, active, method, url,
              next_run_at, due_at, passed, created_at, updated_at)
         select nextval('edge_store.schedule_id'), current_user::regrole, '{names} ' || n, 'h', {schedule}, 'UTC', 'vixie',
                'skip', 'one', '1 day', true, 'POST', '{url}', {due}, {due}, now(), now(), now()
         from generate_series(1, {count}) as n"
    );
    db.exec(&sql).await;
}

/// A thousand of a hundred thousand in the same second, and the others when nothing is due.
pub async fn many(report: &mut Report, wants: &impl Fn(&[&str]) -> bool) {
    let world = World::start(settings()).await;
    let (all, at_once) = (scale::size(SCHEDULES), scale::size(DUE_AT_ONCE));
    let none = if wants(&[IDLE]) { Some(idle(&world).await) } else { None };
    let url = world.peer.url("/hook");
    let yearly = "format('%s %s %s %s *', n % 60, n % 24, 1 + n % 28, 1 + n % 12)";
    write(&world.db, "rare", yearly, &url, "now() + interval '30 days' + n * interval '1 minute'", all).await;
    world.db.exec("vacuum analyze edge_store.schedule").await;
    world.db.exec("select pg_reload_conf()").await;
    if let Some(none) = none {
        let some = idle(&world).await;
        let what = |of: &str| format!("{of} of an idle dispatcher in a minute, {all} schedules (limit: none)");
        report.row(IDLE, what("processor time"), "ms", some.cpu_ms, none.cpu_ms.max(5.0), Budget::AtMost(1.5));
        report.row(IDLE, what("transactions"), "transactions", some.transactions, none.transactions, Budget::Within);
    }
    if wants(&[DUE]) {
        let mut rounds = Vec::new();
        for round in 0..scale::rounds(5) {
            rounds.push(burst(&world, round, at_once, &url).await);
        }
        let of = |share: fn(&(f64, f64)) -> f64| median(&rounds.iter().map(share).collect::<Vec<_>>());
        let what = |what: &str| format!("{what}, {at_once} of {all} schedules due in the same second");
        report.row(DUE, what("until all are queued"), "ms", of(|round| round.0), 1_000.0, Budget::Within);
        report.row(DUE, what("lateness, p99"), "ms", of(|round| round.1), 250.0, Budget::Within);
    }
}

/// Has schedules due in the same second; gives how long after it all calls were queued and committed, and the lateness of
/// the last hundredth, in milliseconds.
async fn burst(world: &World, round: usize, count: usize, url: &str) -> (f64, f64) {
    let db = &world.db;
    let due: String = db.one("select (date_trunc('second', clock_timestamp()) + interval '4 seconds')::text").await;
    let at = format!("to_char('{due}'::timestamptz at time zone 'UTC', '\"at\" YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    write(db, &format!("burst {round}"), &at, url, &format!("'{due}'::timestamptz"), count).await;
    db.exec("select pg_reload_conf()").await;
    let queued = format!(
        "select extract(epoch from clock_timestamp() - '{due}')::float8 * 1000
         where (select count(*) from edge_store.schedule_run where scheduled_for = '{due}' and call_id is not null) >= {count}"
    );
    let wait: f64 = db.one(&format!("select extract(epoch from '{due}' - clock_timestamp())::float8")).await;
    tokio::time::sleep(Duration::from_secs_f64(wait.max(0.0))).await;
    let all = eventually("all calls are queued", PATIENCE, || db.maybe::<f64>(&queued)).await;
    let late = "select extract(epoch from started_at - scheduled_for)::float8 * 1000 from edge_store.schedule_run";
    let late: Vec<f64> = db.column(&format!("{late} where scheduled_for = '{due}'")).await;
    let ended = format!(
        "select count(*) = {count} from edge_store.schedule_run where scheduled_for = '{due}' and state = 'succeeded'"
    );
    eventually("all calls have succeeded", PATIENCE, || db.one::<bool>(&ended)).await;
    (all, percentile(&late, 0.99))
}

/// What an idle dispatcher uses in a minute.
struct Use {
    cpu_ms: f64,
    transactions: f64,
}

async fn idle(world: &World) -> Use {
    let pid = world.dispatcher().await;
    // A session reports its last transactions ten seconds late.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let observer = world.cluster.connect_as("postgres", "template1").await;
    let began = used(&observer, pid).await;
    let (full, span) = (Duration::from_secs(60), scale::span(Duration::from_secs(60)));
    tokio::time::sleep(span).await;
    let ended = used(&observer, pid).await;
    let share = full.as_secs_f64() / span.as_secs_f64();
    Use { cpu_ms: (ended.cpu_ms - began.cpu_ms) * share, transactions: ended.transactions - began.transactions }
}

async fn used(observer: &Db, pid: i32) -> Use {
    // The main thread's: the engine's thread knows nothing of schedules.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("the dispatcher lives");
    let nanos: f64 = stat.split_whitespace().next().and_then(|word| word.parse().ok()).expect("Linux counts it");
    let transactions = "select (xact_commit + xact_rollback)::float8 from pg_stat_database where datname = 'postgres'";
    Use { cpu_ms: nanos / 1e6, transactions: observer.one(transactions).await }
}

/// How late a job of every minute begins on an idle server: pg_cron's, ours of SQL, and our call.
pub async fn minute(report: &mut Report) {
    let preloaded = extension::settings().iter().find(|(name, _)| name == "shared_preload_libraries");
    let (name, ours) = preloaded.expect("the extension is preloaded");
    let builder = settings().setting(name, &format!("{ours}, pg_cron")).setting("cron.use_background_workers", "on");
    let world = World::start(builder).await;
    let db = &world.db;
    if let Err(error) = db.try_exec("create extension pg_cron").await {
        println!("{MINUTE}: left out, since pg_cron is not there: {error}");
        return;
    }
    let peer = FastPeer::start(ANSWER);
    db.exec("create table mark (whose text, at timestamptz)").await;
    let mark = |whose: &str| format!("insert into mark values ('{whose}', clock_timestamp())");
    db.exec(&format!("select cron.schedule('theirs', '* * * * *', $${}$$)", mark("theirs"))).await;
    db.exec(&format!("select edge.schedule('ours', '* * * * *', $${}$$)", mark("ours"))).await;
    db.exec(&format!("select edge.schedule_http('call', '* * * * *', '{}')", peer.url("/"))).await;
    let began = Instant::now();
    let marks = format!("select count(*) >= {MARKS} from mark where whose = 'theirs'");
    while !db.one::<bool>(&marks).await {
        assert!(began.elapsed() < PATIENCE, "pg_cron does not run");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let late = |whose: &str| {
        format!(
            "select extract(epoch from at - date_trunc('minute', at))::float8 * 1000 from mark where whose = '{whose}'"
        )
    };
    let theirs = median(&db.column::<f64>(&late("theirs")).await);
    let ours = median(&db.column::<f64>(&late("ours")).await);
    let sent = "select extract(epoch from response.started_at - scheduled_for)::float8 * 1000
                from edge_store.schedule_run as run join edge_store.response on response.call_id = run.call_id";
    let sent = median(&db.column::<f64>(sent).await);
    let what =
        |what: &str| format!("{what} after a minute mark on an idle server, p50 of {MARKS} (limit: pg_cron's command)");
    report.row(MINUTE, what("a call goes out"), "ms", sent, theirs, Budget::AtMost(1.0));
    report.row(MINUTE, what("a command begins"), "ms", ours, theirs, Budget::AtMost(1.5));
}
