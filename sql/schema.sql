-- The two schemas, the tables behind them, and the types that users see.
--
-- "edge" holds only what users call and read. "edge_store" holds the tables; nobody has rights on it, so that every
-- access goes through the functions and views of "edge".
--
-- The big tables are append-only and cut into a ring of partitions, one slot each. New rows go into the current slot;
-- retention moves on by truncating the oldest. No row of them is ever deleted, and none
-- updated but for the few that retention carries over, so none is ever vacuumed.

-- The views keep the operators and functions that they find now. Whoever may create objects in a schema of the installing
-- session's search path could put his own there, and they would run as everybody who reads a view.
set local search_path = pg_catalog, pg_temp;

create schema edge;
create schema edge_store;

-- Ids must be handed out one by one: the dispatcher's cursor relies on an id being younger than its owner's
-- transaction id (see src/domain/cursor.rs), which a per-session cache of ids would break.
create sequence edge_store.call_id cache 1;

create table edge_store.request (
    id              bigint      not null,
    queued_at       timestamptz not null,
    owner           oid         not null,
    timeout_ms      integer,
    slot            smallint    not null,
    max_attempts    smallint,
    method          text        not null,
    -- Of a call to a named endpoint it may be a path, which follows the endpoint's base.
    url             text        not null,
    endpoint        text,
    headers         text,
    body            bytea,
    idempotency_key text,
    metadata        jsonb,
    run_at          timestamptz,
    -- A function; or 1, which is none: the outcome is stored by the collector of pg_edge_net.
    on_complete     oid,
    replay_of       bigint,
    -- How its answer is to be read event by event: sse, ndjson, raw or auto. Null where it is a body.
    stream          text,
    -- Of a background job: how long a delivery may take until the function has reported, and how long it may be silent.
    deadline_ms     integer,
    heartbeat_ms    integer,
    -- Of a call whose body is a list of items: how often items of it have come back before.
    round           smallint,
    primary key (id, slot)
) partition by list (slot);

create table edge_store.response (
    call_id         bigint      not null,
    started_at      timestamptz,
    finished_at     timestamptz not null,
    dns_us          integer,
    connect_us      integer,
    tls_us          integer,
    first_byte_us   integer,
    total_us        integer,
    slot            smallint    not null,
    status_code     smallint,
    attempts        smallint    not null,
    state           "char"      not null,
    remote          text,
    headers         text,
    body            bytea,
    error_class     text,
    error           text,
    -- Of a call to a named endpoint: what its path came to.
    url             text,
    -- Of an answer that came event by event.
    events          bigint,
    dialect         text,
    usage           jsonb,
    primary key (call_id, slot)
) partition by list (slot);

-- The events of streamed answers. Small ones that were stored together share a row, which is about the last of them. What is
-- called before is of those before it, in their order: null where there are none, and where all have what the last one has.
create table edge_store.event (
    call_id         bigint      not null,
    -- Without gaps from 1 within a call.
    seq             bigint      not null,
    received_at     timestamptz not null,
    -- That of the call.
    slot            smallint    not null,
    -- Its type; null in a format that has none.
    event           text,
    data            text        not null,
    sse_id          text,
    received_at_before timestamptz[],
    event_before    text[],
    -- As many as there are others in the row.
    data_before     text[],
    sse_id_before   text[],
    primary key (call_id, seq, slot)
) partition by list (slot);

-- The tries before the last one; the last one stands in edge_store.response.
create table edge_store.attempt (
    call_id         bigint      not null,
    started_at      timestamptz,
    dns_us          integer,
    connect_us      integer,
    tls_us          integer,
    first_byte_us   integer,
    total_us        integer,
    slot            smallint    not null,
    number          smallint    not null,
    status_code     smallint,
    remote          text,
    error_class     text,
    error           text,
    retry_at        timestamptz
) partition by list (slot);

create table edge_store.replay (
    call_id         bigint      not null,
    replayed_as     bigint      not null,
    slot            smallint    not null,
    -- By edge.replay_dead, which replays a letter once; edge.replay does as often as it is told to.
    as_dead_letter  boolean     not null
) partition by list (slot);

create table edge_store.callback_error (
    call_id         bigint      not null,
    owner           oid         not null,
    function        oid         not null,
    at              timestamptz not null,
    slot            smallint    not null,
    sqlstate        text        not null,
    error           text        not null
) partition by list (slot);

-- One sequence for both directions, so that a conversation is read in the order of its ids. Handed out one by one, for the
-- same reason as the ids of calls.
create sequence edge_store.ws_message_id cache 1;

-- What sessions send over websockets, as it was committed: never changed, but for the slot when retention carries it over.
-- What became of it says edge_store.ws_outcome.
create table edge_store.ws_outgoing (
    id              bigint      not null,
    connection_id   bigint      not null,
    queued_at       timestamptz not null,
    owner           oid         not null,
    slot            smallint    not null,
    -- Text ('t'), text that is JSON ('j'), or bytes ('b').
    kind            "char"      not null,
    data            text,
    data_bytes      bytea,
    primary key (id, slot)
) partition by list (slot);

-- What peers sent over websockets. A text that the database cannot hold as one is kept as its bytes.
create table edge_store.ws_incoming (
    id              bigint      not null,
    connection_id   bigint      not null,
    received_at     timestamptz not null,
    owner           oid         not null,
    slot            smallint    not null,
    kind            "char"      not null,
    data            text,
    data_bytes      bytea,
    primary key (connection_id, id, slot)
) partition by list (slot);

-- What became of a message: it was sent ('s'), or can never be ('f'); or the function it was given to failed ('e').
create table edge_store.ws_outcome (
    message_id      bigint      not null,
    at              timestamptz not null,
    slot            smallint    not null,
    state           "char"      not null,
    error           text,
    primary key (message_id, slot)
) partition by list (slot);

-- Eight slots: the current one and seven that are kept, each a seventh of pg_edge.retention long.
do $$
begin
    for slot in 0..7 loop
        execute pg_catalog.format('create table edge_store.request_%1$s partition of edge_store.request for values in (%1$s)', slot);
        execute pg_catalog.format('create table edge_store.response_%1$s partition of edge_store.response for values in (%1$s)', slot);
        execute pg_catalog.format('create table edge_store.event_%1$s partition of edge_store.event for values in (%1$s)', slot);
        execute pg_catalog.format('create table edge_store.attempt_%1$s partition of edge_store.attempt for values in (%1$s)', slot);
        execute pg_catalog.format('create table edge_store.replay_%1$s partition of edge_store.replay for values in (%1$s)', slot);
        execute pg_catalog.format('create table edge_store.callback_error_%1$s partition of edge_store.callback_error for values in (%1$s)', slot);
        execute pg_catalog.format('create table edge_store.ws_outgoing_%1$s partition of edge_store.ws_outgoing for values in (%1$s)', slot);
        execute pg_catalog.format('create table edge_store.ws_incoming_%1$s partition of edge_store.ws_incoming for values in (%1$s)', slot);
        execute pg_catalog.format('create table edge_store.ws_outcome_%1$s partition of edge_store.ws_outcome for values in (%1$s)', slot);
    end loop;
end
$$;

-- What is read as it comes is to be stored as fast: the newer compression takes a tenth of the older one's time. Not every
-- server is built with it.
do $$
begin
    for slot in 0..7 loop
        execute pg_catalog.format(
            'alter table edge_store.event_%1$s alter column data set compression lz4, alter column data_before set compression lz4',
            slot);
    end loop;
exception when feature_not_supported then
    null;
end
$$;

create index on edge_store.attempt (call_id);
create index on edge_store.replay (call_id);
create unique index on edge_store.replay (call_id, slot) where as_dead_letter;
create index on edge_store.callback_error (call_id);
create index on edge_store.ws_outgoing (connection_id, id);
-- Who asks what became of a message knows its number alone, and not which way it went.
create index on edge_store.ws_incoming (id);
-- Costs a successful call nothing.
create index on edge_store.response (call_id) where state in ('f', 'e');

-- Where the ring stands. One row, updated once a slot.
create table edge_store.ring (
    current_slot    smallint    not null,
    advanced_at     timestamptz not null
);
insert into edge_store.ring values (0, pg_catalog.now());

-- Calls that wait for a time, or for room at their endpoint (parked_on).
create table edge_store.deferred (
    call_id         bigint      primary key,
    due_at          timestamptz not null,
    slot            smallint    not null,
    tries           smallint    not null,
    interruptions   smallint    not null,
    parked_on       text
);
create index on edge_store.deferred (due_at) where parked_on is null;
create index on edge_store.deferred (parked_on, (tries > interruptions), call_id) where parked_on is not null;

-- The calls that a dispatcher has on the wire, one row a batch. The newest row carries the cursor's floor.
create table edge_store.lease (
    batch           bigint      primary key,
    epoch           integer     not null,
    floor           bigint      not null,
    taken_at        timestamptz not null,
    call_ids        bigint[]    not null,
    numbers         smallint[]  not null,
    interruptions   smallint[]  not null
-- The lists are read at most once: compressing them cost more than writing all else of a batch.
) with (toast_tuple_target = 8160);

-- Calls that finished in a slot that is no longer the current one, so that retention can carry them over.
create table edge_store.late (
    slot            smallint    not null,
    call_id         bigint      not null
);
create index on edge_store.late (slot);

-- Answers that are being streamed, from their head on. The row goes when the call ends or is put off.
create table edge_store.stream (
    call_id         bigint      primary key,
    slot            smallint    not null,
    status_code     smallint    not null,
    headers         text
);

create table edge_store.cancellation (
    call_id         bigint      primary key
);

create table edge_store.idempotency (
    owner           oid         not null,
    key             text        not null,
    call_id         bigint      not null,
    fingerprint     bytea       not null,
    noted_at        timestamptz not null,
    primary key (owner, key)
);
create index on edge_store.idempotency (noted_at);

-- Callbacks that are to be run; the row is deleted in the transaction that runs it.
create table edge_store.callback (
    call_id         bigint      primary key,
    -- Whose; or 1, which is no role, for the collector of pg_edge_net.
    owner           oid         not null,
    function        oid         not null,
    slot            smallint    not null,
    -- How often it was begun. Null as long as that is not counted: the first run of all leaves its trace in xmax alone.
    runs            smallint
);
create index on edge_store.callback (owner, call_id);

-- Named endpoints. What is null is left to the profile, and then to the settings.
create table edge_store.endpoint (
    name                text        primary key,
    base_url            text        not null,
    headers             text,
    profile             text        not null,
    retry               jsonb,
    timeout_ms          integer,
    connect_timeout_ms  integer,
    max_concurrency     integer,
    max_rate            double precision,
    max_request_bytes   integer,
    max_response_bytes  integer,
    signing_secrets     text[],
    monthly_quota       bigint,
    quota_action        text        not null,
    max_redirects       smallint    not null,
    client_certificate  text,
    client_key          text,
    enabled             boolean     not null default true,
    note                text,
    created_at          timestamptz not null,
    updated_at          timestamptz not null
);
select pg_catalog.pg_extension_config_dump('edge_store.endpoint', '');
-- Secrets, encrypted under a key of pg_edge.secret_key_file. pg_dump takes the rows along, since nobody can read them
-- without that file.
create table edge_store.secret (
    name            text        primary key,
    key_id          text        not null,
    nonce           bytea       not null,
    ciphertext      bytea       not null,
    created_at      timestamptz not null,
    updated_at      timestamptz not null
);
select pg_catalog.pg_extension_config_dump('edge_store.secret', '');

-- Schedules. What one runs follows from kind: a command of SQL ('s'), a function of an endpoint ('f'), or a URL ('h').
-- The owner is kept by name in a dump, since roles have other oids elsewhere.
create sequence edge_store.schedule_id;
select pg_catalog.pg_extension_config_dump('edge_store.schedule_id', '');
create table edge_store.schedule (
    id              bigint      primary key,
    owner           regrole     not null,
    name            text        not null,
    kind            "char"      not null,
    schedule        text        not null,
    timezone        text        not null,
    dst             text        not null,
    overlap         text        not null,
    catchup         text        not null,
    catchup_window  interval    not null,
    jitter          interval,
    starts_at       timestamptz,
    ends_at         timestamptz,
    active          boolean     not null,
    -- Why it is not active, and who said so.
    note            text,
    noted_by        text,
    -- The command, or the call as it will be queued.
    command         text,
    method          text,
    url             text,
    endpoint        text,
    headers         text,
    body            bytea,
    max_attempts    smallint,
    timeout_ms      integer,
    -- The slot that comes next, and when it is made of it what it is: the same moment, or up to jitter later. Null while
    -- it is not active, and where there is no next one.
    next_run_at     timestamptz,
    due_at          timestamptz,
    -- The last slot that was dealt with, run or not. The next one is sought after it.
    passed          timestamptz not null,
    -- When the last of the runs began that have ended, and how the last one ended.
    last_run_at     timestamptz,
    last_state      text,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    unique (owner, name)
) with (fillfactor = 80);
create index on edge_store.schedule (due_at) where due_at is not null;
-- Those of a role that is gone are left out: they would come with its bare number, which is another role's elsewhere.
select pg_catalog.pg_extension_config_dump('edge_store.schedule',
    'where exists (select from pg_catalog.pg_roles where oid operator(pg_catalog.=) owner)');

-- What became of the slots that came due, one row each. A row is written with the call of its slot, in one transaction,
-- and once more when the run has ended. Origin: the slot's time came ('t'), it had been missed ('m'), edge.run_now ('n') or
-- edge.backfill ('b').
create sequence edge_store.run_id;
create table edge_store.schedule_run (
    schedule_id     bigint      not null,
    scheduled_for   timestamptz not null,
    run_id          bigint      not null,
    owner           oid         not null,
    name            text        not null,
    origin          "char"      not null,
    -- waiting: behind another run or for a process of its own; running: its call is queued, or its command is run. The
    -- others are ends: succeeded, failed, cancelled, expired, truncated, skipped.
    state           text        not null,
    call_id         bigint,
    started_at      timestamptz,
    finished_at     timestamptz,
    -- Of a command.
    pid             integer,
    attempts        smallint,
    retry_at        timestamptz,
    rows            bigint,
    sqlstate        text,
    -- Why it failed, or why it was skipped.
    error           text,
    -- Somebody wants it to end.
    cancel_asked    boolean     not null default false,
    -- How many slots in a row this one stands for.
    slots           bigint      not null default 1,
    primary key (schedule_id, scheduled_for)
);
create index on edge_store.schedule_run (schedule_id, run_id) where finished_at is null;
create index on edge_store.schedule_run (call_id) where finished_at is null and call_id is not null;
create index on edge_store.schedule_run (schedule_id, run_id) where finished_at is null and call_id is null;
create index on edge_store.schedule_run (run_id)
    where finished_at is null and call_id is null and (state = 'running' or cancel_asked or retry_at is not null);
create index on edge_store.schedule_run (finished_at) where finished_at is not null;

-- Websocket connections as they are wanted. Only sessions write here: a dispatcher that waited for the lock of one would
-- keep all others waiting.
create sequence edge_store.ws_connection_id;
select pg_catalog.pg_extension_config_dump('edge_store.ws_connection_id', '');
create table edge_store.ws_connection (
    id              bigint      primary key,
    owner           regrole     not null,
    name            text        not null,
    -- Of a connection by a named endpoint it may be a path, which follows the endpoint's base.
    url             text        not null,
    endpoint        text,
    headers         text,
    subprotocols    text[],
    -- As regprocedure writes it: a column of that type would keep pg_upgrade from running, and the number of a function is another
    -- one after it. It is run only while it belongs to whom it belonged to then: else whoever may make functions in its schema
    -- could put one of his own in the place of one that was dropped.
    on_message      text,
    on_message_of   regrole,
    heartbeat       text,
    max_age         interval,
    -- Rises with each edge.ws_open and edge.ws_close.
    revision        bigint      not null,
    wanted          boolean     not null,
    -- What is to be said when it is not wanted any more.
    close_code      integer,
    close_reason    text,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    unique (owner, name)
);
select pg_catalog.pg_extension_config_dump('edge_store.ws_connection',
    'where exists (select from pg_catalog.pg_roles where oid operator(pg_catalog.=) owner)');

-- How they are. Only dispatchers write here.
create table edge_store.ws_state (
    connection_id   bigint      primary key,
    -- That of the wish which this is about.
    revision        bigint      not null,
    -- connecting, open, waiting (for the next try), closing, closed, failed.
    state           text        not null,
    opened_at       timestamptz,
    next_try_at     timestamptz,
    last_error      text,
    handshake_status smallint,
    subprotocol     text,
    close_code      integer,
    close_reason    text,
    sent            bigint      not null default 0,
    received        bigint      not null default 0,
    reconnects      bigint      not null default 0,
    -- Below this id, every message of it has been sent, or never will be.
    unsent_from     bigint      not null default 0
) with (fillfactor = 50);

-- Messages that are to be given to the function of their connection; the row is deleted in the transaction that runs it.
create table edge_store.ws_handling (
    message_id      bigint      primary key,
    connection_id   bigint      not null,
    owner           oid         not null,
    slot            smallint    not null,
    -- As in edge_store.callback.
    runs            smallint
);
create index on edge_store.ws_handling (owner, message_id);

-- One row: who this database is, and what its dispatcher is told.
create table edge_store.control (
    database_id     uuid        not null,
    -- Where it is another one, this database is a copy: CREATE DATABASE … TEMPLATE copies the queue as well.
    database_oid    oid         not null,
    epoch           integer     not null,
    paused          boolean     not null,
    -- The timeline in which a dispatcher last ran: a promoted standby begins another one.
    timeline        integer,
    -- The number of edge.webhook(). Where it is another one, pg_upgrade has given other numbers to all functions.
    webhook_oid     oid
);
insert into edge_store.control
select pg_catalog.gen_random_uuid(), oid, 0, false
from pg_catalog.pg_database where datname operator(pg_catalog.=) pg_catalog.current_database();

-- Not even pg_read_all_data and pg_write_all_data reach into the tables: a row-level policy that nobody has written lets
-- nobody but their owner in. And where there is no key, a publication FOR ALL TABLES would forbid updates.
do $$
declare
    store record;
begin
    for store in
        select relation.oid::pg_catalog.regclass as name, not exists (
                   select from pg_catalog.pg_index
                   where indrelid operator(pg_catalog.=) relation.oid and indisprimary) as has_no_key
        from pg_catalog.pg_class as relation
        where relation.relnamespace operator(pg_catalog.=) 'edge_store'::pg_catalog.regnamespace
          and relation.relkind operator(pg_catalog.=) any ('{r,p}')
    loop
        execute pg_catalog.format('alter table %s enable row level security', store.name);
        if store.has_no_key then
            execute pg_catalog.format('alter table %s replica identity full', store.name);
        end if;
    end loop;
end
$$;

create type edge.response as (
    id              bigint,
    state           text,
    status_code     integer,
    headers         jsonb,
    content_type    text,
    body            text,
    body_bytes      bytea,
    json            jsonb,
    error_class     text,
    error           text,
    attempts        integer,
    queued_at       timestamptz,
    started_at      timestamptz,
    finished_at     timestamptz,
    duration        interval
);

create type edge.event as (
    call_id         bigint,
    seq             bigint,
    event           text,
    data            text,
    json            jsonb,
    sse_id          text,
    received_at     timestamptz
);

-- A message that came or went over a websocket.
create type edge.ws_message as (
    id              bigint,
    connection      text,
    direction       text,
    kind            text,
    data            text,
    data_bytes      bytea,
    json            jsonb,
    at              timestamptz,
    state           text,
    error           text,
    connection_id   bigint
);
