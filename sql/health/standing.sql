-- Problems with what goes on by itself: schedules and websockets. A role is told of its own; superusers and members of pg_monitor of all.

create view edge_store.problem_of_schedules as
select
    'schedule ' || schedule.name as subject,
    case
        when not schedule.active then 'pg_edge has stopped it: ' || coalesce(schedule.note, 'it says not why')
        when schedule.due_at < late.before then 'its time came at ' || date_trunc('second', schedule.due_at) || ', and it was not run'
        else 'its last run has ' || schedule.last_state || coalesce(': ' || (
            select run.error from edge_store.schedule_run as run
            where run.schedule_id = schedule.id and run.finished_at is not null
            order by run.scheduled_for desc limit 1
        ), '')
    end as problem,
    case
        when not schedule.active then 'edge.resume_schedule(' || quote_literal(schedule.name) || ') has it run again, edge.unschedule(...) removes it'
        when schedule.due_at < late.before then 'a transaction that has not ended holds a lock on its row, if a dispatcher runs and is not paused; pg_locks shows it'
        else 'edge.schedule_runs has its runs; edge.run_now(' || quote_literal(schedule.name) || ') runs it once, and a run that succeeds ends this'
    end as advice
from edge_store.schedule
cross join lateral (select statement_timestamp() - interval '5 minutes') as late (before)
where (not schedule.active and schedule.noted_by = 'pg_edge'
       or schedule.active and (schedule.last_state in ('failed', 'truncated', 'expired') or schedule.due_at < late.before))
  and (schedule.owner = (select edge_store.current_role_oid())
       or pg_has_role(current_user, 'pg_monitor', 'usage'));

create view edge_store.problem_of_websockets as
select
    'websocket ' || connection.name as subject,
    case state.state
        when 'failed' then 'it has failed, and is not opened again: '
        else 'it does not stand, and is opened again at ' || date_trunc('second', state.next_try_at) || ': '
    end || state.last_error as problem,
    case state.state
        when 'failed' then 'edge.ws_reopen(' || quote_literal(connection.name) || ') tries again; messages wait until then'
        else 'messages wait until it stands; edge.ws_close(...) gives it up'
    end as advice
from edge_store.ws_connection as connection
join edge_store.ws_state as state on state.connection_id = connection.id and state.revision = connection.revision
where connection.wanted
  and state.state in ('failed', 'waiting') and state.last_error is not null
  and (connection.owner::oid = (select edge_store.current_role_oid())
       or pg_has_role(current_user, 'pg_monitor', 'usage'));

comment on view edge_store.problem_of_schedules is 'Schedules that were stopped, are late, or whose last run has failed.';
comment on view edge_store.problem_of_websockets is 'Websockets that are wanted and do not stand.';
