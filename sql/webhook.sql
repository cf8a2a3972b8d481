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

-- The same by name, as a person asks.
create function edge.check_webhook(relation regclass, trigger_name name) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    made constant oid := (
        select oid from pg_trigger
        where tgrelid = relation and tgname = trigger_name and tgfoid = 'edge.webhook()'::regprocedure
    );
begin
    if relation is null or trigger_name is null then
        raise null_value_not_allowed using message = 'relation and trigger_name must not be null';
    end if;
    if made is null then
        raise undefined_object using
            message = format('table %s has no trigger "%s" that calls edge.webhook', relation, trigger_name);
    end if;
    perform edge.check_webhook(made);
end
$$;

-- What is wrong with the triggers of the tables whose owner's rights one has; members of pg_monitor see all. A partition has
-- the trigger of the table that it was made for.
create view edge.webhook_problems with (security_barrier) as
select made.tgrelid::regclass as relation, made.tgname as trigger, found.problem, found.advice
from pg_catalog.pg_trigger as made
join pg_catalog.pg_class as relation on relation.oid = made.tgrelid
cross join lateral edge_store.webhook_problems(made.oid) as found
where made.tgfoid = 'edge.webhook()'::regprocedure
  and made.tgparentid = 0
  and (pg_catalog.pg_has_role(current_user, relation.relowner, 'usage')
       or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage'));

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

update edge_store.control set webhook_oid = 'edge.webhook()'::regprocedure::oid;
