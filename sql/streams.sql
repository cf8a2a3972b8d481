-- Streamed answers, as users read them.

-- The events of streamed answers one by one, for the view below and for whoever looks after the tables. What a row tells of
-- the events before its last one comes out of its lists side by side, and is null beside the last.
create view edge_store.single_event as
select
    run.call_id,
    run.slot,
    run.seq,
    case when run.seq = run.last or run.has_one_type then run.event else run.event_before end as event,
    case when run.seq = run.last then run.data else run.data_before end as data,
    case when run.seq = run.last or run.has_one_id then run.sse_id else run.sse_id_before end as sse_id,
    coalesce(run.received_at_before, run.received_at) as received_at
from (
    select
        event.call_id,
        event.slot,
        event.seq as last,
        event.received_at,
        event.event,
        event.data,
        event.sse_id,
        event.event_before is null as has_one_type,
        event.sse_id_before is null as has_one_id,
        pg_catalog.generate_series(event.seq - coalesce(pg_catalog.cardinality(event.data_before), 0), event.seq) as seq,
        pg_catalog.unnest(event.received_at_before) as received_at_before,
        pg_catalog.unnest(event.event_before) as event_before,
        pg_catalog.unnest(event.data_before) as data_before,
        pg_catalog.unnest(event.sse_id_before) as sse_id_before
    from edge_store.event
) as run;

-- What an answer says is its owner's, as a body is: monitors see that events came, and when.
create view edge.events with (security_barrier) as
select
    event.call_id,
    event.seq,
    case when reader.reads_all or request.owner = reader.role then event.event end as event,
    case when reader.reads_all or request.owner = reader.role then event.data end as data,
    case when reader.reads_all or request.owner = reader.role then edge_store.event_json(event.data) end as json,
    case when reader.reads_all or request.owner = reader.role then event.sse_id end as sse_id,
    event.received_at
from edge_store.single_event as event
join edge_store.request on request.id = event.call_id and request.slot = event.slot
cross join edge_store.reader
where request.owner = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');
