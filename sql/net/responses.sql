-- What is in schema net: what became of requests, and whether they are made.

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
