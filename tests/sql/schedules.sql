-- What a user types to have things done by the clock, and what he reads.
set timezone = 'America/New_York';
select edge.schedule('clean-up', '0 3 * * *', 'delete from sessions');
select edge.schedule('clean-up', '0 3 * * *', 'delete from old_sessions', timezone => 'Europe/Berlin', overlap => 'queue_one');
select edge.schedule('once', 'at 2090-06-01 09:00', 'select 1', timezone => 'Asia/Tokyo');
select edge.schedule_http('hello', 'every 30 hours', :'base_url' || '/hello', '{"name": "Ada"}', starts_at => '2090-01-01 00:00+00');
select name, kind, schedule, timezone, description, overlap, catchup, catchup_window, dst, active from edge.schedules order by name;
select name, next_run_at from edge.schedules where name <> 'clean-up' order by name;
select target from edge.schedules where name = 'clean-up';

-- When that would be.
select * from edge.next_runs('30 2 * * *', 'America/New_York', 3, '2026-03-07');
select * from edge.next_runs('30 2 * * *', 'America/New_York', 3, '2026-03-07', 'skip');
select * from edge.next_runs('30 1 * * *', 'America/New_York', 3, '2026-10-31 12:00', 'literal');
select * from edge.next_runs('0 9 * * mon#1', 'UTC', n => 2, after => '2026-12-01');
select * from edge.next_runs('*/20 0 0 L 2 *', 'UTC', n => 4, after => '2028-01-01');
select * from edge.next_runs('every 90 minutes', n => 2, after => '2026-01-01 00:00+00');
select edge.describe_schedule('0 9 * * mon-fri'), edge.describe_schedule('every 90 minutes');

-- A run, and what became of it.
select edge.run_now('hello') as id \gset
select state from edge.wait(:id);
select schedule, state, call_id = :id as its_call, error, origin, slots from edge.schedule_runs where call_id = :id;
select edge.pause_schedule('hello', 'until the function is repaired');
select active, next_run_at, note, noted_by from edge.schedules where name = 'hello';
select edge.resume_schedule('hello');
select active, next_run_at, note, noted_by from edge.schedules where name = 'hello';
select edge.unschedule('hello'), edge.unschedule('hello');
select source, name, active from edge.all_schedules order by name;

-- What is refused.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
select edge.schedule('s', '0 25 * * *', 'select 1');
select edge.schedule('s', '* * * *', 'select 1');
select edge.schedule('s', '0 0 31 2 *', 'select 1');
select edge.schedule('s', '@dayly', 'select 1');
select edge.schedule('s', 'every day', 'select 1');
select edge.schedule('s', 'at noon', 'select 1');
select edge.schedule('s', 'at 2020-01-01 12:00', 'select 1');
select edge.schedule('s', '@daily', 'select 1', timezone => 'CEST');
select edge.schedule('s', '@daily', 'select 1', dst => 'summer');
select edge.schedule('s', '@daily', 'select 1', overlap => 'queue');
select edge.schedule('s', '@daily', 'select 1', catchup => 'some');
select edge.schedule('s', '@daily', 'select 1', jitter => '2 days');
select edge.schedule('s', '@daily', 'select 1', catchup_window => '20 years');
select edge.schedule('s', '@daily', 'select 1', starts_at => '2030-01-02 00:00+00', ends_at => '2030-01-01 00:00+00');
select edge.schedule(E's\n', '@daily', 'select 1');
select edge.schedule('s', '@daily', 'delete form sessions');
select edge.schedule('s', '@daily', '');
select edge.schedule_invoke('s', '@daily', 'f', endpoint => 'nowhere');
select edge.schedule_http('s', '@daily', 'example.com');
select edge.next_runs('@daily', n => 1001);
select edge.run_now('nothing');
select edge.backfill('once', '2026-01-01', '2080-01-01');
select edge.import_pg_cron();
