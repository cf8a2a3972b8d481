-- Background jobs: what is known of the latest delivery of each.

-- One row a job, from its first delivery to its end, with which it goes. Sessions write what a function reports, dispatchers
-- all else; a dispatcher touches only rows that it has locked, and never waits for the lock of one.
create table edge_store.job (
    call_id         bigint      primary key,
    -- The number of the delivery.
    number          smallint    not null,
    -- SHA-256 of what it was sent with. Null once the delivery is over. And that of the last delivery which is over.
    token           bytea,
    former_token    bytea,
    sent_at         timestamptz not null,
    -- Until then its token is good.
    lease_until     timestamptz not null,
    -- How long a sign of life counts, and when there was one.
    grace_ms        integer     not null,
    heard_at        timestamptz,
    -- What was last said of how far the job is. The next delivery is sent it.
    progress        jsonb,
    -- The function has accepted it. From here on: its answer.
    accepted_at     timestamptz,
    started_at      timestamptz,
    dns_us          integer,
    connect_us      integer,
    tls_us          integer,
    first_byte_us   integer,
    total_us        integer,
    status_code     smallint,
    remote          text,
    headers         text,
    url             text,
    -- How the function says that it has ended: completed ('c'), failed ('r'), failed for good ('f').
    said            "char"      check (said in ('c', 'r', 'f')),
    result          jsonb,
    error           text
) with (fillfactor = 50);
create index on edge_store.job (call_id) where said is not null;
-- Those that are delivered again and again, for edge.problems. Neither a first delivery nor a sign of life writes here.
create index on edge_store.job (call_id) where number >= 3;
alter table edge_store.job enable row level security;

-- What was reported on jobs too late, for those who look after them: with the token of a delivery that was over, or whose lease was.
-- Sessions only insert here, a hundred rows a job at most, so that whoever reports too late holds up nobody who is in time; the
-- dispatcher deletes what there is of a job with its row.
create table edge_store.refused_report (
    call_id         bigint      not null,
    at              timestamptz not null,
    -- complete, fail or heartbeat.
    report          text        not null,
    -- The lease had run out ('l'), it had been reported on ('s'), or there was another delivery by then, or the wait for one ('o').
    reason          "char"      not null
);
create index on edge_store.refused_report (call_id);
alter table edge_store.refused_report enable row level security;
-- Without a key, a publication FOR ALL TABLES would forbid to delete.
alter table edge_store.refused_report replica identity full;
