//! What is taken over from pg_cron: its schedules, and commands that only send a request.

use pg_edge::domain::schedule::pg_cron::{NetCall, net_call, schedule};

fn taken(text: &str) -> (String, Option<String>) {
    let taken = schedule(text);
    (taken.schedule, taken.ignored)
}

#[test]
fn a_schedule_is_taken_over_as_pg_cron_reads_it() {
    for text in ["0 9 * * 1-5", "0 0 $ * *", "30 seconds", "1 second", "@reboot", "@hourly"] {
        assert_eq!(taken(text), (text.to_owned(), None));
    }
    assert_eq!(taken("  0   9 *\t* * "), ("0 9 * * *".to_owned(), None));
}

#[test]
fn what_pg_cron_ignores_behind_a_schedule_is_left_out_so_that_minutes_do_not_become_seconds() {
    assert_eq!(taken("0 9 * * * *"), ("0 9 * * *".to_owned(), Some("*".to_owned())));
    assert_eq!(taken("0 9 1 1 * 2027 x"), ("0 9 1 1 *".to_owned(), Some("2027 x".to_owned())));
    assert_eq!(taken("@daily really"), ("@daily".to_owned(), Some("really".to_owned())));
    assert_eq!(taken("0 9 * *"), ("0 9 * *".to_owned(), None), "too short is told by whoever reads it next");
}

fn post(url: &str) -> NetCall {
    NetCall {
        method: "POST",
        url: url.to_owned(),
        params: None,
        headers: None,
        body: Some("{}".to_owned()),
        timeout_ms: None,
    }
}

#[test]
fn a_request_with_constant_arguments_is_recognised() {
    let url = "https://example.com/f";
    let full = NetCall {
        params: Some(r#"{"a": 1}"#.to_owned()),
        headers: Some(r#"{"Authorization": "Bearer x"}"#.to_owned()),
        body: Some(r#"{"n": 1.500000000000000000001}"#.to_owned()),
        timeout_ms: Some(2000),
        ..post(url)
    };
    let written = r#"{"n": 1.500000000000000000001}"#;
    for command in [
        format!(
            r#"select net.http_post(url := '{url}', params := '{{"a": 1}}'::jsonb, headers := '{{"Authorization": "Bearer x"}}'::jsonb,
                 body := '{written}'::jsonb, timeout_milliseconds := 2000) as request_id;"#
        ),
        format!(
            r#"SELECT "net".http_post('{url}', jsonb '{written}', '{{"a": 1}}', '{{"Authorization": "Bearer x"}}', 2000)"#
        ),
        format!(
            r#"-- a comment
               select * /* of all */ from net.http_post(timeout_milliseconds => '2000'::int, url => 'https://' || 'example.com' || '/f',
                 headers => jsonb_build_object('Authorization', 'Bearer ' || 'x'), body => cast($b${written}$b$ as jsonb),
                 params => json_build_object('a', 1)::jsonb) id ;;"#
        ),
    ] {
        assert_eq!(net_call(&command), Some(full.clone()), "{command}");
    }
}

#[test]
fn what_is_not_given_is_as_pg_net_has_it() {
    assert_eq!(net_call("select net.http_post('https://x.y')"), Some(post("https://x.y")));
    assert_eq!(
        net_call("select net.http_post('https://x.y', null)"),
        Some(NetCall { body: None, ..post("https://x.y") })
    );
    let get = NetCall { method: "GET", body: None, ..post("https://x.y") };
    assert_eq!(net_call("select net.http_get('https://x.y')"), Some(get.clone()));
    assert_eq!(net_call("select net.http_delete(url:='https://x.y')"), Some(NetCall { method: "DELETE", ..get }));
}

#[test]
fn quotes_of_every_kind_are_read_as_postgres_reads_them() {
    for (written, said) in [
        (r"'a''b'", "a'b"),
        (r"E'a\'b\n'", "a'b\n"),
        (r"e'a''b\\'", r"a'b\"),
        (r"$$a'b$$", "a'b"),
        (r"$x$a$$b$x$", "a$$b"),
        (r"'back\slash'", r"back\slash"),
    ] {
        let call = net_call(&format!("select net.http_get({written})"));
        assert_eq!(call.map(|call| call.url).as_deref(), Some(said), "{written}");
    }
}

#[test]
fn what_is_computed_anew_each_time_or_does_more_stays_sql() {
    for command in [
        "vacuum",
        "select net.http_post(url := (select decrypted_secret from vault.decrypted_secrets where name = 'u'))",
        "select net.http_post('https://x.y', jsonb_build_object('time', now()))",
        r#"select net.http_post('https://x.y', concat('{"time": "', now(), '"}')::jsonb)"#,
        "select net.http_post('https://x.y'), net.http_post('https://z.y')",
        "select net.http_post('https://x.y'); select 1",
        "select net.http_post('https://x.y') from users",
        "select net.http_post('https://x.y') where false",
        "select net.http_post('https://x.y' || $1)",
        "select net.http_post()",
        "select net.http_post('https://x.y', 'no json')",
        "select net.http_post(href := 'https://x.y')",
        "select net.http_patch('https://x.y')",
        "select http.http_post('https://x.y')",
        "select net.http_post('https://x.y', timeout_milliseconds := 'soon')",
        "select net.http_get('https://x.y",
        "select net.http_get(E'https://x.y\\x41')",
        "select net.http_get(current_setting('app.url'))",
        "select net.http_post('https://x.y', '{}'::jsonb || '{}'::jsonb)",
        "insert into t select net.http_get('https://x.y')",
        "select /* net.http_get('https://x.y')",
        "",
    ] {
        assert_eq!(net_call(command), None, "{command}");
    }
}

#[test]
fn a_job_is_taken_over_where_it_runs_and_by_whom_it_may_be() {
    use pg_edge::domain::schedule::pg_cron::{Obstacle, Whose, obstacle};
    for (elsewhere, whose, expected) in [
        (None, Whose::Theirs, None),
        (None, Whose::Anothers, Some(Obstacle::Anothers)),
        (None, Whose::Nobodys, Some(Obstacle::NoRole("ada".to_owned()))),
        (Some("shop"), Whose::Theirs, Some(Obstacle::Elsewhere("shop".to_owned()))),
        (Some("shop"), Whose::Nobodys, Some(Obstacle::Elsewhere("shop".to_owned()))),
    ] {
        assert_eq!(obstacle(elsewhere, "ada", whose), expected, "{elsewhere:?} {whose:?}");
    }
    assert_eq!((Obstacle::Anothers.action(), Obstacle::NameTaken.action()), ("skipped", "left alone"));
}
