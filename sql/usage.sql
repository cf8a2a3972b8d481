-- What the calls of each endpoint came to in each month, and how much of its quota that is.

-- A row an endpoint and month, updated by the dispatcher alone: about once a second while calls are made, and with every
-- lease where the endpoint's quota holds calls back. Old versions are cleared away within the page, which therefore has room.
create table edge_store.usage (
    -- Its name; of a bare URL the origin, or where there are too many of them in a month, "(other)".
    endpoint        text collate "C" not null,
    -- Its first day, in UTC.
    month           date        not null,
    calls           bigint      not null,
    attempts        bigint      not null,
    request_bytes   bigint      not null,
    response_bytes  bigint      not null,
    primary key (endpoint, month)
) with (fillfactor = 50);
alter table edge_store.usage enable row level security;

-- As with edge.stat_endpoints, the origins that others call are their own business.
create view edge.usage with (security_barrier) as
select
    usage.endpoint,
    usage.month,
    usage.calls,
    usage.attempts,
    usage.request_bytes,
    usage.response_bytes,
    endpoint.monthly_quota as quota,
    usage.attempts / nullif(endpoint.monthly_quota, 0)::double precision as used_fraction
from edge_store.usage
left join edge_store.endpoint on endpoint.name = usage.endpoint
where endpoint.name is not null
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');
