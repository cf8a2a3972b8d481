//! What a new dispatcher finds of its predecessor.

use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use super::callbacks::GONE;
use super::statement::statements;
use crate::domain::call::CallId;
use crate::error::Error;

/// A call that was on the wire when its dispatcher ended.
#[derive(Clone, Debug)]
pub struct Interrupted {
    pub call: CallId,
    pub slot: i16,
    pub owner: pg_sys::Oid,
    pub on_complete: Option<pg_sys::Oid>,
    /// The number of the try.
    pub number: u32,
    /// How often it had been interrupted before.
    pub interruptions: u32,
    /// Of a call whose answer was to be streamed.
    pub stream: Option<Streaming>,
    /// Whether it is a background job, on which somebody may have reported.
    pub is_job: bool,
}

/// How far the answer of an interrupted call had come.
#[derive(Clone, Debug, Default)]
pub struct Streaming {
    /// How many events of it are stored.
    pub events: u64,
    pub status: Option<u16>,
    pub headers: Option<String>,
}

/// Where the predecessor stood.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Below this id, every call is done, deferred or leased.
    pub floor: i64,
    /// The highest batch number used.
    pub batch: i64,
}

statements! {
    STANDING() = "select coalesce(max(floor), 1), coalesce(max(batch), 0) from edge_store.lease";

    INTERRUPTED() = "
        select distinct on (request.id)
            request.id, request.slot, request.owner, request.on_complete, entry.number, entry.interruptions,
            request.stream is not null,
            case when request.stream is not null then (
                select coalesce(max(event.seq), 0) from edge_store.event
                where event.call_id = request.id and event.slot = request.slot)
            end,
            stream.status_code, stream.headers, request.deadline_ms is not null
        from edge_store.lease, unnest(lease.call_ids, lease.numbers, lease.interruptions)
                 as entry (call_id, number, interruptions)
        join edge_store.request on request.id = entry.call_id
        left join edge_store.stream on stream.call_id = request.id
        where not exists (select from edge_store.response
                          where response.call_id = request.id and response.slot = request.slot)
          and not exists (select from edge_store.deferred where deferred.call_id = request.id)
        order by request.id, entry.number desc";

    BECOME_A_DATABASE_OF_ITS_OWN(OIDOID) = "
        update edge_store.control set database_id = pg_catalog.gen_random_uuid(), database_oid = $1
        where database_oid <> $1
        returning true";

    // Rows older than the database's own came along with the copy; younger ones were queued here.
    LEAVE_CALLS_TO_THE_ORIGINAL(OIDOID) = "
        with birth as (select pg_catalog.age(xmin) as age from pg_catalog.pg_database where oid = $1),
             waiting as (delete from edge_store.deferred),
             noted as (delete from edge_store.callback),
             taken as (delete from edge_store.lease),
             streamed as (delete from edge_store.stream),
             -- One that a session of the copy has locked is of no use either: its call has ended.
             delivered as (delete from edge_store.job where call_id = any (array(
                 select call_id from edge_store.job for update skip locked))),
             counted as (delete from edge_store.usage),
             wanted as (
                 delete from edge_store.cancellation using birth where pg_catalog.age(cancellation.xmin) > birth.age)
        insert into edge_store.response (call_id, slot, state, attempts, finished_at, error_class, error)
        select id, slot, 'c', 0, pg_catalog.clock_timestamp(), 'cancelled',
               'this database is a copy of another one, which makes the call'
        from edge_store.request, birth
        where pg_catalog.age(request.xmin) > birth.age
          and not exists (select from edge_store.response
                          where response.call_id = request.id and response.slot = request.slot)";

    LEAVE_SCHEDULES_TO_THE_ORIGINAL(OIDOID) = "
        with birth as (select pg_catalog.age(xmin) as age from pg_catalog.pg_database where oid = $1),
             resting as (
                 update edge_store.schedule
                 set active = false, due_at = null, next_run_at = null, noted_by = 'pg_edge',
                     note = 'this database is a copy of another one, which runs it; edge.resume_schedule has it run here too'
                 from birth
                 where schedule.active and pg_catalog.age(schedule.xmin) > birth.age)
        update edge_store.schedule_run
        set state = 'cancelled', finished_at = pg_catalog.clock_timestamp(),
            error = 'this database is a copy of another one, in which the run takes place'
        from birth
        where finished_at is null and pg_catalog.age(schedule_run.xmin) > birth.age";

    // What the copy's wish is, no session of it has said. Messages that came and were not handled are the original's as well.
    LEAVE_SOCKETS_TO_THE_ORIGINAL(OIDOID) = "
        with birth as (select pg_catalog.age(xmin) as age from pg_catalog.pg_database where oid = $1),
             copied as (
                 select connection.id, connection.revision, connection.wanted from edge_store.ws_connection as connection, birth
                 where pg_catalog.age(connection.xmin) > birth.age),
             resting as (
                 update edge_store.ws_connection as connection
                 set wanted = false, revision = connection.revision + 1, close_code = null, close_reason = null
                 from copied where connection.id = copied.id and connection.wanted),
             handled as (
                 delete from edge_store.ws_handling using birth where pg_catalog.age(ws_handling.xmin) > birth.age),
             given_up as (
                 insert into edge_store.ws_outcome (message_id, at, slot, state, error)
                 select message.id, pg_catalog.clock_timestamp(), message.slot, 'f',
                        'this database is a copy of another one, which sends the message'
                 from edge_store.ws_outgoing as message, birth
                 where pg_catalog.age(message.xmin) > birth.age
                   and not exists (select from edge_store.ws_outcome as outcome
                                   where outcome.message_id = message.id and outcome.slot = message.slot))
        insert into edge_store.ws_state as state (connection_id, revision, state, last_error)
        select copied.id, copied.revision + copied.wanted::int, 'closed',
               'this database is a copy of another one, which has the connection; edge.ws_open opens it here too'
        from copied
        on conflict (connection_id) do update
            set revision = excluded.revision, state = excluded.state, last_error = excluded.last_error, opened_at = null,
                next_try_at = null, handshake_status = null, subprotocol = null, close_code = null, close_reason = null";

    FUNCTIONS_HAVE_OTHER_NUMBERS() = "
        update edge_store.control set webhook_oid = 'edge.webhook()'::pg_catalog.regprocedure::oid
        where webhook_oid is distinct from 'edge.webhook()'::pg_catalog.regprocedure::oid
        returning true";

    // Numbers below that of the first object of a user's are marks of ours.
    FORGET_FUNCTIONS_OF_CALLS(OIDOID) = "update edge_store.request set on_complete = $1 where on_complete >= 16384";
    FORGET_FUNCTIONS_OF_CALLBACKS(OIDOID) = "update edge_store.callback set function = $1 where function >= 16384";

    CLEAR_STREAMS() = "delete from edge_store.stream";

    CLEAR_LEASES() = "delete from edge_store.lease";
}

/// Where the predecessor stood.
pub fn standing() -> Result<Standing, Error> {
    Spi::connect(|client| {
        let row = STANDING.with(|statement| statement.read(client, &[]))?.first();
        let (Some(floor), Some(batch)) = (row.get(1)?, row.get(2)?) else { return Err(Error::Malformed) };
        Ok(Standing { floor, batch })
    })
}

/// The calls that were on the wire when the predecessor ended.
pub fn interrupted() -> Result<Vec<Interrupted>, Error> {
    Spi::connect(|client| {
        let rows = INTERRUPTED.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| {
            let count = |ordinal| row.get::<i16>(ordinal).map(|value| u32::from(value.unwrap_or(0).unsigned_abs()));
            Ok(Interrupted {
                call: CallId(row.get(1)?.ok_or(Error::Malformed)?),
                slot: row.get(2)?.ok_or(Error::Malformed)?,
                owner: row.get(3)?.ok_or(Error::Malformed)?,
                on_complete: row.get(4)?,
                number: count(5)?,
                interruptions: count(6)?,
                stream: streaming(&row)?,
                is_job: row.get(11)?.unwrap_or(false),
            })
        })
        .collect()
    })
}

fn streaming(row: &SpiHeapTupleData<'_>) -> Result<Option<Streaming>, Error> {
    if row.get::<bool>(7)? != Some(true) {
        return Ok(None);
    }
    Ok(Some(Streaming {
        events: row.get::<i64>(8)?.unwrap_or(0).unsigned_abs(),
        status: row.get::<i16>(9)?.map(i16::unsigned_abs),
        headers: row.get(10)?,
    }))
}

/// If this database is a copy of another one, which still makes the calls of the copied queue and runs the copied schedules,
/// ends the calls here, lets the schedules rest, closes the websockets, and takes
/// another name for the idempotency keys of its own.
pub fn leave_calls_to_the_original(database: pg_sys::Oid) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let is_copy =
            !BECOME_A_DATABASE_OF_ITS_OWN.with(|statement| statement.write(client, &[database.into()]))?.is_empty();
        if is_copy {
            LEAVE_CALLS_TO_THE_ORIGINAL.with(|statement| statement.write(client, &[database.into()]))?;
            LEAVE_SCHEDULES_TO_THE_ORIGINAL.with(|statement| statement.write(client, &[database.into()]))?;
            LEAVE_SOCKETS_TO_THE_ORIGINAL.with(|statement| statement.write(client, &[database.into()]))?;
        }
        Ok(())
    })
}

/// After `pg_upgrade` the number that a call has for its function is nobody's, or that of another function, which would be run
/// with the rights of the call's owner. So calls of before have a function that is gone.
pub fn forget_functions_of_before() -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let are_others = !FUNCTIONS_HAVE_OTHER_NUMBERS.with(|statement| statement.write(client, &[]))?.is_empty();
        if are_others {
            FORGET_FUNCTIONS_OF_CALLS.with(|statement| statement.write(client, &[GONE.into()]))?;
            FORGET_FUNCTIONS_OF_CALLBACKS.with(|statement| statement.write(client, &[GONE.into()]))?;
        }
        Ok(())
    })
}

/// Forgets all leases, and which answers were being streamed.
pub fn clear_standing() -> Result<(), Error> {
    Spi::connect_mut(|client| {
        CLEAR_LEASES.with(|statement| statement.write(client, &[]))?;
        CLEAR_STREAMS.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}
