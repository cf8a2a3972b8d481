-- The jobs of pg_cron. There need not be one: whether it is there is seen when it is asked, and as whoever asks.

-- Only tables of the extension itself count. Anybody may be allowed to make a schema of its name.
create function edge_store.pg_cron_jobs() returns table (id bigint, name text, schedule text, timezone text, active boolean,
    command text, database name, owner name)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (
        select from pg_class as job
        join pg_namespace as schema on schema.oid = job.relnamespace
        join pg_depend as member on member.classid = 'pg_class'::regclass and member.objid = job.oid and member.deptype = 'e'
            and member.refclassid = 'pg_extension'::regclass
        join pg_extension as extension on extension.oid = member.refobjid and extension.extname = 'pg_cron'
        where schema.nspname = 'cron' and job.relname = 'job'
          and has_schema_privilege(schema.oid, 'usage') and has_table_privilege(job.oid, 'select'))
    then
        return;
    end if;
    return query execute
        'select jobid, jobname::text, schedule, coalesce(current_setting(''cron.timezone'', true), ''GMT''), active, command,
                database::name, username::name
         from cron.job order by jobid';
end
$$;
