-- Who may do what. Nothing is granted to PUBLIC; edge.grant_access opens the functions and views to a role.

revoke all on all functions in schema edge from public;
revoke all on all functions in schema edge_store from public;
revoke all on type edge.response from public;

create function edge.grant_access(role regrole) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('grant usage on schema edge to %s', role);
    execute format('grant usage on type edge.response to %s', role);
    execute format('grant select on edge.calls, edge.attempts, edge.dead_letters, edge.callback_errors, edge.endpoints,
        edge.stat_endpoints to %s', role);
    execute format('grant execute on function edge_store.origin, edge_store.redacted_url, edge_store.redacted_headers,
        edge_store.current_role_oid, edge_store.endpoint_stats to %s', role);
    execute format('grant execute on function edge.http_post_async, edge.http_put_async, edge.http_patch_async,
        edge.http_get_async, edge.http_delete_async, edge.http_async, edge.invoke, edge.retry_policy, edge.wait, edge.result, edge.status, edge.cancel,
        edge.replay, edge.replay_dead, edge.worker_status to %s', role);
end
$$;

create function edge.revoke_access(role regrole) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('revoke all on schema edge from %s', role);
    execute format('revoke all on type edge.response from %s', role);
    execute format('revoke all on all tables in schema edge from %s', role);
    execute format('revoke all on all functions in schema edge from %s', role);
    execute format('revoke all on function edge_store.origin, edge_store.redacted_url, edge_store.redacted_headers,
        edge_store.current_role_oid, edge_store.endpoint_stats from %s', role);
end
$$;

revoke all on function edge.grant_access, edge.revoke_access from public;

select edge_store.register_database();
