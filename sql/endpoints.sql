-- Endpoints and secrets, as users read them.

create view edge.endpoints with (security_barrier) as
select
    endpoint.name,
    endpoint.base_url,
    endpoint.enabled,
    endpoint.note,
    endpoint.profile,
    edge_store.redacted_headers(endpoint.headers) as headers,
    endpoint.retry,
    endpoint.timeout_ms * interval '1 millisecond' as timeout,
    endpoint.connect_timeout_ms * interval '1 millisecond' as connect_timeout,
    endpoint.max_concurrency,
    endpoint.max_rate,
    endpoint.max_request_bytes,
    endpoint.max_response_bytes,
    coalesce(pg_catalog.cardinality(endpoint.signing_secrets), 0) as signing_secrets,
    endpoint.monthly_quota,
    endpoint.quota_action,
    endpoint.max_redirects::integer as max_redirects,
    endpoint.client_certificate is not null as has_client_certificate,
    endpoint.created_at,
    endpoint.updated_at
from edge_store.endpoint;

-- The origins that others call are their own business.
create view edge.stat_endpoints with (security_barrier) as
select stats.*
from edge_store.endpoint_stats() as stats
where pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage')
   or exists (select from edge_store.endpoint where endpoint.name = stats.endpoint);

-- Names and dates; whoever is granted the view sees all.
create view edge.secrets as
select secret.name, secret.key_id, secret.created_at, secret.updated_at
from edge_store.secret;
