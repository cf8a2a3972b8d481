//! What a command can do: all that its owner could type into psql -c.

use super::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_due_is_run_and_its_rows_are_counted() {
    let world = World::start().await;
    world.db().exec("create table t (n int); create table u as select generate_series(1, 10) as n").await;
    let table = [
        ("insert into t select generate_series(1, 7)", "succeeded|7||"),
        ("select * from t where n > 2", "succeeded|5||"),
        ("update t set n = n + 1 where n = 3", "succeeded|1||"),
        ("delete from t returning *", "succeeded|7||"),
        ("create table v as select * from u", "succeeded|10||"),
        ("create index on t (n)", "succeeded|||"),
        ("insert into t values (1); insert into t values (2), (3)", "succeeded|2||"),
        ("copy u to program 'cat > /dev/null'", "succeeded|10||"),
        ("do 'begin end'", "succeeded|||"),
        ("", "succeeded|||"),
        (" ; -- nothing\n ;", "succeeded|||"),
        ("explain select 1", "succeeded|||"),
        ("values (1), (2)", "succeeded|2||"),
    ];
    for (number, (command, end)) in table.into_iter().enumerate() {
        assert_eq!(world.run(&format!("c{number}"), command).await, end, "{command}");
    }
    let run = "select pid is null and started_at <= finished_at and attempts = 1 from edge_store.schedule_run";
    assert_eq!(world.db().column::<bool>(run).await, [true; 13]);
    let last = "select distinct last_state from edge_store.schedule";
    assert_eq!(world.db().column::<String>(last).await, ["succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_are_one_transaction_unless_they_say_otherwise() {
    let world = World::start().await;
    world.db().exec("create table t (n int)").await;
    let atomic = "insert into t values (1); insert into t values (2); select 1/0; insert into t values (3)";
    assert_eq!(world.run("atomic", atomic).await, "failed||22012|division by zero");
    assert_eq!(world.db().one::<i64>("select count(*) from t").await, 0);
    let split = "insert into t values (1); commit; insert into t values (2); select 1/0";
    assert_eq!(world.run("split", split).await, "failed||22012|division by zero");
    assert_eq!(world.db().column::<i32>("select n from t").await, [1]);
    let block = "begin; insert into t values (4); savepoint s; insert into t values (5); rollback to s; commit";
    assert_eq!(world.run("block", block).await, "succeeded|||");
    assert_eq!(world.db().column::<i32>("select n from t order by n").await, [1, 4]);
    let rolled_back = "begin; insert into t values (6); rollback; insert into t values (7)";
    assert_eq!(world.run("rolled back", rolled_back).await, "succeeded|1||");
    assert_eq!(world.db().column::<i32>("select n from t order by n").await, [1, 4, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_left_open_is_rolled_back_and_said_to_be() {
    let world = World::start().await;
    world.db().exec("create table t (n int)").await;
    let left = "failed||25001|the command left a transaction open, which was rolled back";
    for (number, command) in
        ["begin; insert into t values (1)", "insert into t values (2); begin", "begin; commit and chain"]
            .into_iter()
            .enumerate()
    {
        assert_eq!(world.run(&format!("c{number}"), command).await, left, "{command}");
    }
    assert_eq!(world.db().one::<i64>("select count(*) from t").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_transaction_block_allows_works() {
    let world = World::start().await;
    world
        .db()
        .exec(
            "create table t (n int);
             create procedure batches(last int) language plpgsql as $$
             begin for i in 1..last loop insert into t values (i); commit; end loop; end $$;
             create type mood as enum ('glad')",
        )
        .await;
    for (name, command) in [
        ("vacuum", "vacuum (analyze) t"),
        ("vacuum full", "vacuum full t"),
        ("concurrently", "create index concurrently t_n on t (n)"),
        ("reindex", "reindex index concurrently t_n"),
        ("database", "create database elsewhere"),
        ("drop", "drop database elsewhere"),
        ("system", "alter system set work_mem = '5MB'"),
        ("procedure", "call batches(3)"),
        ("do", "do $$ begin insert into t values (4); commit; insert into t values (5); end $$"),
        ("enum", "alter type mood add value 'sad'"),
        ("checkpoint", "checkpoint"),
    ] {
        assert_eq!(world.run(name, command).await, "succeeded|||", "{command}");
    }
    assert_eq!(world.db().column::<i32>("select n from t order by n").await, [1, 2, 3, 4, 5]);
    assert_eq!(
        world.db().one::<i64>("select count(distinct xmin::text) from t").await,
        5,
        "they were committed at once"
    );
    let half = "insert into t values (6); call batches(2)";
    let end = world.run("half", half).await;
    assert!(end.starts_with("failed||2D000|invalid transaction termination"), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_deferred_to_the_commit_can_fail_it() {
    let world = World::start().await;
    world
        .db()
        .exec(
            "create table t (n int unique deferrable initially deferred);
             create function strict() returns trigger language plpgsql as
             $$ begin if new.n > 9 then raise exception 'too much' using errcode = 'MY001'; end if; return null; end $$;
             create constraint trigger late after insert on t deferrable initially deferred
                 for each row execute function strict()",
        )
        .await;
    assert_eq!(world.run("fine", "insert into t values (1); insert into t values (2)").await, "succeeded|1||");
    assert_eq!(world.run("late", "insert into t values (10)").await, "failed||MY001|too much");
    let end = world.run("twice", "insert into t values (1)").await;
    assert!(end.starts_with("failed||23505|duplicate key"), "{end}");
    assert_eq!(world.db().column::<i32>("select n from t order by n").await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_is_there_to_copy_from_or_to() {
    let world = World::start().await;
    world.db().exec("create table t (n int)").await;
    for (number, command) in
        ["copy t from stdin", "copy t to stdout", "copy (select 1) to stdout", "select 1; copy t from stdin"]
            .into_iter()
            .enumerate()
    {
        let end = world.run(&format!("c{number}"), command).await;
        assert_eq!(end, "failed||0A000|the command of a schedule has no client to COPY from or to", "{command}");
    }
}
