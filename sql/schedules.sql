-- Schedules and their runs, as users read them. Each view shows a role its own rows only; superusers and members of pg_monitor
-- see all.

create view edge.schedules with (security_barrier) as
select
    schedule.name,
    case schedule.kind when 's' then 'sql' when 'f' then 'function' when 'h' then 'http' end as kind,
    schedule.schedule,
    schedule.timezone,
    schedule.active,
    schedule.next_run_at,
    -- A run that has not ended has not told its schedule that it began.
    greatest(schedule.last_run_at,
             (select max(run.started_at) from edge_store.schedule_run as run
              where run.schedule_id operator(pg_catalog.=) schedule.id and run.finished_at is null)) as last_run_at,
    schedule.last_state,
    coalesce(schedule.note,
             case when schedule.active and schedule.next_run_at is null
                       and not pg_catalog.starts_with(schedule.schedule, '@re')
                  then 'it is over: there is no time left at which it would run' end) as note,
    schedule.noted_by,
    pg_catalog.pg_get_userbyid(schedule.owner) as owner,
    edge_store.schedule_description(schedule.schedule) as description,
    case schedule.kind
        when 's' then schedule.command
        else schedule.method operator(pg_catalog.||) ' ' operator(pg_catalog.||)
             edge_store.redacted_url(schedule.url, endpoint.base_url)
    end as target,
    schedule.endpoint,
    schedule.overlap,
    schedule.catchup,
    schedule.catchup_window,
    schedule.jitter,
    schedule.dst,
    schedule.starts_at,
    schedule.ends_at,
    schedule.max_attempts::integer as max_attempts,
    schedule.timeout_ms * interval '1 millisecond' as timeout,
    schedule.id,
    schedule.created_at,
    schedule.updated_at
from edge_store.schedule
left join edge_store.endpoint on endpoint.name = schedule.endpoint
where schedule.owner = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');

-- A run whose call has not ended is where its call is. Of one that has ended nothing but its own row is read.
create view edge.schedule_runs with (security_barrier) as
select
    run.name as schedule,
    run.scheduled_for,
    coalesce(run.started_at, call.started_at) as started_at,
    coalesce(run.finished_at, call.finished_at) as finished_at,
    case when run.finished_at is null then coalesce(call.state, run.state) else run.state end as state,
    run.call_id,
    coalesce(run.error, call.error) as error,
    -- Of a slot whose time came; what somebody asked for has no time that it could miss.
    case when run.origin in ('t', 'm') then run.started_at - run.scheduled_for end as lateness,
    run.run_id,
    case run.origin
        when 't' then 'due'
        when 'm' then 'missed'
        when 'n' then 'run_now'
        when 'b' then 'backfill'
    end as origin,
    run.attempts::integer as attempts,
    run.rows,
    run.sqlstate,
    run.slots,
    pg_catalog.pg_get_userbyid(run.owner) as owner
from edge_store.schedule_run as run
left join edge_store.call on run.finished_at is null and call.id = run.call_id
where run.owner = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');

-- Ours, and those of pg_cron where it is in this database. Which those are that may be seen, its own policy decides.
create view edge.all_schedules with (security_barrier) as
select
    'pg_edge'::text as source,
    schedules.id,
    schedules.name,
    schedules.schedule,
    schedules.timezone,
    schedules.active,
    schedules.target,
    pg_catalog.current_database() as database,
    schedules.owner,
    schedules.next_run_at,
    schedules.last_run_at,
    schedules.last_state
from edge.schedules
union all
select 'pg_cron', job.id, job.name, job.schedule, job.timezone, job.active, job.command, job.database, job.owner, null, null, null
from edge_store.pg_cron_jobs() as job;

-- Whoever makes schedules tells the dispatcher, but for those who restore a dump.
create function edge_store.schedules_came() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform edge_store.wake_for_schedules();
    return null;
end
$$;
create trigger wake after insert on edge_store.schedule for each statement execute function edge_store.schedules_came();
