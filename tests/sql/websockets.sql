-- What a user types to talk over a websocket, and what he reads. Nobody listens at this address: what really is sent, other tests
-- see. Here everything is rolled back, so that nothing depends on how fast a dispatcher is.
\pset null '(null)'
create table orders (id int, state text);
create function on_room(message edge.ws_message) returns void language sql as $$ insert into public.orders values ((message.json->>'id')::int, 'heard') $$;
select edge.create_endpoint('fn', 'https://project.example.com/functions/v1', headers => '{"apikey": "${secret:key}"}');

begin;
select edge.ws_open('room', 'wss://chat.example.com/relay?room=a') as id \gset
select name, state, url, sent, received, reconnects, queued from edge.ws_connections;
select edge.ws_open('room', 'wss://chat.example.com/relay?room=a') = :id as nothing_changes;
select edge.ws_open('room', 'relay?room=b', '{"x-team": "blue"}', '{chat.v2,chat.v1}', 'on_room', '{"event": "heartbeat"}', '340 s', 'fn') = :id as replaced;
select url, endpoint, headers, subprotocols, on_message, heartbeat, max_age from edge.ws_connections;

-- Text, JSON, bytes; and from a trigger.
select edge.ws_send('room', 'hello') < edge.ws_send('room', '{"id": 1}'::jsonb) as in_order;
select edge.ws_send('room', '\x00ff'::bytea) > 0 as bytes_too;
create function broadcast() returns trigger language plpgsql as $$
begin
    perform edge.ws_send('room', jsonb_build_object('table', tg_table_name, 'type', tg_op, 'record', new));
    return new;
end $$;
create trigger broadcast after insert or update on orders for each row execute function broadcast();
insert into orders values (7, 'paid');
savepoint s;
insert into orders values (8, 'never told');
rollback to s;
select direction, connection, kind, data, data_bytes, json, state from edge.ws_messages order by id;
select queued from edge.ws_connections;

-- The end.
select edge.ws_close('room', 4000, 'good night'), edge.ws_close('room'), edge.ws_close('nobody');
select name, state from edge.ws_connections;
rollback;
select count(*) from edge.ws_messages;

-- What is refused.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
select edge.ws_send('room', 'hello');
select edge.ws_open('', 'wss://chat.example.com/');
select edge.ws_open('room', '');
select edge.ws_open('room', 'relay?room=a');
select edge.ws_open('room', 'ftp://chat.example.com/');
select edge.ws_open('room', 'wss://chat.example.com/#room');
select edge.ws_open('room', 'wss://ada:secret@chat.example.com/');
select edge.ws_open('room', 'wss://chat.example.com/?key=${secret:key}');
select edge.ws_open('room', 'wss://chat.example.com/', endpoint => 'fn');
select edge.ws_open('room', 'relay', endpoint => 'nowhere');
select edge.ws_open('room', 'wss://chat.example.com/', '{"Upgrade": "h2c"}');
select edge.ws_open('room', 'wss://chat.example.com/', '{"Sec-WebSocket-Protocol": "chat"}');
select edge.ws_open('room', 'wss://chat.example.com/', subprotocols => '{"chat v2"}');
select edge.ws_open('room', 'wss://chat.example.com/', subprotocols => '{chat,chat}');
select edge.ws_open('room', 'wss://chat.example.com/', on_message => 'now');
select edge.ws_open('room', 'wss://chat.example.com/', heartbeat => '');
select edge.ws_open('room', 'wss://chat.example.com/', max_age => '0.5 s');
select edge.ws_close('room', 1006);
select edge.ws_close('room', 1000, repeat('x', 124));
begin;
select edge.ws_open('room', 'wss://chat.example.com/') > 0 as opened;
savepoint s;
select edge.ws_send('room', repeat('x', 1048577));
rollback to s;
select edge.ws_send('room', null);
rollback to s;
select edge.ws_close('room');
select edge.ws_send('room', 'hello');
rollback;
