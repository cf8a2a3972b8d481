-- Database webhooks: what triggers call, and what looks at them when they are made.

create function edge.webhook() returns trigger
language c
as 'MODULE_PATHNAME', 'webhook_wrapper';

-- Reads the catalog alone as long as no trigger calls edge.webhook: whoever else makes a trigger needs no right on anything of
-- pg_edge, nor its library.
create function edge_store.check_webhooks() returns event_trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    made oid;
begin
    for made in
        select trigger.oid
        from pg_event_trigger_ddl_commands() as command
        join pg_trigger as trigger on trigger.oid = command.objid
        join pg_proc as called on called.oid = trigger.tgfoid
        join pg_namespace as schema on schema.oid = called.pronamespace
        where command.classid = 'pg_trigger'::regclass and schema.nspname = 'edge' and called.proname = 'webhook'
    loop
        perform edge.check_webhook(made);
    end loop;
end
$$;

create event trigger pg_edge_check_webhooks on ddl_command_end when tag in ('CREATE TRIGGER', 'CREATE SCHEMA')
execute function edge_store.check_webhooks();

-- Both stay the first superuser's, whoever installs the extension and whomever its objects are given to: an event trigger may
-- belong to a superuser alone, and what it runs, it runs as whoever makes a trigger.
do $$
declare
    first constant text := (select rolname from pg_roles where oid = 10);
begin
    execute format('alter event trigger pg_edge_check_webhooks owner to %I', first);
    execute format('alter function edge_store.check_webhooks() owner to %I', first);
end
$$;
