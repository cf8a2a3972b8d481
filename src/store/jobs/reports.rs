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
    /// The same was said before, and holds.
    Before,
    /// The token is not that of the present delivery, or its lease has run out, or it was reported on otherwise.
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

    COMPLETED(INT8OID, BYTEAOID, OIDOID, TEXTOID) = "
        select call_id from edge_store.job
        where call_id = $1 and token = $2 and said = $4::\"char\"
          and exists (select from edge_store.control where database_oid = $3)";

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

    // Of whoever has no token that was ever good nothing is noted.
    REFUSE(INT8OID, BYTEAOID, OIDOID, TEXTOID, INT8OID) = "
        insert into edge_store.refused_report (call_id, at, report, reason)
        select call_id, clock_timestamp(), $4,
               case when token is distinct from $2 then 'o' when said is not null then 's' else 'l' end
        from edge_store.job
        where call_id = $1 and (token = $2 or former_token = $2)
          and exists (select from edge_store.control where database_oid = $3)
          and (select count(*) from edge_store.refused_report as known where known.call_id = $1) < $5";
}

/// As many are noted of a job that are refused.
const MOST_REFUSED: i64 = 100;

/// The job is done. Whoever has not heard that he was heard may say it again: the first result is kept.
pub fn complete(report: Report<'_>, result: Option<Jsonb>) -> Result<Taken, Error> {
    let said = Letter::Completed.text();
    let args = [report.call.into(), report.token.into(), report.database.into(), result.into(), said.into()];
    let taken = COMPLETE.with(|statement| write(statement, &args))?;
    if taken == Taken::Yes {
        return Ok(taken);
    }
    let args = [report.call.into(), report.token.into(), report.database.into(), said.into()];
    // As a writing statement, which sees a report that was committed while this one waited for it.
    match COMPLETED.with(|statement| write(statement, &args))? {
        Taken::Yes => Ok(Taken::Before),
        no => noted(no, report, "complete"),
    }
}

/// The delivery has failed.
pub fn fail(report: Report<'_>, error: &str, again: Again) -> Result<Taken, Error> {
    let said = Letter::Failed(again).text();
    let args = [report.call.into(), report.token.into(), report.database.into(), error.into(), said.into()];
    noted(FAIL.with(|statement| write(statement, &args))?, report, "fail")
}

/// The job is being worked on.
pub fn heartbeat(report: Report<'_>, progress: Option<Jsonb>) -> Result<Taken, Error> {
    let args = [report.call.into(), report.token.into(), report.database.into(), progress.into()];
    noted(HEARTBEAT.with(|statement| write(statement, &args))?, report, "heartbeat")
}

fn write(statement: &Statement, args: &[DatumWithOid<'_>]) -> Result<Taken, Error> {
    take_transaction_id(A_REPORT);
    Spi::connect_mut(|client| {
        let rows = statement.write(client, args)?;
        Ok(if rows.is_empty() { Taken::No } else { Taken::Yes })
    })
}

/// Notes a report that was not taken, for the job's owner, where it was made with a token that was good once.
fn noted(taken: Taken, report: Report<'_>, what: &str) -> Result<Taken, Error> {
    if taken == Taken::No {
        let args = [report.call.into(), report.token.into(), report.database.into(), what.into(), MOST_REFUSED.into()];
        Spi::connect_mut(|client| REFUSE.with(|statement| statement.write(client, &args)).map(|_| ()))?;
    }
    Ok(taken)
}
