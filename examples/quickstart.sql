-- The main job in one sitting: psql -v base_url=http://… -f examples/quickstart.sql
-- `make run` runs it against a scratch cluster and a local function server. On a cluster of your own, a function server on
-- the same machine is refused until postgresql.conf has pg_edge.allowed_networks = '127.0.0.0/8, ::1'.

\set QUIET on
\pset null '(null)'
create extension if not exists pg_edge;

\echo
\echo '1. Queue a call, wait for it, read the response.'
select edge.http_post_async(:'base_url' || '/hello', '{"name": "Ada"}') as id \gset
select id, state, status_code, json, attempts from edge.wait(:id);

\echo '2. A function that fails twice and then succeeds: pg_edge tries again, by itself.'
select edge.http_post_async(:'base_url' || '/flaky', '{"name": "Grace"}') as id \gset
select id, state, status_code, attempts from edge.wait(:id);
select attempt, status_code, error, retry_at - started_at as tried_again_after from edge.attempts where call_id = :id order by attempt;

\echo '3. A call that is rolled back is never sent. (The function server would have said hello to Nobody.)'
begin;
select edge.http_post_async(:'base_url' || '/hello', '{"name": "Nobody"}') as rolled_back \gset
rollback;
select edge.status(:rolled_back) as status_of_the_rolled_back_call;

\echo '4. A call that fails for good is a dead letter. Once the function is repaired, it is replayed.'
select edge.http_post_async(:'base_url' || '/broken', '{"order": 42}', max_attempts => 1) as id \gset
select id, state, status_code, error from edge.wait(:id);
select id, url, error from edge.dead_letters;
select edge.http_post_async(:'base_url' || '/repair') as repair \gset
select state as repair from edge.wait(:repair);
select edge.replay(:id) as replay \gset
select id, state, status_code from edge.wait(:replay);

\echo '5. A function that is called by a schedule. What became of each run is its real outcome.'
select edge.schedule_http('hello', 'every second', :'base_url' || '/hello', '{"name": "every second"}') as schedule \gset
do $$
begin
    for look in 1..300 loop
        exit when (select count(*) >= 2 from edge.schedule_runs where state = 'succeeded');
        commit;
        perform pg_sleep(0.1);
    end loop;
end $$;
select schedule, scheduled_for, state, lateness from edge.schedule_runs where state = 'succeeded' order by scheduled_for limit 2;
select edge.unschedule('hello') as unscheduled;

\echo '6. An answer that is written word by word, as a language model does: each is shown as it comes.'
select edge.http_post_async(:'base_url' || '/tell', '{"story": "Once upon a time there was a database that could speak."}', stream => 'sse') as id \gset
copy (select edge.tail_text(:id)) to stdout;
select id, state, events, dialect from edge.calls where id = :id;
select edge.stream_text(:id);

\echo '7. Two websockets in one room: what is said over one, the other hears. A message is sent once its transaction commits.'
select edge.ws_open(name, :'base_url' || '/room?room=lobby') from unnest(array['ada', 'grace']) as name \g /dev/null
do $$
begin
    for look in 1..300 loop
        exit when (select count(*) = 2 from edge.ws_connections where name in ('ada', 'grace') and state = 'open');
        commit;
        perform pg_sleep(0.1);
    end loop;
end $$;
select edge.ws_send('ada', '{"text": "Is anybody there?"}'::jsonb) as said \gset
begin;
select edge.ws_send('grace', 'This is never said.') as unsaid \gset
rollback;
do $$
begin
    for look in 1..300 loop
        exit when exists (select from edge.ws_messages where connection = 'grace' and direction = 'in');
        commit;
        perform pg_sleep(0.1);
    end loop;
end $$;
select edge.ws_send('grace', 'I am, Ada.') as said \gset
do $$
begin
    for look in 1..300 loop
        exit when exists (select from edge.ws_messages where connection = 'ada' and direction = 'in');
        commit;
        perform pg_sleep(0.1);
    end loop;
end $$;
select connection, direction, kind, data, state from edge.ws_messages order by id;
select name, state, sent, received from edge.ws_connections order by name;
select name, edge.ws_close(name) as closed from unnest(array['ada', 'grace']) as name;

\echo '8. A trigger that tells a function of each row, after the commit, in the shape of database webhooks.'
select edge.create_endpoint('quickstart', :'base_url') \g /dev/null
create table signup (id bigint primary key generated always as identity, name text);
create trigger greet after insert on signup for each row
execute function edge.webhook('hello', 'quickstart', '{"metadata_columns": ["id"]}');
insert into signup (name) values ('Ada'), ('Grace');
do $$
begin
    for look in 1..300 loop
        exit when (select count(*) = 2 from edge.calls where endpoint = 'quickstart' and state = 'succeeded');
        commit;
        perform pg_sleep(0.1);
    end loop;
end $$;
select metadata, state, (edge.result(id)).json from edge.calls where endpoint = 'quickstart' order by id;
drop table signup;
select edge.drop_endpoint('quickstart') \g /dev/null

\echo 'How the worker is doing:'
select state, in_flight, queue_depth, last_error from edge.worker_status();
