//! Looking at a trigger when it is made, so that what is wrong with it is said then and not when somebody writes a row; and again
//! whenever somebody asks, since what it names comes and goes.

use pgrx::PgLogLevel;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::findings::{self, Finding, Weight};
use crate::api::arguments;
use crate::error::Error;
use crate::store::owner;
use crate::store::trigger::catalog;
use crate::store::trigger::table::{self, Table};

/// What helps where nothing better is known.
const MAKE_ANEW: &str = "Drop the trigger, and make it anew with arguments that will do.";

/// Checks a trigger that calls `edge.webhook`; any other is none of its business.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn check_webhook(trigger: Option<pg_sys::Oid>) -> Result<(), ErrorReport> {
    let trigger = arguments::required(trigger, "trigger")?;
    let Some(found) = owner::acting(|| catalog::find(trigger))? else { return Ok(()) };
    let table = table::find(found.relation)?;
    let of_this = |why: Error| why.of_trigger(found.name.clone(), table.to_string());
    may_act_for(&table).map_err(of_this)?;
    let forgives = is_superuser();
    for finding in findings::of(&found, &table).map_err(of_this)? {
        let what = of_this(finding.what);
        match finding.weight {
            Weight::Fault => return Err(what.into()),
            // A dump that a superuser restores makes triggers before it grants rights, and must not lose them. When the
            // trigger fires, nobody is forgiven.
            Weight::Right if !forgives => return Err(what.into()),
            Weight::Gone if !is_restoring() => return Err(what.into()),
            Weight::Gone | Weight::Right | Weight::Doubt => ErrorReport::from(what).report(PgLogLevel::WARNING),
            Weight::Gap => ErrorReport::from(what).report(PgLogLevel::WARNING),
            Weight::Remark => ErrorReport::from(what).report(PgLogLevel::NOTICE),
        }
    }
    Ok(())
}

/// What is wrong with a trigger as things are now, for the view `edge.webhook_problems`. What it cannot tell of is as its maker
/// wanted it: he has been told.
#[pg_extern(schema = "edge_store", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity, reason = "pgrx reads the column names out of the signature")]
fn webhook_problems(
    trigger: pg_sys::Oid,
) -> Result<TableIterator<'static, (name!(problem, String), name!(advice, String))>, ErrorReport> {
    let Some(found) = owner::acting(|| catalog::find(trigger))? else { return Ok(TableIterator::empty()) };
    let Ok(table) = table::find(found.relation) else { return Ok(TableIterator::empty()) };
    let mut problems = Vec::new();
    // Why one trigger cannot be judged is said of that one: whoever asks for all of them is told of the others too.
    let findings = findings::of(&found, &table).unwrap_or_else(|what| vec![Finding { weight: Weight::Fault, what }]);
    for finding in findings {
        if !matches!(finding.weight, Weight::Gap | Weight::Remark) {
            let advice = finding.what.hint().map_or_else(|| MAKE_ANEW.to_owned(), std::borrow::Cow::into_owned);
            problems.push((finding.what.to_string(), advice));
        }
    }
    Ok(TableIterator::new(problems))
}

/// The calls are the owner's, and so is what is run when they have ended: nobody else may have them made, though Postgres lets
/// whoever has the right TRIGGER make a trigger.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn may_act_for(table: &Table) -> Result<(), Error> {
    // SAFETY: main thread, inside a transaction.
    if unsafe { pg_sys::has_privs_of_role(owner::current_role(), table.owner) } {
        return Ok(());
    }
    Err(Error::NotTheOwner { owner: owner::name(table.owner) })
}

#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn is_superuser() -> bool {
    // SAFETY: main thread, inside a transaction.
    unsafe { pg_sys::superuser_arg(owner::current_role()) }
}

/// Whether a dump is restored, whose first lines turn this off: what was there when a function or a trigger was made is not asked
/// for again.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn is_restoring() -> bool {
    // SAFETY: main thread; a setting that Postgres keeps.
    unsafe { !pg_sys::check_function_bodies }
}
