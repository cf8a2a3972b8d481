\echo Use "create extension pg_edge_net" to load this file. \quit
-- The functions and tables that users of pg_net know, on top of pg_edge. The install script of pg_edge_net.
--
-- A row of net.http_request_queue is queued as a call of pg_edge by a trigger, in the transaction that inserts it and as
-- whoever inserts it. When the call has ended, the process that pg_edge calls the collector takes the row away and writes
-- one of net._http_response, in one transaction. What nobody but that process and the triggers may run stands in
-- edge_store, where nobody has rights.

set local search_path = pg_catalog, pg_temp;

create schema net;

create domain net.http_method as text
    check (value ilike 'get' or value ilike 'post' or value ilike 'delete');
create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');
create type net.http_response as (status_code integer, headers jsonb, body text);
create type net.http_response_result as (status net.request_status, message text, response net.http_response);

-- Neither has a key: a foreign key on one of these tables would keep the collector from its work.
create table net.http_request_queue (
    id                      bigint          not null,
    method                  net.http_method not null,
    url                     text            not null,
    headers                 jsonb,
    body                    bytea,
    timeout_milliseconds    integer         not null
);
create index on net.http_request_queue (id);

create table net._http_response (
    id                      bigint,
    status_code             integer,
    content_type            text,
    headers                 jsonb,
    content                 text,
    timed_out               boolean,
    error_msg               text,
    created                 timestamptz     not null default now()
);
create index on net._http_response (created);
create index on net._http_response (id);

-- Whose responses those are that are kept for longer than pg_edge keeps their calls.
create table edge_store.net_owner (
    id          bigint          primary key,
    owner       oid             not null,
    stored_at   timestamptz     not null
);
create index on edge_store.net_owner (stored_at);

-- Rows of tables without a key can be deleted under a publication of all tables only so.
alter table net.http_request_queue replica identity full;
alter table net._http_response replica identity full;

-- Of what is in schema net ------------------------------------------------------------------------------------------------

create function net._queue(method text, url text, headers jsonb, body bytea, timeout_milliseconds integer) returns bigint
language c volatile parallel unsafe as 'MODULE_PATHNAME', 'net_queue_wrapper';

create function net._urlencode_string(string varchar) returns text
language c immutable parallel safe as 'MODULE_PATHNAME', 'net_urlencode_wrapper';

create function net._encode_url_with_params_array(url text, params_array text[]) returns text
language c immutable parallel safe as 'MODULE_PATHNAME', 'net_encode_url_wrapper';

create function net.wake() returns void
language c volatile parallel unsafe as 'MODULE_PATHNAME', 'net_wake_wrapper';

create function edge_store.net_is_visible(id bigint) returns boolean
language c volatile parallel unsafe as 'MODULE_PATHNAME', 'net_is_visible_wrapper';

create function net._is_queued_here(id bigint) returns boolean
language c volatile parallel unsafe as 'MODULE_PATHNAME', 'net_is_queued_here_wrapper';

create function edge_store.net_cancel(id bigint) returns void
language c volatile parallel unsafe as 'MODULE_PATHNAME', 'net_cancel_wrapper';

create function edge_store.net_worker_pid() returns integer
language c volatile parallel unsafe as 'MODULE_PATHNAME', 'net_worker_pid_wrapper';

-- A URL with parameters, each percent-encoded. One whose value is null is left out.
create function net._url(url text, params jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if params is null or params = '{}' then
        return net._encode_url_with_params_array(url, null);
    end if;
    return net._encode_url_with_params_array(url, (
        select array_agg(net._urlencode_string(param.key) || '=' || net._urlencode_string(param.value))
        from jsonb_each_text(params) as param
        where param.value is not null
    ));
end
$$;

-- Headers that say that the body is JSON. What is no object is left for the check of all headers to refuse.
create function net._json_headers(headers jsonb) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    given text;
begin
    if headers is null then
        return '{"Content-Type": "application/json"}';
    elsif jsonb_typeof(headers) <> 'object' then
        return headers;
    end if;
    select header.value into given from jsonb_each_text(headers) as header where lower(header.key) = 'content-type' limit 1;
    if given is null then
        return headers || '{"Content-Type": "application/json"}';
    elsif given !~* '^application/json\s*(;|$)' then
        raise exception 'Content-Type header must be "application/json"' using errcode = '22023';
    end if;
    return headers;
end
$$;

create function net.http_get(
    url text,
    params jsonb default '{}'::jsonb,
    headers jsonb default '{}'::jsonb,
    timeout_milliseconds integer default 5000
) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    request_id bigint;
begin
    insert into net.http_request_queue (method, url, headers, timeout_milliseconds)
    values ('GET', net._url(url, params), headers, timeout_milliseconds)
    returning id into request_id;
    return request_id;
end
$$;

create function net.http_post(
    url text,
    body jsonb default '{}'::jsonb,
    params jsonb default '{}'::jsonb,
    headers jsonb default '{"Content-Type": "application/json"}'::jsonb,
    timeout_milliseconds integer default 5000
) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    request_id bigint;
begin
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values ('POST', net._url(url, params), net._json_headers(headers), convert_to(body::text, 'UTF8'), timeout_milliseconds)
    returning id into request_id;
    return request_id;
end
$$;

create function net.http_delete(
    url text,
    params jsonb default '{}'::jsonb,
    headers jsonb default '{}'::jsonb,
    timeout_milliseconds integer default 5000,
    body jsonb default null
) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    request_id bigint;
begin
    if body is not null then
        headers := net._json_headers(headers);
    end if;
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values ('DELETE', net._url(url, params), headers, convert_to(body::text, 'UTF8'), timeout_milliseconds)
    returning id into request_id;
    return request_id;
end
$$;

-- Each look is a statement of its own, which sees what has been committed before it.
create function net._await_response(request_id bigint) returns boolean
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        raise exception 'a response cannot be awaited in a transaction that does not see new commits' using errcode = '25001';
    end if;
    loop
        if exists (select from net._http_response as response where response.id = request_id) then
            return true;
        elsif not exists (select from net.http_request_queue as queued where queued.id = request_id) then
            -- It may have ended between the two looks.
            return exists (select from net._http_response as response where response.id = request_id);
        elsif net._is_queued_here(request_id) then
            raise exception 'request % was queued by this transaction and is sent only after its commit', request_id
                using errcode = '55000';
        end if;
        perform pg_sleep(0.02);
    end loop;
end
$$;

create function net._http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    answer net._http_response;
begin
    if not async then
        perform net._await_response(request_id);
    end if;
    select response.* into answer
    from net._http_response as response where response.id = request_id order by response.created desc limit 1;
    if answer.id is not null and answer.error_msg is null then
        return ('SUCCESS', 'ok', (answer.status_code, answer.headers, answer.content)::net.http_response)::net.http_response_result;
    elsif answer.id is not null then
        return ('ERROR', answer.error_msg, null)::net.http_response_result;
    elsif exists (select from net.http_request_queue as queued where queued.id = request_id) then
        return ('PENDING', 'request is pending processing', null)::net.http_response_result;
    end if;
    return ('ERROR', 'request matching request_id not found', null)::net.http_response_result;
end
$$;

create function net.http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
begin
    raise notice 'net.http_collect_response is deprecated: read net._http_response instead';
    return net._http_collect_response(request_id, async);
end
$$;

create function net.check_worker_is_up() returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if edge_store.net_worker_pid() is null then
        raise exception 'the pg_net background worker is not up'
            using errcode = '55000',
                  detail = 'the dispatcher of pg_edge does not run in this database; requests wait until it does',
                  hint = 'select * from edge.worker_status()';
    end if;
end
$$;

create function net.wait_until_running() returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    while edge_store.net_worker_pid() is null loop
        perform pg_sleep(0.02);
    end loop;
end
$$;

-- Nothing is restarted: a reload is all that any setting needs, and what is on the wire goes on.
create function net.worker_restart() returns boolean
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
begin
    return pg_reload_conf();
end
$$;

-- Of what the triggers and the collector do ---------------------------------------------------------------------------------

create function edge_store.net_queue_row() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.method is null or new.url is null or new.timeout_milliseconds is null then
        -- The constraint of that column says what is wrong; the id comes before it.
        new.id := 0;
        return new;
    end if;
    new.id := net._queue(new.method, new.url, new.headers, new.body, new.timeout_milliseconds);
    return new;
end
$$;
create trigger pg_edge_queue before insert on net.http_request_queue
    for each row execute function edge_store.net_queue_row();

-- A request that is taken out of the queue is not to be made. Those that the collector takes out have ended.
create function edge_store.net_cancel_rows() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform edge_store.net_cancel(gone.id) from gone
    where not exists (select from edge_store.response where response.call_id = gone.id);
    return null;
end
$$;
create trigger pg_edge_cancel after delete on net.http_request_queue
    referencing old table as gone for each statement execute function edge_store.net_cancel_rows();

create function edge_store.net_cancel_all() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform edge_store.net_cancel(queued.id) from net.http_request_queue as queued
    where not exists (select from edge_store.response where response.call_id = queued.id);
    return null;
end
$$;
create trigger pg_edge_cancel_all before truncate on net.http_request_queue
    for each statement execute function edge_store.net_cancel_all();

-- What the attempt took, for the message of a timeout.
create function edge_store.net_timings(total bigint, dns integer, connect integer, tls integer, waited bigint) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select format('Total time: %s ms (DNS time: %s ms, TCP/SSL handshake time: %s ms, HTTP Request/Response time: %s ms)',
        to_char(total / 1000.0, 'FM999999990.000000'), to_char(coalesce(dns, 0) / 1000.0, 'FM999999990.000000'),
        to_char((coalesce(connect, 0) + coalesce(tls, 0)) / 1000.0, 'FM999999990.000000'),
        to_char(greatest(waited, 0) / 1000.0, 'FM999999990.000000'))
$$;

-- How pg_net says what went wrong. pg_edge's own sentence is in edge.result(id).
create function edge_store.net_error(error_class text, error text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case error_class
        when 'dns' then 'Couldn''t resolve host name'
        when 'connect' then 'Couldn''t connect to server'
        when 'tls' then 'SSL connect error: ' || error
        else error
    end
$$;

-- Takes the locks that storing needs, so that waiting for them is told from what triggers do. Nobody's lock is waited for for long.
create function edge_store.net_lock() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
    lock table net.http_request_queue, net._http_response in row exclusive mode;
end
$$;

-- The next calls whose outcomes are to be stored, but for these: at most so many, with answers of so many bytes together, but at
-- least one. Hundreds of thousands may wait, so they are read in the order of the index.
create function edge_store.net_next(most integer, bytes bigint, but bigint[]) returns bigint[]
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
    select coalesce(array_agg(weighed.call_id order by weighed.call_id), '{}')
    from (
        select ended.call_id, sum(weight.bytes) over (order by ended.call_id) - weight.bytes as before
        from (
            select callback.call_id, callback.slot from edge_store.callback
            where callback.owner = 1 and callback.runs is null and callback.call_id <> all (but)
            order by callback.call_id limit most
        ) as ended
        cross join lateral (
            select coalesce(sum(coalesce(octet_length(response.body), 0) + coalesce(octet_length(response.headers), 0)), 0)
            from edge_store.response where response.call_id = ended.call_id and response.slot = ended.slot
        ) as weight (bytes)
    ) as weighed
    where weighed.before < net_next.bytes
$$;

-- What a collector has left that did not come to its end is counted from now on: of one that was taken up, the lock is still there.
create function edge_store.net_suspect() returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    update edge_store.callback set runs = 0
    where callback.owner = 1 and callback.runs is null and callback.xmax::text <> '0'
$$;

-- How often those were begun in vain that were begun least often of all that are counted, but for these; null where there is none.
create function edge_store.net_least_suspect(but bigint[]) returns smallint
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
    select min(callback.runs) from edge_store.callback
    where callback.owner = 1 and callback.runs is not null and callback.call_id <> all (but)
$$;

-- At most so many that were begun this often, but for these.
create function edge_store.net_begun(begun smallint, most integer, but bigint[]) returns bigint[]
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
    select coalesce(array_agg(waiting.call_id order by waiting.call_id), '{}')
    from (
        select callback.call_id from edge_store.callback
        where callback.owner = 1 and callback.runs = begun and callback.call_id <> all (but)
        order by callback.call_id limit most
    ) as waiting
$$;

-- Notes how often these were begun.
create function edge_store.net_note_begun(calls bigint[], begun smallint) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    update edge_store.callback set runs = begun where callback.owner = 1 and callback.call_id = any (calls)
$$;

-- Stores the outcomes of calls that have ended, and notes whose they are if they are kept for longer than their calls. Gives which
-- ones wait for somebody who holds their rows of the queue, or of what is noted of their ends. The plans must not depend on
-- statistics, which are always behind. Triggers that users wrote for pg_net rely on the search path of a session; they run in the
-- last statements alone, in which every name is whole.
create function edge_store.net_collect(wanted bigint[], outlives_call boolean) returns bigint[]
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    ids bigint[];
    slots smallint[];
    awaited bigint[];
    busy bigint[];
    answers net._http_response[];
begin
    ids := array(
        select callback.call_id from edge_store.callback
        where callback.owner = 1 and callback.call_id = any (wanted)
        order by callback.call_id for update skip locked);
    awaited := array(
        select queued.id from net.http_request_queue as queued where queued.id = any (ids) for update skip locked);
    -- Somebody is taking these out of the queue, and has not committed.
    busy := array(
        select queued.id from net.http_request_queue as queued where queued.id = any (ids) and queued.id <> all (awaited));
    -- And somebody holds what is noted of these. Not told of, they would be asked for again at once.
    busy := busy || array(
        select callback.call_id from edge_store.callback
        where callback.owner = 1 and callback.call_id = any (wanted) and callback.call_id <> all (ids));
    with taken as (
        delete from edge_store.callback
        where callback.owner = 1 and callback.call_id = any (ids) and callback.call_id <> all (busy)
        returning callback.call_id, callback.slot
    )
    select array_agg(taken.call_id), array_agg(taken.slot) into ids, slots from taken;
    if ids is null then
        return busy;
    end if;
    select array_agg(row(
        ended.id,
        case when answered then response.status_code end,
        case when answered then edge_store.content_type(response.headers) end,
        case when answered then edge_store.headers_json(response.headers) end,
        case when answered then nullif(edge_store.body_text(response.headers, response.body), '') end,
        timed_out,
        case
            when timed_out then format('Timeout of %s ms reached. %s', request.timeout_ms, edge_store.net_timings(
                took, response.dns_us, response.connect_us, response.tls_us,
                took - coalesce(response.dns_us, 0) - coalesce(response.connect_us, 0) - coalesce(response.tls_us, 0)))
            when not answered then edge_store.net_error(response.error_class, response.error)
        end,
        now()
    )::net._http_response order by ended.id) into answers
    from unnest(ids, slots) as ended (id, slot)
    join edge_store.request on request.id = ended.id and request.slot = ended.slot
    join edge_store.response on response.call_id = ended.id and response.slot = ended.slot
    cross join lateral (
        select
            response.error_class is null or response.error_class = 'http' as answered,
            coalesce(response.error_class in ('timeout', 'connect_timeout', 'first_byte_timeout'), false) as timed_out,
            -- What took more than half an hour does not fit into total_us.
            coalesce(nullif(response.total_us, 2147483647),
                (extract(epoch from response.finished_at - response.started_at) * 1000000)::bigint) as took
    ) as outcome
    -- Whoever took the request out of the queue awaits nothing.
    where response.state <> 'c' or ended.id = any (awaited);
    if outlives_call then
        insert into edge_store.net_owner (id, owner, stored_at)
        select answer.id, request.owner, answer.created
        from unnest(answers) as answer
        join unnest(ids, slots) as ended (id, slot) on ended.id = answer.id
        join edge_store.request on request.id = ended.id and request.slot = ended.slot
        on conflict do nothing;
    end if;
    perform set_config('search_path', (select setting.reset_val from pg_settings as setting where setting.name = 'search_path'), true);
    delete from net.http_request_queue as queued where queued.id operator(pg_catalog.=) any (awaited);
    insert into net._http_response select answer.* from pg_catalog.unnest(answers) as answer;
    return busy;
end
$$;

-- Passes over a call whose outcome cannot be stored, and writes down why. Its outcome stays in edge.result(id).
create function edge_store.net_pass_over(call_id bigint, sqlstate text, error text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    taken edge_store.callback;
begin
    select callback.* into taken from edge_store.callback
    where callback.owner = 1 and callback.call_id = net_pass_over.call_id for update;
    delete from edge_store.callback where callback.owner = 1 and callback.call_id = taken.call_id;
    insert into edge_store.callback_error (call_id, owner, function, at, slot, sqlstate, error)
    select taken.call_id, request.owner, 'edge_store.net_collect(bigint[], boolean)'::regprocedure, clock_timestamp(), taken.slot,
           net_pass_over.sqlstate, net_pass_over.error
    from edge_store.request where request.id = taken.call_id and request.slot = taken.slot;
end
$$;

-- Takes the request of a call out of the queue that was passed over, unless a trigger of a user's keeps it there.
create function edge_store.net_forget_request(call_id bigint) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('search_path', (select setting.reset_val from pg_settings as setting where setting.name = 'search_path'), true);
    delete from net.http_request_queue as queued
    where queued.id operator(pg_catalog.=) (
        select held.id from net.http_request_queue as held
        where held.id operator(pg_catalog.=) net_forget_request.call_id for update skip locked);
end
$$;

-- Forgets at most so many notes of whose a response was that is no longer there: the collector has just deleted it, or its owner
-- has. As long as a response is there its note stays, or its owner could not see what is still his.
create function edge_store.net_forget_owners(ttl interval, most integer) returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    gone integer;
    left_over bigint[];
begin
    left_over := array(
        select noted.id from edge_store.net_owner as noted
        where noted.stored_at < now() - ttl
          and not exists (select from net._http_response as response where response.id = noted.id)
        order by noted.stored_at limit most for update skip locked);
    delete from edge_store.net_owner where net_owner.id = any (left_over);
    get diagnostics gone = row_count;
    return gone;
end
$$;

-- Forgets at most so many responses that are older, and at most so many notes of whose they were. Gives the larger of both numbers:
-- where it is the most there may be, there may be more.
create function edge_store.net_expire(ttl interval, most integer) returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    gone integer;
    expired tid[];
begin
    expired := array(select old.ctid from net._http_response as old where old.created < now() - ttl
                     order by old.created limit most for update skip locked);
    perform set_config('search_path', (select setting.reset_val from pg_settings as setting where setting.name = 'search_path'), true);
    delete from net._http_response as response where response.ctid operator(pg_catalog.=) any (expired);
    get diagnostics gone = row_count;
    return greatest(gone, edge_store.net_forget_owners(ttl, most));
end
$$;

-- Rights --------------------------------------------------------------------------------------------------------------------

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

-- What each of them is ------------------------------------------------------------------------------------------------------

comment on schema net is 'What users of pg_net know, on top of pg_edge';
comment on table net.http_request_queue is 'Requests that have not ended, the caller''s own. A row that is inserted is sent after the commit, one that is deleted is not made';
comment on table net._http_response is 'What became of requests, the caller''s own: kept for pg_edge.net_ttl';
comment on function net.http_get(text, jsonb, jsonb, integer) is 'Queues a GET, which is sent once after the commit; gives the request''s id, which is also the call''s in edge';
comment on function net.http_post(text, jsonb, jsonb, jsonb, integer) is 'Queues a POST of a JSON body, which is sent once after the commit; gives the request''s id, which is also the call''s in edge';
comment on function net.http_delete(text, jsonb, jsonb, integer, jsonb) is 'Queues a DELETE, which is sent once after the commit; gives the request''s id, which is also the call''s in edge';
comment on function net._http_collect_response(bigint, boolean) is 'What became of a request; waits for it where async is false';
comment on function net.http_collect_response(bigint, boolean) is 'Deprecated: read net._http_response';
comment on function net._await_response(bigint) is 'Waits for the response to a request; false where there is no such request';
comment on function net.check_worker_is_up() is 'Raises an error where the dispatcher of pg_edge does not run';
comment on function net.wake() is 'Has the dispatcher of pg_edge look for work, after the commit; it never needs to be told';
comment on function net.worker_restart() is 'Reads the server''s settings anew; nothing has to be restarted';
comment on function net.wait_until_running() is 'Waits until the dispatcher of pg_edge runs';
comment on function net._urlencode_string(varchar) is 'A text percent-encoded, as part of a URL';
comment on function net._encode_url_with_params_array(text, text[]) is 'A checked URL with parameters that are encoded already';
comment on domain net.http_method is 'GET, POST or DELETE, in any case';
comment on type net.request_status is 'How far a request is';
comment on type net.http_response is 'An answer';
comment on type net.http_response_result is 'What became of a request, as net._http_collect_response gives it';
comment on function net._queue(text, text, jsonb, bytea, integer) is 'Queues a request; the trigger on net.http_request_queue calls it';
comment on function net._url(text, jsonb) is 'A checked URL with parameters';
comment on function net._json_headers(jsonb) is 'Headers that say that the body is JSON';
comment on table edge_store.net_owner is 'Whose responses those are that are kept for longer than their calls';
comment on function net._is_queued_here(bigint) is 'Whether the present transaction has made a request itself';
comment on function edge_store.net_cancel(bigint) is 'Cancels a request, whoever asks; the triggers on net.http_request_queue call it';
comment on function edge_store.net_is_visible(bigint) is 'Whether a request is the present role''s own; for the policies of schema net';
comment on function edge_store.net_worker_pid() is 'The dispatcher''s process, where there is one';
comment on function edge_store.net_queue_row() is 'Queues what is inserted into net.http_request_queue';
comment on function edge_store.net_cancel_rows() is 'Cancels what is deleted from net.http_request_queue';
comment on function edge_store.net_cancel_all() is 'Cancels all before net.http_request_queue is truncated';
comment on function edge_store.net_timings(bigint, integer, integer, integer, bigint) is 'How long the parts of an attempt took, in words';
comment on function edge_store.net_error(text, text) is 'What went wrong, in words that users of pg_net know';
comment on function edge_store.net_lock() is 'Takes the locks that storing needs; the collector calls it';
comment on function edge_store.net_next(integer, bigint, bigint[]) is 'The next outcomes to be stored; the collector calls it';
comment on function edge_store.net_suspect() is 'Has that counted from now on which an earlier collector did not bring to its end; the collector calls it';
comment on function edge_store.net_least_suspect(bigint[]) is 'How often those outcomes were taken up in vain that were so least often; the collector calls it';
comment on function edge_store.net_begun(smallint, integer, bigint[]) is 'Outcomes that were taken up so often; the collector calls it';
comment on function edge_store.net_note_begun(bigint[], smallint) is 'Notes how often outcomes were taken up; the collector calls it';
comment on function edge_store.net_collect(bigint[], boolean) is 'Stores outcomes; the collector calls it';
comment on function edge_store.net_pass_over(bigint, text, text) is 'Passes over an outcome that cannot be stored; the collector calls it';
comment on function edge_store.net_forget_request(bigint) is 'Takes a request out of the queue whose outcome was passed over; the collector calls it';
comment on function edge_store.net_forget_owners(interval, integer) is 'Forgets whose responses were that are gone; the collector calls it';
comment on function edge_store.net_expire(interval, integer) is 'Forgets old responses; the collector calls it';
