-- Problems with what serves the whole database: its dispatcher, and retention.

-- On a standby nothing is to run. What has been waiting for how long is the backlog's to say while calls are sent, and is said here
-- while none are.
create view edge_store.problem_of_dispatcher as
select
    'dispatcher' as subject,
    case dispatcher.state
        when 'down' then 'no dispatcher runs in this database: calls are queued, and none is sent'
                         || coalesce('; its last error: ' || dispatcher.last_error, '')
        else 'sending is paused: calls are queued, and none is sent'
    end || coalesce('; the oldest that is due has been waiting since ' || (
        select date_trunc('second', min(waiting.since)) from edge_store.waiting
    ), '') as problem,
    case dispatcher.state
        when 'down' then 'look into the server log; max_worker_processes must leave room for it'
        else 'edge.resume() sends them'
    end as advice
from edge_store.dispatcher_state() as dispatcher
where dispatcher.state in ('down', 'paused') and not pg_is_in_recovery();

-- The ring moves on each seventh of the retention, unless somebody has a lock on a table of its oldest slot. That is late by half
-- as much again and a minute.
create view edge_store.problem_of_retention as
select
    'retention' as subject,
    'what was to be cleared away at ' || date_trunc('second', ring.advanced_at + kept / 7) || ' still takes up space: '
    || coalesce(
        case when holders.prepared > 0 then 'a prepared transaction holds a lock on it' end,
        'a lock on it is held by process ' || holders.pids,
        'nobody holds it back, and the dispatcher has not come to it'
    ) as problem,
    case
        when holders.prepared > 0 then 'pg_prepared_xacts lists it: COMMIT PREPARED or ROLLBACK PREPARED ends it'
        when holders.pids is not null then 'have that transaction end: pg_stat_activity says whose it is, and pg_terminate_backend(pid) ends it'
        else 'see edge.worker_status() and the server log'
    end as advice
from edge_store.ring
cross join lateral (select current_setting('pg_edge.retention')::interval) as setting (kept)
cross join lateral (
    select
        string_agg(distinct lock.pid::text, ', ') as pids,
        count(*) filter (where lock.pid is null) as prepared
    from pg_locks as lock
    join pg_class as held on held.oid = lock.relation
    where lock.database = (select oid from pg_database where datname = current_database())
      and lock.granted
      -- What asks here reads these tables as well.
      and lock.pid is distinct from pg_backend_pid()
      and held.relnamespace = 'edge_store'::regnamespace
      and right(held.relname, 2) = '_' || (ring.current_slot + 1) % 8
) as holders
where ring.advanced_at + kept / 7 * 1.5 + interval '1 minute' < statement_timestamp()
  and not pg_is_in_recovery();

comment on view edge_store.problem_of_dispatcher is 'No dispatcher, or one that is paused.';
comment on view edge_store.problem_of_retention is 'What was kept for long enough and cannot be cleared away.';
