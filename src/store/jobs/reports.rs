//! What a job's function reports, as sessions write it: whoever has the token of the present delivery.
//!
//! What is compared are hashes, so that the time it takes tells nothing of the token. A row that a dispatcher deals with
//! just now is waited for, and looked at as it is then: the condition holds when the row is written, or nothing is.

use std::ffi::CStr;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;

use super::letter::Letter;
use crate::domain::job::Again;
use crate::error::Error;
use crate::store::datum::Jsonb;
use crate::store::queue::take_transaction_id;
use crate::store::statement::{Statement, statements};

/// What is written here, for errors.
const A_REPORT: &CStr = c"a report on a job of pg_edge";

/// Whether a report was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// The token is not that of the present delivery, or its lease has run out, or it was reported on before.
    No,
}

/// A report on the delivery of a call that has this token, of which this is the hash.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    pub call: i64,
    pub token: &'a [u8],
    /// In which it is made. The jobs of a copied database are those of the original.
    pub database: pg_sys::Oid,
}

statements! {
    COMPLETE(INT8OID, BYTEAOID, OIDOID, JSONBOID, TEXTOID) = "
        update edge_store.job set said = $5::\"char\", result = $4
        where call_id = $1 and token = $2 and said is null and lease_until > clock_timestamp()
          and exists (select from edge_store.control where database_oid = $3)
        returning call_id";

    FAIL(INT8OID, BYTEAOID, OIDOID, TEXTOID, TEXTOID) = "
        update edge_store.job set said = $5::\"char\", error = $4
        where call_id = $1 and token = $2 and said is null and lease_until > clock_timestamp()
          and exists (select from edge_store.control where database_oid = $3)
        returning call_id";

    HEARTBEAT(INT8OID, BYTEAOID, OIDOID, JSONBOID) = "
        update edge_store.job
        set heard_at = clock_timestamp(), progress = coalesce($4, progress),
            lease_until = greatest(lease_until, clock_timestamp() + grace_ms * interval '1 millisecond')
        where call_id = $1 and token = $2 and said is null and lease_until > clock_timestamp()
          and exists (select from edge_store.control where database_oid = $3)
        returning call_id";
}

/// The job is done.
pub fn complete(report: Report<'_>, result: Option<Jsonb>) -> Result<Taken, Error> {
    let said = Letter::Completed.text();
    let args = [report.call.into(), report.token.into(), report.database.into(), result.into(), said.into()];
    COMPLETE.with(|statement| write(statement, &args))
}

/// The delivery has failed.
pub fn fail(report: Report<'_>, error: &str, again: Again) -> Result<Taken, Error> {
    let said = Letter::Failed(again).text();
    let args = [report.call.into(), report.token.into(), report.database.into(), error.into(), said.into()];
    FAIL.with(|statement| write(statement, &args))
}

/// The job is being worked on.
pub fn heartbeat(report: Report<'_>, progress: Option<Jsonb>) -> Result<Taken, Error> {
    let args = [report.call.into(), report.token.into(), report.database.into(), progress.into()];
    HEARTBEAT.with(|statement| write(statement, &args))
}

fn write(statement: &Statement, args: &[DatumWithOid<'_>]) -> Result<Taken, Error> {
    take_transaction_id(A_REPORT);
    Spi::connect_mut(|client| {
        let rows = statement.write(client, args)?;
        Ok(if rows.is_empty() { Taken::No } else { Taken::Yes })
    })
}
