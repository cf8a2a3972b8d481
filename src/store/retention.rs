//! The ring of slots: moving on, and truncating what has been kept long enough.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use super::slots::SLOTS;
use super::statement::statements;
use super::table;
use super::time::{from_timestamp, to_timestamp};
use crate::error::Error;

/// The tables that are cut into slots.
const RINGED: [&str; 9] =
    ["request", "response", "event", "attempt", "replay", "callback_error", "ws_outgoing", "ws_incoming", "ws_outcome"];

/// Those of them that are about calls.
const OF_CALLS: [&str; 6] = ["request", "response", "event", "attempt", "replay", "callback_error"];

/// Where the ring stands.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    pub current: i16,
    pub advanced_at: SystemTime,
}

/// What moving on needs to know.
pub struct Advance {
    pub ring: Ring,
    pub retention: Duration,
    pub now: SystemTime,
    /// Unfinished calls that only memory knows of.
    pub in_memory: Vec<i64>,
    /// At or above this id there may be calls that nobody has looked at.
    pub floor: i64,
}

statements! {
    RING() = "select current_slot, advanced_at from edge_store.ring";

    // Each branch looks its calls up by key, so that the millions that stay behind cost nothing.
    CARRIED(INT2OID, INT8ARRAYOID, INT8OID, TIMESTAMPTZOID) = "
        select coalesce(array_agg(id), '{}')
        from (
            select id from edge_store.request where slot = $1 and id = any ($2)
            union
            select call_id from edge_store.deferred where slot = $1
            union
            select late.call_id
            from edge_store.late
            join edge_store.response on response.call_id = late.call_id and response.slot = $1
            where late.slot = $1 and response.finished_at > $4
            union
            select id from edge_store.request
            where slot = $1 and id >= $3
              and not exists (select from edge_store.response
                              where response.call_id = request.id and response.slot = $1)
        ) as carried (id)";

    // To lock a row leaves the trace that a run leaves which did not end. Where runs are counted, that trace says nothing.
    COUNT_CALLBACKS(INT2OID) = "
        update edge_store.callback set runs = 0
        where call_id = any (array(
            select call_id from edge_store.callback where slot = $1 and runs is null for update skip locked))";
    COUNT_HANDLINGS(INT2OID) = "
        update edge_store.ws_handling set runs = 0
        where message_id = any (array(
            select message_id from edge_store.ws_handling where slot = $1 and runs is null for update skip locked))";

    // A runner reads in the slot what it has taken: it waits for the tables, so nobody who has those may wait for its row.
    HOLD_CALLBACKS(INT2OID) = "select from edge_store.callback where slot = $1 for update nowait";
    HOLD_HANDLINGS(INT2OID) = "select from edge_store.ws_handling where slot = $1 for update nowait";

    MOVE_DEFERRED(INT2OID, INT2OID) = "update edge_store.deferred set slot = $2 where slot = $1";
    MOVE_CALLBACKS(INT2OID, INT2OID) = "update edge_store.callback set slot = $2 where slot = $1";
    MOVE_STREAMS(INT2OID, INT2OID) = "update edge_store.stream set slot = $2 where slot = $1";
    // Messages that have not been sent, of websockets that there are.
    CARRY_OUTGOING(INT2OID, INT2OID) = "
        update edge_store.ws_outgoing set slot = $2
        where slot = $1 and id = any (array(
            select message.id
            from edge_store.ws_connection as connection
            left join edge_store.ws_state as state on state.connection_id = connection.id
            join edge_store.ws_outgoing as message
                on message.slot = $1 and message.connection_id = connection.id and message.id >= coalesce(state.unsent_from, 0)
            where not exists (
                select from edge_store.ws_outcome as outcome where outcome.slot = $1 and outcome.message_id = message.id)))";

    // Messages that have not been given to their function.
    CARRY_INCOMING(INT2OID, INT2OID) = "
        update edge_store.ws_incoming as message set slot = $2
        from edge_store.ws_handling as handling
        where handling.slot = $1 and message.slot = $1
          and message.connection_id = handling.connection_id and message.id = handling.message_id";
    MOVE_HANDLINGS(INT2OID, INT2OID) = "update edge_store.ws_handling set slot = $2 where slot = $1";

    FORGET_LATE(INT2OID) = "delete from edge_store.late where slot = $1";
    ADVANCE(INT2OID, TIMESTAMPTZOID) = "update edge_store.ring set current_slot = $1, advanced_at = $2";

    HAS_OLD_KEYS(TIMESTAMPTZOID) = "select from edge_store.idempotency where noted_at < $1 limit 1";

    // One that a session is just taking anew is passed over.
    FORGET_KEYS(TIMESTAMPTZOID) = "
        delete from edge_store.idempotency
        where ctid = any (array(select ctid from edge_store.idempotency where noted_at < $1 for update skip locked))";
}

impl Ring {
    /// The slot that is truncated next and then filled.
    pub fn oldest(self) -> i16 {
        (self.current + 1) % SLOTS
    }

    /// When the ring is to move on.
    pub fn due_at(self, retention: Duration) -> SystemTime {
        self.advanced_at + retention / (SLOTS - 1).unsigned_abs().into()
    }
}

/// Reads where the ring stands.
pub fn ring() -> Result<Ring, Error> {
    Spi::connect(|client| {
        let row = RING.with(|statement| statement.read(client, &[]))?.first();
        let (Some(current), Some(advanced_at)) = (row.get(1)?, row.get::<TimestampWithTimeZone>(2)?) else {
            return Err(Error::Malformed);
        };
        Ok(Ring { current, advanced_at: from_timestamp(advanced_at) })
    })
}

thread_local! {
    /// The current slot as this session read it, and until when it believes so.
    static BELIEVED: Cell<Option<(i16, Instant)>> = const { Cell::new(None) };
}

/// How long a session believes what it read of the ring, which moves on once a day.
const BELIEF: Duration = Duration::from_secs(1);

/// The slot that new calls go into, or the one that they went into a second ago.
///
/// Any slot would do for a row: retention cannot lock a slot while a transaction that wrote into it runs, and looks at
/// every row of the slot that it truncates. An older one only costs the call a row in `edge_store.late`.
pub fn recent_slot() -> Result<i16, Error> {
    let now = Instant::now();
    if let Some((slot, until)) = BELIEVED.get()
        && now < until
    {
        return Ok(slot);
    }
    let columns = [(c"current_slot", pg_sys::INT2OID), (c"advanced_at", pg_sys::TIMESTAMPTZOID)];
    let [slot, _] = table::only_row(c"ring", columns)?;
    let slot = slot.map(|slot| slot.value() as i16).ok_or(Error::Malformed)?;
    BELIEVED.set(Some((slot, now + BELIEF)));
    Ok(slot)
}

/// Has each run be counted, from the first on, of what waits for its function in the oldest slot. To be committed before
/// [`advance`], which locks those rows.
pub fn count_runs(ring: Ring) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        for statement in [&COUNT_CALLBACKS, &COUNT_HANDLINGS] {
            statement.with(|statement| statement.write(client, &[ring.oldest().into()]))?;
        }
        Ok(())
    })
}

/// Truncates the oldest slot and makes it the current one. Its unfinished calls, and those that finished too
/// recently, move into the slot that was current.
///
/// Fails at once with "lock not available" when somebody reads the slot, or runs what waits in it.
pub fn advance(step: &Advance) -> Result<(), Error> {
    let (oldest, current) = (step.ring.oldest(), step.ring.current);
    let tables = RINGED.map(|table| format!("edge_store.{table}_{oldest}")).join(", ");
    let kept_since = step.now.checked_sub(step.retention).unwrap_or(SystemTime::UNIX_EPOCH);
    Spi::connect_mut(|client| {
        client.update(&format!("lock table {tables} in access exclusive mode nowait"), None, &[])?;
        for statement in [&HOLD_CALLBACKS, &HOLD_HANDLINGS] {
            statement.with(|statement| statement.write(client, &[oldest.into()]))?;
        }
        let carried = CARRIED
            .with(|statement| {
                let args =
                    [oldest.into(), step.in_memory.clone().into(), step.floor.into(), to_timestamp(kept_since).into()];
                statement.write(client, &args)
            })?
            .first()
            .get_one::<Vec<i64>>()?
            .unwrap_or_default();
        if !carried.is_empty() {
            for table in OF_CALLS {
                let id = if table == "request" { "id" } else { "call_id" };
                // Changing the slot moves the row into its partition.
                let sql = format!("update edge_store.{table} set slot = $1 where slot = $2 and {id} = any ($3)");
                client.update(&sql, None, &[current.into(), oldest.into(), carried.clone().into()])?;
            }
            MOVE_DEFERRED.with(|statement| statement.write(client, &[oldest.into(), current.into()]))?;
            MOVE_CALLBACKS.with(|statement| statement.write(client, &[oldest.into(), current.into()]))?;
            MOVE_STREAMS.with(|statement| statement.write(client, &[oldest.into(), current.into()]))?;
        }
        carry_messages(client, oldest, current)?;
        client.update(&format!("truncate {tables}"), None, &[])?;
        FORGET_LATE.with(|statement| statement.write(client, &[oldest.into()]))?;
        ADVANCE.with(|statement| statement.write(client, &[oldest.into(), to_timestamp(step.now).into()]))?;
        Ok(())
    })
}

/// Moves messages that are not done with.
fn carry_messages(client: &mut SpiClient<'_>, oldest: i16, current: i16) -> Result<(), Error> {
    for statement in [&CARRY_OUTGOING, &CARRY_INCOMING, &MOVE_HANDLINGS] {
        statement.with(|statement| statement.write(client, &[oldest.into(), current.into()]))?;
    }
    Ok(())
}

/// Forgets idempotency keys noted before `horizon`. Where there are none it costs no transaction id.
pub fn forget_keys(horizon: SystemTime) -> Result<(), Error> {
    let any = Spi::connect(|client| {
        let rows = HAS_OLD_KEYS.with(|statement| statement.read(client, &[to_timestamp(horizon).into()]))?;
        Ok::<_, Error>(!rows.is_empty())
    })?;
    if !any {
        return Ok(());
    }
    Spi::connect_mut(|client| {
        FORGET_KEYS.with(|statement| statement.write(client, &[to_timestamp(horizon).into()]))?;
        Ok(())
    })
}
