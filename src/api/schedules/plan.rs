//! Writing a schedule with its plan: which slot comes next, and when it is due.

use pgrx::prelude::*;

use crate::api::schedules::options::{Clock, Options, bounds, spread};
use crate::domain::moment::Moment;
use crate::domain::schedule::planning::{Begin, Times, begins};
use crate::domain::schedule::{Bounds, Kind, Next};
use crate::error::Error;
use crate::store::owner;
use crate::store::schedules::definition::{self, Definition, Target};
use crate::store::schedules::{self, Existing, Of, Plan};
use crate::store::time::{now, of_moment, to_moment};
use crate::worker::wake::{self, reason};

/// A schedule that has been checked.
pub struct Written<'a> {
    pub name: &'a str,
    pub clock: &'a Clock,
    pub options: &'a Options,
    pub note: Option<&'a str>,
    pub runs: Target<'a>,
    pub max_attempts: Option<i16>,
    pub timeout_ms: Option<i32>,
}

/// Writes a schedule of an owner, over one of the same name. What runs at the same times as before goes on where it stood,
/// so that running a migration again moves nothing, repeats nothing and loses nothing.
pub fn put(owner: pg_sys::Oid, written: &Written<'_>) -> Result<i64, Error> {
    let by = owner::name(owner::current_role());
    let id = owner::acting(|| {
        let known = schedules::lock(written.name, owner, Of::Role)?.pop();
        let id = known.as_ref().map_or_else(schedules::next_id, |known| Ok(known.id))?;
        let plan = plan(id, known.as_ref(), written)?;
        definition::put(id, owner, &definition_of(written), &plan, &by)
    })?;
    wake::at_commit(reason::SCHEDULES);
    Ok(id)
}

fn plan(id: i64, known: Option<&Existing>, written: &Written<'_>) -> Result<Plan, Error> {
    let (clock, options) = (written.clock, written.options);
    let begin = |known: &Existing| begins(times_of(known), times(clock, options), clock.schedule.kind());
    let after = match known.map(|known| (begin(known), known.plan)) {
        Some((Begin::AsPlanned, plan)) => return Ok(plan),
        Some((Begin::WhereItStood, plan)) => to_moment(plan.passed),
        _ => now(),
    };
    let course = clock.course(options.bounds(), spread(options.jitter, id));
    let next = course.next(after);
    if next.is_none() && !is_said_again(known, written)? {
        waits_for_the_server(clock, options.bounds(), written.name)?;
    }
    Ok(made(next.filter(|_| options.active), after))
}

/// Whether a schedule is just what it was: what is over stays so when the migration that made it is run again. Anything else
/// would look as if it were still to run.
fn is_said_again(known: Option<&Existing>, written: &Written<'_>) -> Result<bool, Error> {
    let Some(known) = known else { return Ok(false) };
    let (clock, options) = (written.clock, written.options);
    let active = known.active;
    let same_times = Times { active, ..times_of(known) } == Times { active, ..times(clock, options) }
        && bounds(None, known.ends_at).ends_at == options.bounds().ends_at;
    Ok(same_times && definition::already_runs(known.id, written.runs)?)
}

/// What has no slot ahead runs when the server starts, or never.
pub fn waits_for_the_server(clock: &Clock, bounds: Bounds, name: &str) -> Result<(), Error> {
    let why = match clock.schedule.kind() {
        Kind::Reboot => return Ok(()),
        _ if bounds != Bounds::default() => "has no time left that lies within starts_at and ends_at",
        Kind::At if clock.is_in_a_gap() => {
            "is left out by a change of the clock in its time zone (with dst 'vixie' it would run right after that)"
        }
        Kind::At => "lies in the past",
        Kind::Cron | Kind::Every => "has no time left",
    };
    Err(Error::NeverRuns { name: name.to_owned(), schedule: clock.text.clone(), why })
}

/// The plan of a schedule that goes on from a moment.
pub fn made(next: Option<Next>, after: Moment) -> Plan {
    Plan {
        next_run_at: next.map(|next| of_moment(next.slot)),
        due_at: next.map(|next| of_moment(next.due)),
        passed: of_moment(after),
    }
}

fn times<'a>(clock: &'a Clock, options: &Options) -> Times<'a> {
    Times {
        schedule: &clock.text,
        timezone: &clock.timezone,
        dst: clock.dst.as_str(),
        starts_at: options.bounds().starts_at,
        active: options.active,
    }
}

fn times_of(known: &Existing) -> Times<'_> {
    Times {
        schedule: &known.schedule,
        timezone: &known.timezone,
        dst: &known.dst,
        starts_at: bounds(known.starts_at, None).starts_at,
        active: known.active,
    }
}

fn definition_of<'a>(written: &Written<'a>) -> Definition<'a> {
    let (clock, options) = (written.clock, written.options);
    Definition {
        name: written.name,
        schedule: &clock.text,
        timezone: &clock.timezone,
        dst: clock.dst.as_str(),
        overlap: options.overlap,
        catchup: options.catchup,
        catchup_window: options.catchup_window,
        jitter: options.jitter,
        starts_at: options.starts_at,
        ends_at: options.ends_at,
        active: options.active,
        note: written.note,
        target: written.runs,
        max_attempts: written.max_attempts,
        timeout_ms: written.timeout_ms,
    }
}
