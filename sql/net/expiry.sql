-- How responses are forgotten.

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
