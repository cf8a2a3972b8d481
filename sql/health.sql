-- What is wrong in this database, and what to do about it. Everybody sees what he may see of each part.

create view edge.problems with (security_barrier) as
select
    'dispatcher' as subject,
    case worker.state
        when 'down' then 'no dispatcher runs in this database: calls are queued, and none is sent'
        else 'sending is paused: calls are queued, and none is sent'
    end as problem,
    case worker.state
        when 'down' then 'look into the server log; max_worker_processes must leave room for it'
        else 'edge.resume() sends them'
    end as advice
from edge.worker_status() as worker
where worker.state in ('down', 'paused')
union all
select
    'endpoint ' || stats.endpoint,
    'it refuses its key since ' || stats.key_refused_since || ', and calls fail: ' || coalesce(stats.last_error, ''),
    'every call with this key will fail: mend the endpoint''s headers or their secret, then edge.replay_dead(...) sends what has failed'
from edge.stat_endpoints as stats
-- The numbers of an endpoint outlive it, and those of an origin everything.
where stats.key_refused_since is not null
  and (exists (select from edge.endpoints as known where known.name = stats.endpoint)
       or stats.endpoint like '%://%' and stats.last_seen > now() - interval '1 day')
union all
select
    'endpoint ' || stats.endpoint,
    'it fails, and its calls wait until ' || stats.open_until || ': ' || coalesce(stats.last_error, ''),
    'calls that wait lose no attempt; they go on as soon as it answers'
from edge.stat_endpoints as stats
where stats.breaker = 'open'
union all
select
    'endpoint ' || endpoint.name,
    case
        when endpoint.monthly_quota = 0 and endpoint.quota_action = 'hold' then 'its monthly quota is 0 attempts, and its calls wait until it is raised'
        when used.attempts < endpoint.monthly_quota then used.attempts * 100 / endpoint.monthly_quota || ' % of its monthly quota of ' || endpoint.monthly_quota || ' attempts are used'
        when endpoint.quota_action = 'hold' then 'its monthly quota of ' || endpoint.monthly_quota || ' attempts is used up, and its calls wait for the next month (UTC)'
        else 'its monthly quota of ' || endpoint.monthly_quota || ' attempts is used up, and calls go on'
    end,
    'edge.usage has the numbers; edge.alter_endpoint(name, monthly_quota => ...) raises the quota'
from edge.endpoints as endpoint
left join edge.usage on usage.endpoint = endpoint.name
    and usage.month = pg_catalog.date_trunc('month', pg_catalog.now() at time zone 'UTC')::date
cross join lateral (select coalesce(usage.attempts, 0) as attempts) as used
-- A quota of 0 that holds lets nothing out, so it never has a month with attempts.
where endpoint.monthly_quota = 0 and endpoint.quota_action = 'hold'
   or used.attempts > 0 and used.attempts >= 0.8 * endpoint.monthly_quota;

create function edge.health() returns jsonb
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'ok', count(*) = 0,
        'problems', coalesce(jsonb_agg(jsonb_build_object(
            'subject', problem.subject, 'problem', problem.problem, 'advice', problem.advice)
            order by problem.subject, problem.problem), '[]'::jsonb))
    from edge.problems as problem
$$;
