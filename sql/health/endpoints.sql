-- Problems with endpoints. Whoever has access sees those that have a name.

create view edge_store.problem_of_endpoint as
select
    'endpoint ' || stats.endpoint as subject,
    'it refuses its key since ' || stats.key_refused_since || ', and calls fail: ' || coalesce(stats.last_error, '') as problem,
    'every call with this key will fail: mend the endpoint''s headers or their secret, then edge.replay_dead(...) sends what has failed' as advice
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
where stats.breaker = 'open';

create view edge_store.problem_of_quota as
select
    'endpoint ' || endpoint.name as subject,
    case
        when endpoint.monthly_quota = 0 and endpoint.quota_action = 'hold' then 'its monthly quota is 0 attempts, and its calls wait until it is raised'
        when used.attempts < endpoint.monthly_quota then used.attempts * 100 / endpoint.monthly_quota || ' % of its monthly quota of ' || endpoint.monthly_quota || ' attempts are used'
        when endpoint.quota_action = 'hold' then 'its monthly quota of ' || endpoint.monthly_quota || ' attempts is used up, and its calls wait for the next month (UTC)'
        else 'its monthly quota of ' || endpoint.monthly_quota || ' attempts is used up, and calls go on'
    end as problem,
    'edge.usage has the numbers; edge.alter_endpoint(name, monthly_quota => ...) raises the quota' as advice
from edge.endpoints as endpoint
left join edge.usage on usage.endpoint = endpoint.name
    and usage.month = pg_catalog.date_trunc('month', pg_catalog.now() at time zone 'UTC')::date
cross join lateral (select coalesce(usage.attempts, 0) as attempts) as used
-- A quota of 0 that holds lets nothing out, so it never has a month with attempts.
where endpoint.monthly_quota = 0 and endpoint.quota_action = 'hold'
   or used.attempts > 0 and used.attempts >= 0.8 * endpoint.monthly_quota;

-- Secrets of edge.set_secret alone: files, and what is in Vault, are looked at when they are used.
create view edge_store.problem_of_secret as
select
    'endpoint ' || endpoint.name as subject,
    'it needs ' || string_agg(distinct '${secret:' || found.parts[1] || '}', ', ') || ', which nobody has set: every call to it fails' as problem,
    'edge.set_secret(name, value) sets it; then edge.replay_dead(' || quote_literal(endpoint.name) || ') sends what has failed' as advice
from edge_store.endpoint
cross join lateral regexp_matches(
    concat_ws(' ', endpoint.headers, endpoint.client_certificate, endpoint.client_key, array_to_string(endpoint.signing_secrets, ' ')),
    -- As domain::placeholder reads it: a dollar sign before it keeps it from being one.
    '(?<![$])[$][{]secret:([A-Za-z_][A-Za-z0-9_.-]*)[}]', 'g'
) as found (parts)
where endpoint.enabled
  and not exists (select from edge_store.secret where secret.name = found.parts[1])
group by endpoint.name;

comment on view edge_store.problem_of_endpoint is 'Endpoints that refuse their key, or fail.';
comment on view edge_store.problem_of_quota is 'Monthly quotas that are used up, or nearly.';
comment on view edge_store.problem_of_secret is 'Endpoints with a placeholder for a secret that is not set.';
