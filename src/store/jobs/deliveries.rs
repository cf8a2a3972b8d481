//! The deliveries of jobs, as the dispatcher writes them. It calls nothing here for a row that is not its own for the length
//! of the transaction: one that it has taken (`hold`), or is about to make.

use std::time::{Duration, SystemTime};

use pgrx::prelude::*;

use super::hold::Answer;
use crate::domain::call::CallId;
use crate::error::Error;
use crate::store::datum::small;
use crate::store::scan::{Queued, columns, queued};
use crate::store::statement::{column, statements};
use crate::store::time::{micros, to_timestamp};

/// A job that goes on the wire.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub call: CallId,
    pub number: u32,
    /// The hash of its token.
    pub token: Vec<u8>,
    pub sent_at: SystemTime,
    pub lease_until: SystemTime,
    /// How long a sign of life counts.
    pub grace: Duration,
}

/// A job that its function has accepted.
#[derive(Clone, Debug)]
pub struct Acceptance {
    pub call: CallId,
    pub at: SystemTime,
    pub lease_until: SystemTime,
    pub answer: Answer,
}

statements! {
    DELIVER(INT8OID, INT2OID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID) = "
        insert into edge_store.job (call_id, number, token, sent_at, lease_until, grace_ms)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (call_id) do update
            set number = excluded.number, token = excluded.token, sent_at = excluded.sent_at,
                lease_until = excluded.lease_until, grace_ms = excluded.grace_ms, heard_at = null,
                former_token = coalesce(job.token, job.former_token)";

    ACCEPT(INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, INT2OID, TEXTOID,
           TEXTOID, TEXTOID) = "
        update edge_store.job
        set accepted_at = $2, lease_until = $3, started_at = $4, dns_us = $5, connect_us = $6, tls_us = $7, first_byte_us = $8,
            total_us = $9, status_code = $10, remote = $11, headers = $12, url = $13
        where call_id = $1";

    // All but how far it was.
    END_DELIVERY(INT8ARRAYOID) = "
        update edge_store.job
        set former_token = coalesce(token, former_token), token = null, accepted_at = null, heard_at = null, started_at = null, dns_us = null, connect_us = null,
            tls_us = null, first_byte_us = null, total_us = null, status_code = null, remote = null, headers = null, url = null,
            said = null, result = null, error = null
        where call_id = any ($1)";

    FORGET(INT8ARRAYOID) = "
        with refused as (delete from edge_store.refused_report where call_id = any ($1))
        delete from edge_store.job where call_id = any ($1)";

    FORGET_ENDED(INT8ARRAYOID) = "
        with ended as (
            delete from edge_store.job where call_id = any (array(
                select call_id from edge_store.job
                where call_id = any ($1) and exists (select from edge_store.response where response.call_id = job.call_id)
                for update skip locked))
            returning call_id)
        delete from edge_store.refused_report as refused using ended where refused.call_id = ended.call_id";

    // What was not committed when its job was forgotten.
    FORGET_REFUSED() = "
        delete from edge_store.refused_report as refused
        where not exists (select from edge_store.job where job.call_id = refused.call_id)";

    SAID() = "select call_id from edge_store.job where said is not null";

    ACCEPTED(INT8ARRAYOID) = "
        select call_id from edge_store.job where call_id = any ($1) and accepted_at is not null";

    PUT_OFF(INT8ARRAYOID) = concat!("
        select ", columns!(), ", waiting.tries, waiting.interruptions
        from edge_store.deferred as waiting
        join edge_store.request on request.id = waiting.call_id and request.slot = waiting.slot
        where waiting.call_id = any ($1)");
}

/// Notes that a job is sent.
pub fn deliver(delivery: &NewDelivery) -> Result<(), Error> {
    let grace = i32::try_from(delivery.grace.as_millis()).unwrap_or(i32::MAX);
    Spi::connect_mut(|client| {
        let args = [
            delivery.call.0.into(),
            small(delivery.number).into(),
            delivery.token.clone().into(),
            to_timestamp(delivery.sent_at).into(),
            to_timestamp(delivery.lease_until).into(),
            grace.into(),
        ];
        DELIVER.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Notes that a function has accepted its job.
pub fn accept(acceptance: &Acceptance) -> Result<(), Error> {
    let Answer { trace, headers, url } = &acceptance.answer;
    let timings = &trace.timings;
    Spi::connect_mut(|client| {
        let args = [
            acceptance.call.0.into(),
            to_timestamp(acceptance.at).into(),
            to_timestamp(acceptance.lease_until).into(),
            trace.started_at.map(to_timestamp).into(),
            timings.dns.map(micros).into(),
            timings.connect.map(micros).into(),
            timings.tls.map(micros).into(),
            timings.first_byte.map(micros).into(),
            micros(timings.total).into(),
            trace.status.and_then(|status| i16::try_from(status).ok()).into(),
            trace.remote.as_deref().into(),
            headers.as_deref().into(),
            url.as_deref().into(),
        ];
        ACCEPT.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Makes the tokens of deliveries worthless that are over. The jobs are not.
pub fn end_deliveries(calls: &[CallId]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        END_DELIVERY.with(|statement| statement.write(client, &[column(calls, |call| call.0).into()]))?;
        Ok(())
    })
}

/// Forgets jobs that have ended.
pub fn forget(calls: &[CallId]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        FORGET.with(|statement| statement.write(client, &[column(calls, |call| call.0).into()]))?;
        Ok(())
    })
}

/// Forgets those of these jobs whose calls have ended otherwise.
pub fn forget_ended(calls: Vec<i64>) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        FORGET_ENDED.with(|statement| statement.write(client, &[calls.into()]))?;
        Ok(())
    })
}

/// Forgets late reports on jobs that are forgotten.
pub fn forget_refused() -> Result<(), Error> {
    Spi::connect_mut(|client| {
        FORGET_REFUSED.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}

/// The jobs of which something was said that is not dealt with.
pub fn said() -> Result<Vec<i64>, Error> {
    Spi::connect(|client| {
        let rows = SAID.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| row.get(1)?.ok_or(Error::Malformed)).collect()
    })
}

/// Those of these calls that are with a function that has accepted them.
pub fn accepted(calls: Vec<i64>) -> Result<Vec<i64>, Error> {
    Spi::connect(|client| {
        let rows = ACCEPTED.with(|statement| statement.read(client, &[calls.into()]))?;
        rows.map(|row| row.get(1)?.ok_or(Error::Malformed)).collect()
    })
}

/// Those of these calls that are put off.
pub fn put_off(calls: Vec<i64>) -> Result<Vec<Queued>, Error> {
    Spi::connect(|client| {
        PUT_OFF.with(|statement| statement.read(client, &[calls.into()]))?.map(|row| queued(&row)).collect()
    })
}
