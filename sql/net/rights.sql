-- Who may do what, and to whom all of it belongs.

-- Functions are PUBLIC's when they are made, and ALTER DEFAULT PRIVILEGES may have given any of this to anybody.
do $$
declare
    given record;
begin
    for given in
        with member (kind, name, owner, acl) as (
            select 'function', oid::regprocedure::text, proowner, coalesce(proacl, acldefault('f', proowner))
            from pg_proc
            where pronamespace = 'net'::regnamespace
               or pronamespace = 'edge_store'::regnamespace and starts_with(proname, 'net_')
            union all
            select 'table', oid::regclass::text, relowner, coalesce(relacl, acldefault('r', relowner))
            from pg_class
            where relkind = 'r' and (relnamespace = 'net'::regnamespace or oid = 'edge_store.net_owner'::regclass)
            union all
            select 'schema', oid::regnamespace::text, nspowner, coalesce(nspacl, acldefault('n', nspowner))
            from pg_namespace where nspname = 'net'
        )
        select distinct kind, name, case grantee when 0 then 'public' else grantee::regrole::text end as grantee
        from member, aclexplode(acl) where grantee <> owner
    loop
        execute format('revoke all on %s %s from %s', given.kind, given.name, given.grantee);
    end loop;
end
$$;

-- Every role's SQL calls pg_net as it is, so every role may call this, and see and take back what is its own. To take
-- that away, and give it to some: revoke usage on schema net from public; grant usage on schema net to …
grant usage on schema net to public;
grant execute on all functions in schema net to public;
revoke execute on function net.worker_restart() from public;
grant select, insert, delete on net.http_request_queue to public;
grant select, delete on net._http_response to public;
grant execute on function edge_store.net_is_visible(bigint) to public;

-- Everything belongs to whom the tables of pg_edge belong to, whoever makes this extension: that role is the collector, and what
-- runs with its rights needs no superuser.
do $$
declare
    keeper regrole := (select relowner from pg_class where oid = 'edge_store.request'::regclass);
    member text;
begin
    for member in
        select format('%s %s', case when prokind = 'p' then 'procedure' else 'function' end, oid::regprocedure)
        from pg_proc
        where pronamespace = 'net'::regnamespace
           or pronamespace = 'edge_store'::regnamespace and starts_with(proname, 'net_')
        union all
        select format('table %s', oid::regclass)
        from pg_class
        where relkind = 'r' and (relnamespace = 'net'::regnamespace or oid = 'edge_store.net_owner'::regclass)
        union all
        select format('type %s', oid::regtype)
        from pg_type
        where typnamespace = 'net'::regnamespace and typtype in ('c', 'd', 'e')
          and not exists (select from pg_class where pg_class.oid = typrelid and relkind <> 'c')
        union all
        select 'schema net'
    loop
        execute format('alter %s owner to %s', member, keeper);
    end loop;
end
$$;

alter table net.http_request_queue enable row level security;
alter table net._http_response enable row level security;
alter table edge_store.net_owner enable row level security;
create policy own_rows on net.http_request_queue for select using (edge_store.net_is_visible(id));
create policy own_rows_go on net.http_request_queue for delete using (edge_store.net_is_visible(id));
create policy anybody_queues on net.http_request_queue for insert with check (true);
create policy own_rows on net._http_response for select using (edge_store.net_is_visible(id));
create policy own_rows_go on net._http_response for delete using (edge_store.net_is_visible(id));
