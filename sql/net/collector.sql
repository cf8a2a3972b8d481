-- What the collector does: the outcomes of calls become responses.

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
