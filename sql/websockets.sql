-- Websockets and what went over them, as users read them. Each view shows a role its own rows only; superusers and members of
-- pg_monitor see all, but what is said is its owner's.

create view edge.ws_connections with (security_barrier) as
select
    connection.name,
    -- What a dispatcher has not seen yet is shown as what it will begin with.
    case
        when state.revision = connection.revision then state.state
        when connection.wanted then
            case when state.state in ('open', 'waiting') then state.state else 'connecting' end
        when state.state in ('connecting', 'open', 'waiting', 'closing') then 'closing'
        else 'closed'
    end as state,
    edge_store.websocket_url(connection.url, endpoint.base_url) as url,
    state.opened_at,
    state.last_error,
    -- Of one that is not wanted any more, what its peer is told; else what it said.
    case when connection.wanted then state.close_code else connection.close_code end as close_code,
    coalesce(state.sent, 0) as sent,
    coalesce(state.received, 0) as received,
    coalesce(state.reconnects, 0) as reconnects,
    connection.id,
    pg_catalog.pg_get_userbyid(connection.owner) as owner,
    state.handshake_status::integer as handshake_status,
    case when connection.wanted then state.close_reason else connection.close_reason end as close_reason,
    -- Some peers take credentials for one.
    case when reader.reads_all or connection.owner::oid = reader.role then state.subprotocol end as subprotocol,
    state.next_try_at,
    connection.endpoint,
    -- Few lie above the mark, which the planner cannot know: the offset has it look up the outcome of each, and not read all.
    (
        select count(*)
        from edge_store.ws_outgoing as message
        where message.connection_id = connection.id
          and message.id >= coalesce(state.unsent_from, 0)
          and not exists (select from edge_store.ws_outcome where ws_outcome.message_id = message.id and ws_outcome.slot = message.slot offset 0)
    ) as queued,
    edge_store.redacted_headers(connection.headers) as headers,
    case when reader.reads_all or connection.owner::oid = reader.role then connection.subprotocols end as subprotocols,
    connection.on_message,
    case when reader.reads_all or connection.owner::oid = reader.role then connection.heartbeat end as heartbeat,
    connection.max_age,
    connection.created_at,
    connection.updated_at
from edge_store.ws_connection as connection
left join edge_store.ws_state as state on state.connection_id = connection.id
left join edge_store.endpoint on endpoint.name = connection.endpoint
cross join edge_store.reader
where connection.owner::oid = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');

-- Whose a message is, its websocket says: so one role's are found by the keys, however many there are of others.
create view edge.ws_messages with (security_barrier) as
select
    message.id,
    connection.name as connection,
    'out'::text as direction,
    case message.kind when 't' then 'text' when 'j' then 'json' when 'b' then 'bytes' end as kind,
    case when reader.reads_all or connection.owner::oid = reader.role then message.data end as data,
    case when reader.reads_all or connection.owner::oid = reader.role then message.data_bytes end as data_bytes,
    case when reader.reads_all or connection.owner::oid = reader.role then edge_store.event_json(message.data) end as json,
    message.queued_at as at,
    case outcome.state when 's' then 'sent' when 'f' then 'failed' else 'queued' end as state,
    outcome.error,
    message.connection_id,
    pg_catalog.pg_get_userbyid(connection.owner) as owner,
    case outcome.state when 's' then outcome.at end as sent_at
from edge_store.ws_outgoing as message
join edge_store.ws_connection as connection on connection.id = message.connection_id
left join edge_store.ws_outcome as outcome on outcome.message_id = message.id and outcome.slot = message.slot
cross join edge_store.reader
where connection.owner::oid = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage')
union all
select
    message.id,
    connection.name,
    'in',
    case message.kind when 't' then 'text' when 'j' then 'json' when 'b' then 'bytes' end,
    case when reader.reads_all or connection.owner::oid = reader.role then message.data end,
    case when reader.reads_all or connection.owner::oid = reader.role then message.data_bytes end,
    case when reader.reads_all or connection.owner::oid = reader.role then edge_store.event_json(message.data) end,
    message.received_at,
    'received',
    outcome.error,
    message.connection_id,
    pg_catalog.pg_get_userbyid(connection.owner),
    null
from edge_store.ws_incoming as message
join edge_store.ws_connection as connection on connection.id = message.connection_id
left join edge_store.ws_outcome as outcome on outcome.message_id = message.id and outcome.slot = message.slot
cross join edge_store.reader
where connection.owner::oid = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');

-- Whoever opens websockets tells the dispatcher, but for those who restore a dump.
create function edge_store.sockets_came() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform edge_store.wake_for_sockets();
    return null;
end
$$;
create trigger wake after insert on edge_store.ws_connection for each statement execute function edge_store.sockets_came();
