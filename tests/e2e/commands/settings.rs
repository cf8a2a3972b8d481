//! With which settings a command is run: those that a session of its owner begins with.

use super::identity::{run_as, world_of};

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_of_the_role_and_the_database_hold() {
    for login in ["login", "nologin"] {
        let world = world_of(&[("ada", login)]).await;
        world
            .db()
            .exec(
                "alter role ada set search_path = elsewhere, public;
                 alter role ada in database postgres set work_mem = '7MB';
                 alter database postgres set maintenance_work_mem = '17MB';
                 alter role ada set default_transaction_isolation = 'repeatable read';
                 alter role ada set statement_timeout = '4s'",
            )
            .await;
        let settings = ["search_path", "work_mem", "maintenance_work_mem", "transaction_isolation"]
            .map(|name| format!("current_setting('{name}')"))
            .join(", ");
        let command = format!("insert into public.who values ('settings', concat_ws('; ', {settings}))");
        assert_eq!(run_as(&world, "ada", "settings", &command).await, "succeeded|1||");
        let said = world.db().column::<String>("select said from who").await;
        assert_eq!(said, ["elsewhere, public; 7MB; 17MB; repeatable read"], "{login}");
        let end = run_as(&world, "ada", "slow", "select pg_sleep(3600)").await;
        assert_eq!(end, "failed||57014|canceling statement due to statement timeout");
        // It is each statement's own.
        let many = "select pg_sleep(0.5);".repeat(9);
        assert_eq!(run_as(&world, "ada", "many", &many).await, "succeeded|1||");
        world.db().exec("alter role ada set default_transaction_read_only = on").await;
        let end = run_as(&world, "ada", "writes", "insert into public.who values ('', '')").await;
        assert_eq!(end, "failed||25006|cannot execute INSERT in a read-only transaction");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_of_another_role_do_not_hold() {
    let world = world_of(&[("ada", "login"), ("bob", "nologin")]).await;
    world
        .db()
        .exec(
            "alter role postgres set statement_timeout = '77s';
             alter role postgres in database postgres set work_mem = '77MB';
             alter role postgres set maintenance_work_mem = '77MB';
             alter role postgres set search_path = 'elsewhere';
             alter role postgres set client_encoding = 'latin1';
             alter role postgres set temp_buffers = '77MB';
             alter role postgres set my.own = 'postgres';
             alter role all set maintenance_work_mem = '17MB';
             alter role all set temp_buffers = '17MB';
             alter database postgres set temp_buffers = '18MB'",
        )
        .await;
    world.scene.cluster.set("effective_cache_size", "1234MB").await;
    let settings = [
        "statement_timeout",
        "work_mem",
        "maintenance_work_mem",
        "search_path",
        "client_encoding",
        "temp_buffers",
        "effective_cache_size",
        "TimeZone",
    ]
    .map(|name| format!("current_setting('{name}')"))
    .join(", ");
    let command = |role: &str| {
        format!(
            "insert into public.who
             values ('{role}', concat_ws('; ', {settings}, nullif(current_setting('my.own', true), '')))"
        )
    };
    for role in ["ada", "bob"] {
        assert_eq!(run_as(&world, role, "settings", &command(role)).await, "succeeded|1||", "{role}");
    }
    let said = world.db().column::<String>("select said from who order by at").await;
    let zone = said[0].rsplit_once("; ").map(|(_, zone)| zone.to_owned()).unwrap_or_default();
    assert_eq!(said[0], format!("0; 4MB; 17MB; \"$user\", public; UTF8; 18MB; 1234MB; {zone}"));
    assert_eq!(said[0], said[1], "the role that cannot log in sees others");
}
