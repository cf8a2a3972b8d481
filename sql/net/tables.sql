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
