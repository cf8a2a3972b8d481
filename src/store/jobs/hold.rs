//! Taking the rows of jobs before anything is decided of them.
//!
//! What the row says holds until the running transaction ends: nobody else can write it meanwhile. A row that somebody else
//! has locked is passed over, so that no dispatcher ever waits for a session.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use super::letter::Letter;
use crate::domain::attempt::Timings;
use crate::domain::call::CallId;
use crate::domain::job::{Delivery, Said};
use crate::error::Error;
use crate::store::responses::Trace;
use crate::store::statement::{column, statements};
use crate::store::time::from_timestamp;

/// The rows of some jobs, as far as they could be had.
#[derive(Debug, Default)]
pub struct Held {
    rows: HashMap<CallId, Row>,
    locked: HashSet<CallId>,
}

/// The row of a job, which is ours until the transaction ends.
#[derive(Debug)]
pub struct Row {
    /// The latest delivery, if it is not over.
    pub delivery: Option<Delivery>,
    /// How far the job was said to be, as a text of JSON.
    pub progress: Option<String>,
    /// What the function answered that has accepted it.
    pub answer: Answer,
}

/// The answer by which a job was accepted.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub trace: Trace,
    pub headers: Option<String>,
    pub url: Option<String>,
}

statements! {
    HOLD(INT8ARRAYOID) = "
        select call_id, sent_at, accepted_at, heard_at, lease_until, said::text, error, progress::text,
               started_at, dns_us, connect_us, tls_us, first_byte_us, total_us, status_code, remote, headers, url,
               token is not null
        from edge_store.job where call_id = any ($1)
        for update skip locked";

    RESULT(INT8OID) = "select result::text from edge_store.job where call_id = $1";

    PRESENT(INT8ARRAYOID) = "select call_id from edge_store.job where call_id = any ($1)";
}

/// Takes the rows of these calls.
pub fn hold(calls: &[CallId]) -> Result<Held, Error> {
    let ids = || column(calls, |call| call.0);
    Spi::connect_mut(|client| {
        let found = HOLD.with(|statement| statement.write(client, &[ids().into()]))?;
        let rows = found.map(|found| row(&found)).collect::<Result<HashMap<_, _>, Error>>()?;
        if rows.len() == calls.len() {
            return Ok(Held { rows, ..Held::default() });
        }
        // Most of the others have no row yet. Rows are made by this process alone, so one that is there now was there then.
        let present = PRESENT.with(|statement| statement.write(client, &[ids().into()]))?;
        let present = present.map(|found| Ok(CallId(found.get(1)?.ok_or(Error::Malformed)?)));
        let present = present.collect::<Result<HashSet<_>, Error>>()?;
        let locked = present.into_iter().filter(|call| !rows.contains_key(call)).collect();
        Ok(Held { rows, locked })
    })
}

impl Held {
    /// The row of a call, if it has one and nobody else has it.
    pub fn row(&self, call: CallId) -> Option<&Row> {
        self.rows.get(&call)
    }

    /// Reads the result of a job that was completed; results are large, and nobody wants all of them at once.
    pub fn read_result(&mut self, call: CallId) -> Result<(), Error> {
        let said = self.rows.get_mut(&call).and_then(|row| row.delivery.as_mut()?.said.as_mut());
        let Some(Said::Completed(result)) = said else { return Ok(()) };
        // As a writing statement, which sees the row as it is now, and not as it was under an older snapshot.
        *result = Spi::connect_mut(|client| {
            let rows = RESULT.with(|statement| statement.write(client, &[call.0.into()]))?;
            Ok::<_, Error>(rows.first().get_one::<String>()?)
        })?;
        Ok(())
    }

    /// Whether somebody else is writing the row of a call.
    pub fn is_locked(&self, call: CallId) -> bool {
        self.locked.contains(&call)
    }
}

fn row(found: &SpiHeapTupleData<'_>) -> Result<(CallId, Row), Error> {
    let at = |ordinal| found.get::<TimestampWithTimeZone>(ordinal).map(|at| at.map(from_timestamp));
    // Whoever ends a delivery takes its token away.
    let has_token: bool = found.get(19)?.ok_or(Error::Malformed)?;
    let delivery = if has_token {
        Some(Delivery {
            sent_at: at(2)?.ok_or(Error::Malformed)?,
            accepted_at: at(3)?,
            heard_at: at(4)?,
            lease_until: at(5)?.ok_or(Error::Malformed)?,
            said: said(found.get(6)?, found.get(7)?)?,
        })
    } else {
        None
    };
    let answer = Answer { trace: trace(found, at(9)?)?, headers: found.get(17)?, url: found.get(18)? };
    Ok((CallId(found.get(1)?.ok_or(Error::Malformed)?), Row { delivery, progress: found.get(8)?, answer }))
}

fn said(letter: Option<String>, error: Option<String>) -> Result<Option<Said>, Error> {
    let letter = letter.map(|letter| Letter::parse(&letter).ok_or(Error::Malformed)).transpose()?;
    Ok(letter.map(|letter| letter.said(error)))
}

fn trace(found: &SpiHeapTupleData<'_>, started_at: Option<SystemTime>) -> Result<Trace, Error> {
    let took = |ordinal| {
        let micros = found.get::<i32>(ordinal)?;
        Ok::<_, Error>(micros.map(|micros| Duration::from_micros(u64::from(micros.unsigned_abs()))))
    };
    let timings = Timings {
        dns: took(10)?,
        connect: took(11)?,
        tls: took(12)?,
        first_byte: took(13)?,
        total: took(14)?.unwrap_or_default(),
    };
    let status = found.get::<i16>(15)?.map(i16::unsigned_abs);
    Ok(Trace { started_at, timings, remote: found.get(16)?, status, error_class: None, error: None })
}
