-- Problems with what was called. A role is told of its own calls; superusers and members of pg_monitor of all.

-- Failed calls are many where something is down for long: of the newest ten thousand those of the last day are counted. Whose
-- each is, is looked up by its id: so many joined to a long queue would be a reason to read all of it.
create view edge_store.problem_of_dead_letters as
with newest as materialized (
    select response.call_id, response.slot, response.finished_at
    from edge_store.response
    where response.state in ('f', 'e')
    order by response.call_id desc limit 10000
)
select
    'dead letters' as subject,
    case when (select count(*) from newest) = 10000 then 'at least ' else '' end ||
    case count(*) when 1 then '1 call has' else count(*) || ' calls have' end ||
    ' failed for good within the last day, and nobody has replayed ' ||
    case count(*) when 1 then 'it' else 'them' end as problem,
    'edge.dead_letters has their errors; once the cause is mended, edge.replay_dead(since => now() - interval ''1 day'') sends them again' as advice
from (
    select (
        select request.owner from edge_store.request
        where request.id = newest.call_id and request.slot = newest.slot offset 0
    ) as owner
    from newest
    where newest.finished_at > statement_timestamp() - interval '1 day'
      and not exists (select from edge_store.replay where replay.call_id = newest.call_id offset 0)
    offset 0
) as dead
where dead.owner = (select edge_store.current_role_oid())
   or dead.owner is not null and pg_has_role(current_user, 'pg_monitor', 'usage')
having count(*) > 0;

create view edge_store.problem_of_callbacks as
select
    'callbacks' as subject,
    case count(*) when 1 then '1 callback has' else count(*) || ' callbacks have' end ||
    ' failed within the last day; the last one: ' ||
    (array_agg(failed.function::regprocedure::text || ': ' || failed.error order by failed.at desc))[1] as problem,
    'edge.callback_errors lists them; none is run again, and edge.replay(call_id) makes a call anew with its callback' as advice
from (
    select newest.* from edge_store.callback_error as newest order by newest.call_id desc limit 1000
) as failed
where failed.at > statement_timestamp() - interval '1 day'
  and (failed.owner = (select edge_store.current_role_oid())
       or pg_has_role(current_user, 'pg_monitor', 'usage'))
having count(*) > 0;

-- A lease that has run out is dealt with at once, unless somebody holds the job's row.
create view edge_store.problem_of_leases as
select
    'jobs' as subject,
    case count(*) when 1 then 'the lease of 1 job has' else 'the leases of ' || count(*) || ' jobs have' end ||
    ' run out without another delivery, that of job ' || (array_agg(job.call_id order by job.lease_until))[1] ||
    ' at ' || date_trunc('second', min(job.lease_until)) as problem,
    'a transaction that reports on it has not ended, if a dispatcher runs: pg_stat_activity shows those that are idle in transaction, and pg_prepared_xacts those that are prepared' as advice
from (
    select
        deferred.call_id,
        (
            select request.owner from edge_store.request
            where request.id = deferred.call_id and request.slot = deferred.slot offset 0
        ) as owner
    from edge_store.deferred
    where deferred.parked_on is null and deferred.due_at < statement_timestamp() - interval '1 minute'
    order by deferred.due_at limit 1000
) as due
join edge_store.job on job.call_id = due.call_id
where job.accepted_at is not null and job.lease_until < statement_timestamp() - interval '1 minute'
  and (due.owner = (select edge_store.current_role_oid())
       or due.owner is not null and pg_has_role(current_user, 'pg_monitor', 'usage'))
having count(*) > 0;

-- The index has the same condition.
create view edge_store.problem_of_redeliveries as
select
    'jobs' as subject,
    case when (select count(*) from (select from edge_store.job where job.number >= 3 limit 1000) as many) = 1000 then 'at least ' else '' end ||
    case count(*) when 1 then '1 job was' else count(*) || ' jobs were' end ||
    ' delivered three times or more and not done, job ' || (array_agg(often.call_id order by often.number desc))[1] || ' ' || max(often.number) || ' times' as problem,
    'edge.attempts says what became of each delivery; edge.job(..., deadline =>, heartbeat =>) gives functions more time, and edge.cancel(id) gives a job up' as advice
from (
    select
        job.call_id,
        job.number,
        (select request.owner from edge_store.request where request.id = job.call_id offset 0) as owner
    from edge_store.job where job.number >= 3 limit 1000
) as often
where often.owner = (select edge_store.current_role_oid())
   or often.owner is not null and pg_has_role(current_user, 'pg_monitor', 'usage')
having count(*) > 0;

comment on view edge_store.problem_of_dead_letters is 'Calls that have failed within the last day and were not replayed.';
comment on view edge_store.problem_of_callbacks is 'Callbacks that have failed within the last day.';
comment on view edge_store.problem_of_leases is 'Jobs whose lease has run out, and that are not delivered again.';
comment on view edge_store.problem_of_redeliveries is 'Jobs that are delivered again and again.';
