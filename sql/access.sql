-- Who may do what. Nobody but the owner has a right on anything; edge.grant_access opens functions and views to a role.

create function edge.grant_access(role regrole) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('grant usage on schema edge to %s', role);
    execute format('grant usage on type edge.response, edge.event, edge.ws_message to %s', role);
    execute format('grant select on edge.calls, edge.attempts, edge.jobs, edge.events, edge.dead_letters, edge.callbacks, edge.callback_errors,
        edge.queued_per_role, edge.endpoints, edge.stat_endpoints, edge.usage, edge.schedules, edge.schedule_runs,
        edge.all_schedules, edge.ws_connections, edge.ws_messages, edge.problems, edge.webhook_problems to %s', role);
    execute format('grant execute on function edge_store.origin, edge_store.redacted_url, edge_store.redacted_headers,
        edge_store.current_role_oid, edge_store.queued_per_role, edge_store.endpoint_stats, edge_store.dispatcher_state, edge_store.schedule_description,
        edge_store.pg_cron_jobs, edge_store.event_json, edge_store.websocket_url, edge_store.webhook_problems to %s', role);
    execute format('grant execute on function edge.http_post_async, edge.http_put_async, edge.http_patch_async,
        edge.http_get_async, edge.http_delete_async, edge.http_async, edge.invoke, edge.invoke_batch, edge.job, edge.retry_policy, edge.wait,
        edge.result, edge.status, edge.cancel, edge.replay, edge.replay_dead, edge.worker_status, edge.health, edge.tail, edge.tail_text,
        edge.poll, edge.stream_text to %s', role);
    execute format('grant execute on function edge.webhook, edge.check_webhook(oid), edge.check_webhook(regclass, name) to %s', role);
    execute format('grant execute on function edge.schedule, edge.schedule_invoke, edge.schedule_http, edge.unschedule(text, boolean),
        edge.unschedule(bigint, boolean),
        edge.pause_schedule, edge.resume_schedule, edge.run_now, edge.backfill, edge.next_runs, edge.describe_schedule, edge.import_pg_cron to %s', role);
    execute format('grant execute on function edge.ws_open, edge.ws_send(text, jsonb), edge.ws_send(text, text),
        edge.ws_send(text, bytea), edge.ws_reopen, edge.ws_close(text, integer, text), edge.ws_close(bigint, integer, text) to %s', role);
end
$$;

create function edge.revoke_access(role regrole) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('revoke all on schema edge from %s', role);
    execute format('revoke all on type edge.response, edge.event, edge.ws_message from %s', role);
    execute format('revoke all on all tables in schema edge from %s', role);
    execute format('revoke all on all functions in schema edge from %s', role);
    execute format('revoke all on function edge_store.origin, edge_store.redacted_url, edge_store.redacted_headers,
        edge_store.current_role_oid, edge_store.queued_per_role, edge_store.endpoint_stats, edge_store.dispatcher_state, edge_store.schedule_description,
        edge_store.pg_cron_jobs, edge_store.event_json, edge_store.websocket_url, edge_store.webhook_problems from %s', role);
end
$$;

-- Functions and types are PUBLIC's when they are made, and ALTER DEFAULT PRIVILEGES may have given any of this to anybody.
do $$
declare
    given record;
begin
    for given in
        with member (kind, name, owner, acl) as (
            select 'schema', oid::regnamespace::text, nspowner, coalesce(nspacl, acldefault('n', nspowner))
            from pg_namespace where nspname in ('edge', 'edge_store')
            union all
            select 'function', oid::regprocedure::text, proowner, coalesce(proacl, acldefault('f', proowner))
            from pg_proc where pronamespace in ('edge'::regnamespace, 'edge_store'::regnamespace)
            union all
            select case relkind when 'S' then 'sequence' else 'table' end, oid::regclass::text, relowner,
                   case relkind when 'S' then coalesce(relacl, acldefault('s', relowner))
                                else coalesce(relacl, acldefault('r', relowner)) end
            from pg_class
            where relnamespace in ('edge'::regnamespace, 'edge_store'::regnamespace) and relkind in ('r', 'p', 'v', 'S')
            union all
            -- Types of rows too: who may use that of a view makes a table with it, which stands in the way of DROP EXTENSION.
            -- A type of arrays has the rights of its elements' type.
            select 'type', oid::regtype::text, typowner, coalesce(typacl, acldefault('T', typowner))
            from pg_type
            where typnamespace in ('edge'::regnamespace, 'edge_store'::regnamespace) and typcategory <> 'A'
        )
        select distinct kind, name, case grantee when 0 then 'public' else grantee::regrole::text end as grantee
        from member, aclexplode(acl) where grantee <> owner
    loop
        execute format('revoke all on %s %s from %s', given.kind, given.name, given.grantee);
    end loop;
end
$$;

-- A job's function reports as whatever role its own database session has; what gives it the right is the token.
grant usage on schema edge to public;
grant execute on function edge.complete, edge.fail, edge.heartbeat to public;

select edge_store.register_database();
