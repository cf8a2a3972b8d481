-- What is in schema net: how requests are made of SQL.

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
