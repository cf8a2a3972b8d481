//! What becomes of one job of pg_cron.

use pgrx::datum::Interval;
use pgrx::pg_sys;

use crate::api::arguments::viewer;
use crate::api::request::{self, Body, Checked, Manner, Target, Wanted};
use crate::api::schedules::options::{Clock, Options};
use crate::api::schedules::plan::{self, Written};
use crate::api::schedules::runs;
use crate::domain::redact;
use crate::domain::schedule::Dst;
use crate::domain::schedule::catch_up::CatchUp;
use crate::domain::schedule::overlap::Overlap;
use crate::domain::schedule::pg_cron::{self as cron, NetCall, Obstacle, Whose, obstacle};
use crate::error::Error;
use crate::store::datum::{Jsonb, Text};
use crate::store::schedules::definition::{CallKind, Target as Runs};
use crate::store::schedules::pg_cron::{self, Job, Place};
use crate::store::schedules::{self, Of};
use crate::store::{owner, syntax};

/// What somebody wants of a job.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To be told what would be done.
    DryRun,
    /// To have a schedule in its place.
    InItsPlace,
    /// To have a schedule that rests beside it: they may not change jobs of pg_cron.
    Beside,
}

/// What became of a job.
pub struct Told {
    pub action: &'static str,
    pub kind: Option<&'static str>,
    pub schedule: String,
    pub target: String,
    pub notes: Vec<String>,
}

/// What a job does.
enum Does {
    /// It sends a request by pg_net, which is one of ours now.
    Request(Box<Checked>),
    /// It runs SQL.
    Command,
}

/// Whether a job can be taken over.
enum Way {
    /// Its schedule would be of this role.
    Free(pg_sys::Oid),
    Blocked(Obstacle),
}

/// Takes a job over, or tells what that would do.
pub fn take_over(job: &Job, wish: Wish) -> Result<Told, Error> {
    let taken = cron::schedule(&job.schedule);
    let mut told = Told {
        action: "skipped",
        kind: None,
        schedule: taken.schedule,
        target: job.command.clone(),
        notes: Vec::new(),
    };
    let role = match way(job)? {
        Way::Free(role) => role,
        Way::Blocked(obstacle) => {
            told.action = obstacle.action();
            told.notes.push(obstacle.to_string());
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

fn way(job: &Job) -> Result<Way, Error> {
    let viewer = viewer();
    let whose = match job.role {
        None => Whose::Nobodys,
        Some(role) if role != viewer.role && !viewer.sees_all => Whose::Anothers,
        Some(_) => Whose::Theirs,
    };
    let elsewhere = match &job.database {
        Place::Here => None,
        Place::Elsewhere(database) => Some(database.as_str()),
    };
    Ok(match (obstacle(elsewhere, &job.owner, whose), job.role) {
        (Some(obstacle), _) => Way::Blocked(obstacle),
        (None, None) => Way::Blocked(Obstacle::NoRole(job.owner.clone())),
        (None, Some(role)) if owner::acting(|| schedules::lock(&job.name, role, Of::Role))?.is_empty() => {
            Way::Free(role)
        }
        (None, Some(_)) => Way::Blocked(Obstacle::NameTaken),
    })
}

fn import(job: &Job, role: pg_sys::Oid, wish: Wish, told: &mut Told) -> Result<(), Error> {
    let clock = Clock::of(told.schedule.clone(), Some(job.timezone.clone()), Dst::Literal.as_str())?;
    let does = does(job, role, told);
    // Without the right to stop the job, its schedule rests until somebody has.
    let active = job.active && wish != Wish::Beside;
    let note = format!("imported from pg_cron, job {}", job.id);
    let (runs, timeout_ms) = match &does {
        Does::Request(request) => {
            told.kind = Some("http");
            told.target = format!("{} {}", request.method, redact::url(&request.url));
            (runs(CallKind::Url, request), request.timeout_ms)
        }
        Does::Command => {
            syntax::check(&job.command)?;
            told.kind = Some("sql");
            (Runs::Command(&job.command), None)
        }
    };
    let options = Options { active, ..does.options() };
    let written = Written {
        name: &job.name,
        clock: &clock,
        options: &options,
        note: (!active).then_some(note.as_str()),
        runs,
        max_attempts: None,
        timeout_ms,
    };
    told.action = "would import";
    if wish != Wish::DryRun {
        plan::put(role, &written)?;
        told.action = "imported";
    }
    hand_over(job, wish, told)
}

/// What a job does here. A request that cannot be one of ours stays what it is.
fn does(job: &Job, role: pg_sys::Oid, told: &mut Told) -> Does {
    match cron::net_call(&job.command).map(|call| request(&call, role)) {
        Some(Ok(request)) => Does::Request(Box::new(request)),
        Some(Err(error)) => {
            told.notes.push(format!("stays SQL: {error}"));
            Does::Command
        }
        None => Does::Command,
    }
}

/// Sees to it that nothing runs twice: the job rests from the commit on, or the schedule does until somebody has seen to it.
fn hand_over(job: &Job, wish: Wish, told: &mut Told) -> Result<(), Error> {
    match wish {
        _ if !job.active => told.notes.push("inactive, as it was".to_owned()),
        Wish::DryRun => {}
        Wish::InItsPlace => {
            pg_cron::deactivate(job.id)?;
            told.notes.push("deactivated in pg_cron".to_owned());
        }
        Wish::Beside => told.notes.push(format!(
            "inactive until you have dropped the job: select cron.unschedule({}); select edge.resume_schedule({});",
            job.id,
            quoted(&job.name),
        )),
    }
    Ok(())
}

impl Does {
    /// How it runs: pg_cron runs a command of a job when the one before has ended, and pg_net sends every request.
    fn options(&self) -> Options {
        let overlap = match self {
            Self::Request(_) => Overlap::Allow,
            Self::Command => Overlap::QueueOne,
        };
        Options {
            overlap: overlap.as_str(),
            catchup: CatchUp::One.as_str(),
            catchup_window: Interval::from_micros(24 * 60 * 60 * 1_000_000),
            jitter: None,
            starts_at: None,
            ends_at: None,
            active: true,
        }
    }
}

/// The request as one of ours.
fn request(call: &NetCall, role: pg_sys::Oid) -> Result<Checked, Error> {
    let json = |text: &Option<String>| text.as_deref().and_then(Jsonb::parse);
    let manner = Manner {
        params: json(&call.params),
        headers: json(&call.headers),
        // Zero is no limit there; here the endpoint's holds.
        timeout: call.timeout_ms.filter(|millis| *millis > 0).map(|millis| Interval::from_micros(millis * 1000)),
        ..Manner::default()
    };
    let body = if call.method == "GET" { Body::None } else { Body::Json(json(&call.body)) };
    let wanted = Wanted { method: call.method, target: Target::Url(Text::of(&call.url)), body, manner };
    request::check(wanted, role)
}

/// A name as SQL writes it in a text.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}
