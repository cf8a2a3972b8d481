//! Changing the course of schedules: dropping, pausing and resuming them.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::api::arguments::{self, required, viewer};
use crate::api::schedules::options::{Clock, bounds, spread};
use crate::api::schedules::plan;
use crate::domain::schedule::Course;
use crate::error::Error;
use crate::store::datum::Text;
use crate::store::schedules::{self, Existing, Of, open_runs};
use crate::store::time::now;
use crate::store::{calls, owner};
use crate::worker::wake::{self, reason};

/// Drops a schedule, and asks for the end of its runs if that is wanted; tells whether there was one.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn unschedule(name: Option<Text>, cancel: default!(bool, "false")) -> Result<bool, ErrorReport> {
    let name = arguments::name(name)?;
    let Some(known) = find(&name)? else { return Ok(false) };
    remove(known.id, cancel)?;
    Ok(true)
}

/// The same by the number of the schedule, as names do not tell apart what roles have left behind that are gone.
#[pg_extern(schema = "edge", name = "unschedule", volatile, parallel_unsafe)]
fn unschedule_by_id(id: Option<i64>, cancel: default!(bool, "false")) -> Result<bool, ErrorReport> {
    let (id, viewer) = (required(id, "id")?, viewer());
    let owner = owner::acting(|| schedules::lock_by_id(id))?;
    if owner.is_none_or(|owner| owner != viewer.role && !viewer.sees_all) {
        return Ok(false);
    }
    remove(id, cancel)?;
    Ok(true)
}

fn remove(id: i64, cancel: bool) -> Result<(), Error> {
    if cancel {
        end_runs(id)?;
    }
    owner::acting(|| schedules::drop(id))?;
    wake::at_commit(reason::SCHEDULES);
    Ok(())
}

fn end_runs(schedule: i64) -> Result<(), Error> {
    let calls = owner::acting(|| schedules::open_calls(schedule))?;
    for call in &calls {
        owner::acting(|| calls::ask_to_cancel(*call))?;
    }
    if !calls.is_empty() {
        wake::at_commit(reason::CALLS | reason::CANCEL);
    }
    if owner::acting(|| open_runs::ask_to_end(schedule))? {
        wake::at_commit(reason::COMMANDS);
    }
    Ok(())
}

/// Lets a schedule rest until it is resumed.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn pause_schedule(name: Option<Text>, note: default!(Option<Text>, "NULL")) -> Result<(), ErrorReport> {
    let note = note.map(|note| note.read("note")).transpose()?;
    let known = existing(name)?;
    let by = owner::name(owner::current_role());
    owner::acting(|| schedules::pause(known.id, note.as_deref(), &by))?;
    wake::at_commit(reason::SCHEDULES);
    Ok(())
}

/// Has a schedule run again from now on. What it missed meanwhile is not made up for.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn resume_schedule(name: Option<Text>) -> Result<(), ErrorReport> {
    let known = existing(name)?;
    if known.active {
        return Ok(());
    }
    let clock = clock_of(&known)?;
    let now = now();
    let next = course_of(&known, &clock).next(now);
    if next.is_none() {
        plan::waits_for_the_server(&clock, bounds(known.starts_at, known.ends_at), &known.name)?;
    }
    owner::acting(|| schedules::resume(known.id, &plan::made(next, now)))?;
    wake::at_commit(reason::SCHEDULES);
    Ok(())
}

/// When a schedule runs that there is.
pub fn clock_of(known: &Existing) -> Result<Clock, Error> {
    Clock::of(known.schedule.clone(), Some(known.timezone.clone()), &known.dst)
}

/// The same, between which moments.
pub fn course_of<'a>(known: &Existing, clock: &'a Clock) -> Course<'a> {
    clock.course(bounds(known.starts_at, known.ends_at), spread(known.jitter, known.id))
}

/// The schedule of a name: the caller's own, or for a superuser who has none the only one that there is.
fn find(name: &str) -> Result<Option<Existing>, Error> {
    let viewer = viewer();
    let of = if viewer.sees_all { Of::Everybody } else { Of::Role };
    let mut found = owner::acting(|| schedules::lock(name, viewer.role, of))?;
    if found.len() > 1 && found[0].owner != viewer.role {
        return Err(Error::AmbiguousSchedule(name.to_owned()));
    }
    Ok(if found.is_empty() { None } else { Some(found.swap_remove(0)) })
}

/// The same, where there must be one.
pub fn existing(name: Option<Text>) -> Result<Existing, Error> {
    let name = arguments::name(name)?;
    find(&name)?.ok_or(Error::NoSuchSchedule(name))
}
