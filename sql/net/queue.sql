-- What the triggers on the queue do.

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
