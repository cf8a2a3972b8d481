//! `edge.import_pg_cron`: taking over the jobs of pg_cron.
//!
//! When a job runs stays as it was: its dialect, its zone, and what pg_cron makes of changes of the clock. How it runs becomes
//! better: a missed run is made up for once, and a request that it sent by pg_net becomes a call, with its real outcome.

use pgrx::datum::Interval;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::api::arguments::{self, viewer};
use crate::api::request::{self, Body, Checked, Target, Wanted};
use crate::api::schedules::options::{Clock, Options};
use crate::api::schedules::plan::{self, Written};
use crate::api::schedules::runs;
use crate::domain::redact;
use crate::domain::schedule::Dst;
use crate::domain::schedule::pg_cron::{self as cron, NetCall};
use crate::error::Error;
use crate::store::datum::{Jsonb, Text};
use crate::store::schedules::pg_cron::{self, Job, Place};
use crate::store::schedules::{self, CallKind, Of, Target as Runs};
use crate::store::{owner, syntax};

/// What became of a job.
struct Told {
    action: &'static str,
    kind: Option<&'static str>,
    schedule: String,
    target: String,
    notes: Vec<String>,
}

/// What somebody wants of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// To be told what would be done.
    DryRun,
    /// To have it done. The right to change jobs of pg_cron is another one.
    Import { may_alter: bool },
}

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
    } else {
        Wish::Import { may_alter: pg_cron::may_alter()? }
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

fn take_over(job: &Job, wish: Wish) -> Result<Told, Error> {
    let taken = cron::schedule(&job.schedule);
    let mut told = Told {
        action: "skipped",
        kind: None,
        schedule: taken.schedule,
        target: job.command.clone(),
        notes: Vec::new(),
    };
    let role = match in_the_way(job)? {
        Ok(role) => role,
        Err((action, why)) => {
            told.action = action;
            told.notes.push(why);
            return Ok(told);
        }
    };
    if let Some(ignored) = taken.ignored {
        told.notes.push(format!("pg_cron ignores what stands behind the schedule: {ignored}"));
    }
    if !job.has_access {
        let grant = format!("select edge.grant_access({})", quoted(&job.owner));
        told.notes.push(format!("role \"{}\" has no access: {grant}", job.owner));
    }
    // What is wrong with one job is told of it, and the others are taken over.
    if let Err(error) = import(job, role, wish, &mut told) {
        told.action = "skipped";
        told.notes.push(error.to_string());
    }
    Ok(told)
}

/// The role that the schedule would be of, or why there can be none.
#[allow(clippy::type_complexity, reason = "what is done about it, and why")]
fn in_the_way(job: &Job) -> Result<Result<pg_sys::Oid, (&'static str, String)>, Error> {
    if let Place::Elsewhere(database) = &job.database {
        return Ok(Err(("skipped", format!("it runs in database \"{database}\": make it there, by edge.schedule"))));
    }
    let Some(role) = job.role else {
        return Ok(Err(("skipped", format!("there is no role \"{}\"", job.owner))));
    };
    let viewer = viewer();
    if role != viewer.role && !viewer.sees_all {
        return Ok(Err(("skipped", "it is another role's; a superuser can import it".to_owned())));
    }
    if !owner::acting(|| schedules::lock(&job.name, role, Of::Role))?.is_empty() {
        return Ok(Err(("left alone", "there is a schedule of that name already".to_owned())));
    }
    Ok(Ok(role))
}

fn import(job: &Job, role: pg_sys::Oid, wish: Wish, told: &mut Told) -> Result<(), Error> {
    let clock = Clock::of(told.schedule.clone(), Some(job.timezone.clone()), Dst::Literal.as_str())?;
    let request = match cron::net_call(&job.command).map(|call| request(&call, role)) {
        Some(Ok(request)) => Some(request),
        Some(Err(error)) => {
            told.notes.push(format!("stays SQL: {error}"));
            None
        }
        None => None,
    };
    let active = job.active && wish != Wish::Import { may_alter: false };
    let options = options(active, request.is_some());
    let note = format!("imported from pg_cron, job {}", job.id);
    let runs = match &request {
        Some(request) => runs(CallKind::Url, request),
        None => Runs::Command(&job.command),
    };
    match &request {
        Some(request) => {
            told.kind = Some("http");
            told.target = format!("{} {}", request.method, redact::url(&request.url));
        }
        None => {
            syntax::check(&job.command)?;
            told.kind = Some("sql");
        }
    }
    let written = Written {
        name: &job.name,
        clock: &clock,
        options: &options,
        note: (!active).then_some(note.as_str()),
        runs,
        max_attempts: None,
        timeout_ms: request.as_ref().and_then(|request| request.timeout_ms),
    };
    told.action = "would import";
    if wish != Wish::DryRun {
        plan::put(role, &written)?;
        told.action = "imported";
    }
    hand_over(job, wish, told)
}

/// Sees to it that nothing runs twice: the job rests from the commit on, or the schedule does until somebody has seen to it.
fn hand_over(job: &Job, wish: Wish, told: &mut Told) -> Result<(), Error> {
    match wish {
        _ if !job.active => told.notes.push("inactive, as it was".to_owned()),
        Wish::DryRun => {}
        Wish::Import { may_alter: true } => {
            pg_cron::deactivate(job.id)?;
            told.notes.push("deactivated in pg_cron".to_owned());
        }
        Wish::Import { may_alter: false } => told.notes.push(format!(
            "inactive until you have dropped the job: select cron.unschedule({}); select edge.resume_schedule({});",
            job.id,
            quoted(&job.name),
        )),
    }
    Ok(())
}

/// pg_cron runs a command of a job when the one before has ended, and pg_net sends every request.
fn options(active: bool, is_request: bool) -> Options {
    Options {
        overlap: if is_request { "allow" } else { "queue_one" },
        catchup: "one",
        catchup_window: Interval::from_micros(24 * 60 * 60 * 1_000_000),
        jitter: None,
        starts_at: None,
        ends_at: None,
        active,
    }
}

/// The request as one of ours.
fn request(call: &NetCall, role: pg_sys::Oid) -> Result<Checked, Error> {
    let json = |text: &Option<String>| text.as_deref().and_then(Jsonb::parse);
    let wanted = Wanted {
        method: call.method,
        target: Target::Url(Text::of(&call.url)),
        body: if call.method == "GET" { Body::None } else { Body::Json(json(&call.body)) },
        params: json(&call.params),
        headers: json(&call.headers),
        // Zero is no limit there; here the endpoint's holds.
        timeout: call.timeout_ms.filter(|millis| *millis > 0).map(|millis| Interval::from_micros(millis * 1000)),
        max_attempts: None,
        endpoint: None,
    };
    request::check(wanted, role)
}

/// A name as SQL writes it in a text.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}
