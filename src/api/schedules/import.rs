//! `edge.import_pg_cron`: taking over the jobs of pg_cron.
//!
//! When a job runs stays as it was: its dialect, its zone, and what pg_cron makes of changes of the clock. How it runs becomes
//! better: a missed run is made up for once, and a request that it sent by pg_net becomes a call, with its real outcome.

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::api::arguments;
use crate::api::schedules::take_over::{Wish, take_over};
use crate::error::Error;
use crate::store::datum::Text;
use crate::store::schedules::pg_cron;

/// Takes over jobs of pg_cron, or tells what that would do.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity, reason = "pgrx reads the column names out of the signature")]
fn import_pg_cron(
    pattern: default!(Option<Text>, "'%'"),
    dry_run: default!(Option<bool>, "true"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(jobid, i64),
            name!(jobname, String),
            name!(action, String),
            name!(kind, Option<String>),
            name!(schedule, String),
            name!(timezone, String),
            name!(target, String),
            name!(note, Option<String>),
            name!(owner, String),
        ),
    >,
    ErrorReport,
> {
    let pattern = arguments::required(pattern, "pattern")?.read("pattern")?;
    if !pg_cron::is_here()? {
        return Err(Error::NoPgCron.into());
    }
    let wish = if arguments::required(dry_run, "dry_run")? {
        Wish::DryRun
    } else if pg_cron::may_alter()? {
        Wish::InItsPlace
    } else {
        Wish::Beside
    };
    let mut rows = Vec::new();
    for job in pg_cron::jobs(&pattern)? {
        let told = take_over(&job, wish)?;
        let note = (!told.notes.is_empty()).then(|| told.notes.join("; "));
        let kind = told.kind.map(str::to_owned);
        rows.push((
            job.id,
            job.name,
            told.action.to_owned(),
            kind,
            told.schedule,
            job.timezone,
            told.target,
            note,
            job.owner,
        ));
    }
    Ok(TableIterator::new(rows))
}
