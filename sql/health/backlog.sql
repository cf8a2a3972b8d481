-- Calls that wait for longer than they should. Nothing here looks at more than the oldest thousand of a table, however many wait.

-- Calls that could be sent and are not, since when, and whose lane they wait in: of each place where calls wait the oldest. There may be
-- calls of other endpoints behind them, which are seen once these are gone.
create view edge_store.waiting as
with recursive
    -- Calls at or above it may be new to the dispatcher, or wait in its memory.
    floor (id) as (select coalesce(max(lease.floor), 0) from edge_store.lease),
    on_wire (call_id) as materialized (select unnest(lease.call_ids) from edge_store.lease),
    young as materialized (
        select request.id, request.slot, request.endpoint, request.url, request.queued_at, request.run_at
        from edge_store.request
        where request.id >= (select floor.id from floor)
        order by request.id limit 1000
    ),
    due as materialized (
        select deferred.call_id, deferred.slot, deferred.due_at
        from edge_store.deferred
        where deferred.parked_on is null and deferred.due_at < statement_timestamp()
        order by deferred.due_at limit 1000
    ),
    -- The lanes that have calls on disk: one step in the index each.
    parked (lane) as (
        (select deferred.parked_on from edge_store.deferred
         where deferred.parked_on is not null order by deferred.parked_on limit 1)
        union all
        select (select deferred.parked_on from edge_store.deferred
                where deferred.parked_on > parked.lane order by deferred.parked_on limit 1)
        from parked where parked.lane is not null
    )
select
    coalesce(young.endpoint, edge_store.origin(young.url)) as lane,
    greatest(young.queued_at, young.run_at) as since
from young
where greatest(young.queued_at, young.run_at) <= statement_timestamp()
  and not exists (select from edge_store.response where response.call_id = young.id and response.slot = young.slot offset 0)
  and not exists (select from edge_store.deferred where deferred.call_id = young.id offset 0)
  and young.id not in (select on_wire.call_id from on_wire)
union all
select coalesce(request.endpoint, edge_store.origin(request.url)), due.due_at
from due
join edge_store.request on request.id = due.call_id and request.slot = due.slot
-- A job that is with its function waits for that.
where not exists (select from edge_store.job where job.call_id = due.call_id and job.accepted_at is not null offset 0)
union all
select parked.lane, greatest(request.queued_at, request.run_at, (
    select max(attempt.retry_at) from edge_store.attempt
    where attempt.call_id = request.id and attempt.slot = request.slot))
from parked
cross join (values (true), (false)) as kind (was_tried)
cross join lateral (
    select deferred.call_id, deferred.slot from edge_store.deferred
    where deferred.parked_on = parked.lane and (deferred.tries > deferred.interruptions) = kind.was_tried
    order by deferred.call_id limit 1
) as oldest
join edge_store.request on request.id = oldest.call_id and request.slot = oldest.slot;

-- A minute or two is what a busy endpoint may take; those of one that is disabled wait for somebody. As in edge.stat_endpoints, the
-- origins that others call are their own business.
create view edge_store.problem_of_backlog as
select
    'endpoint ' || behind.lane as subject,
    'calls to it have been waiting since ' || date_trunc('second', behind.since) || ': ' ||
    case
        when not endpoint.enabled then 'it is disabled' || coalesce(' (' || endpoint.note || ')', '')
        when stats.held_until is not null then 'its monthly quota is used up'
        when stats.breaker <> 'closed' then 'it fails, and few are let through'
        when stats.parked_until is not null then 'it has asked to be left alone until ' || stats.parked_until
        else 'more come than it takes; ' || coalesce(stats.in_flight, 0) || ' are on the wire'
    end as problem,
    case
        when not endpoint.enabled then 'edge.enable_endpoint(' || quote_literal(behind.lane) || ') sends them, and edge.cancel(id) gives one up'
        when stats.held_until is not null then 'edge.alter_endpoint(name, monthly_quota => ...) raises it'
        when stats.breaker <> 'closed' then 'they lose no attempt, and go on as soon as it answers'
        when stats.parked_until is not null then 'they lose no attempt, and go on then'
        else 'edge.alter_endpoint(name, max_concurrency => ..., max_rate => ...), and for all together pg_edge.max_in_flight; edge.calls shows them'
    end as advice
from edge_store.dispatcher_state() as dispatcher
cross join (
    select waiting.lane, min(waiting.since) as since
    from edge_store.waiting
    group by waiting.lane
) as behind
left join edge_store.endpoint on endpoint.name = behind.lane
left join edge_store.endpoint_stats() as stats on stats.endpoint = behind.lane
where (not endpoint.enabled or dispatcher.state = 'running' and behind.since < statement_timestamp() - interval '5 minutes')
  and (endpoint.name is not null or pg_has_role(current_user, 'pg_monitor', 'usage'))
  and not pg_is_in_recovery();

comment on view edge_store.waiting is 'Calls that could be sent and are not, the oldest of each place where they wait.';
comment on view edge_store.problem_of_backlog is 'Endpoints whose calls have been waiting for long, or that are disabled.';
