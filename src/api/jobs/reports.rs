//! What a job's function reports: `edge.complete`, `edge.fail`, `edge.heartbeat`. Whoever has the token may, whatever his role.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use sha2::{Digest, Sha256};

use crate::api::arguments::required;
use crate::domain::job::{Again, LARGEST_PROGRESS, LONGEST_ERROR, in_ascii};
use crate::domain::text;
use crate::error::Error;
use crate::guc::Settings;
use crate::store::datum::{Jsonb, Text};
use crate::store::jobs::reports::{self, Report, Taken};
use crate::store::owner;
use crate::worker::latch::my_database;
use crate::worker::wake::{self, reason};

/// Says that a job is done.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn complete(
    id: Option<i64>,
    token: Option<Text>,
    result: default!(Option<Jsonb>, "NULL"),
) -> Result<bool, ErrorReport> {
    let most = Settings::current().max_response_bytes;
    // Read here, so that what could not be read later is refused now.
    let size = result.map(|result| result.read("result")).transpose()?.map_or(0, |text| text.len());
    if size > most {
        return Err(Error::ReportTooLarge { what: "the result", size, limit: most }.into());
    }
    let taken = report(id, token, |report| reports::complete(report, result))?;
    Ok(ends(taken))
}

/// Says that a job has failed.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn fail(
    id: Option<i64>,
    token: Option<Text>,
    error: Option<Text>,
    retry: default!(Option<bool>, "true"),
) -> Result<bool, ErrorReport> {
    let error = text::beginning(&required(error, "error")?.read("error")?, LONGEST_ERROR);
    let again = if required(retry, "retry")? { Again::Welcome } else { Again::InVain };
    let taken = report(id, token, |report| reports::fail(report, &error, again))?;
    Ok(ends(taken))
}

/// Says that a job is being worked on, and how far it is.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn heartbeat(
    id: Option<i64>,
    token: Option<Text>,
    progress: default!(Option<Jsonb>, "NULL"),
) -> Result<bool, ErrorReport> {
    if let Some(progress) = progress {
        let size = in_ascii(&progress.read("progress")?).len();
        if size > LARGEST_PROGRESS {
            let (what, limit) = ("progress, as it is sent in a header,", LARGEST_PROGRESS);
            return Err(Error::ReportTooLarge { what, size, limit }.into());
        }
    }
    Ok(report(id, token, |report| reports::heartbeat(report, progress))? == Taken::Yes)
}

/// Hands a report on, with the token's hash in the place of the token.
fn report(
    id: Option<i64>,
    token: Option<Text>,
    write: impl FnOnce(Report<'_>) -> Result<Taken, Error>,
) -> Result<Taken, Error> {
    let call = required(id, "id")?;
    let token = Sha256::digest(required(token, "token")?.read("token")?.as_bytes());
    owner::acting(|| write(Report { call, token: token.as_slice(), database: my_database() }))
}

/// A report that ends a delivery is something for the dispatcher.
fn ends(taken: Taken) -> bool {
    if taken == Taken::Yes {
        wake::at_commit(reason::JOBS);
    }
    taken == Taken::Yes
}
