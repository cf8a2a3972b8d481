//! Looking at a trigger when it is made, so that what is wrong with it is said then and not when somebody writes a row.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::subscription::{Secrets, Subscription};
use crate::api::handler::{self, Takes};
use crate::api::{arguments, request};
use crate::domain::endpoint;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::error::WebhookError;
use crate::error::Error;
use crate::store::datum::RegProc;
use crate::store::trigger::callback;
use crate::store::trigger::catalog::{self, Found};
use crate::store::trigger::table::{self, Table};
use crate::store::{endpoints, owner};

/// Checks a trigger that calls `edge.webhook`; any other is none of its business.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn check_webhook(trigger: Option<pg_sys::Oid>) -> Result<(), ErrorReport> {
    let trigger = arguments::required(trigger, "trigger")?;
    let Some(found) = owner::acting(|| catalog::find(trigger))? else { return Ok(()) };
    let table = table::find(found.relation)?;
    Ok(check(&found, &table).map_err(|why| why.of_trigger(found.name, table.to_string()))?)
}

fn check(found: &Found, table: &Table) -> Result<(), Error> {
    may_act_for(table)?;
    let arguments: Vec<&[u8]> = found.arguments.iter().map(Vec::as_slice).collect();
    let subscription = Subscription::read(&arguments, found.relation)?;
    let options = &subscription.webhook.options;
    found.shape.fits(options)?;
    if let Some((option, column)) =
        options.named_columns().find(|(_, name)| !found.columns.iter().any(|known| known == name))
    {
        return Err(WebhookError::NoColumn { option, column: column.to_owned() }.into());
    }
    if let (Some(name), Some(given)) = (&subscription.on_complete, &options.on_complete) {
        let function = name.find().ok_or_else(|| WebhookError::NoFunction(given.clone()))?;
        forgiven(may_run(table.owner, function))?;
    }
    if subscription.secrets == Secrets::Named {
        forgiven(request::may_hold_placeholders(table.owner, &subscription.webhook.headers))?;
    }
    warn_of_endpoint(&subscription.webhook)
}

/// Whether a function may be run for the owner of a table when a call has ended.
fn may_run(owner: pg_sys::Oid, function: pg_sys::Oid) -> Result<(), Error> {
    let found = handler::check(owner, RegProc(function), Takes::Response)?;
    if callback::is_trusted_by(function, owner) {
        return Ok(());
    }
    Err(WebhookError::ForeignFunction { function: found.name, owner: owner::name(owner) }.into())
}

/// A right that is missing is only a warning for a superuser: a dump that he restores makes triggers before it grants rights, and
/// must not lose them. When the trigger fires, nobody is forgiven.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn forgiven(outcome: Result<(), Error>) -> Result<(), Error> {
    let is_of_rights = |why: &Error| {
        matches!(
            why,
            Error::SecretsNotAllowed | Error::NotExecutable(_) | Error::Webhook(WebhookError::ForeignFunction { .. })
        )
    };
    match outcome {
        // SAFETY: main thread, inside a transaction.
        Err(why) if is_of_rights(&why) && unsafe { pg_sys::superuser_arg(owner::current_role()) } => {
            pgrx::warning!("the trigger would not do what it says: {why}");
            Ok(())
        }
        outcome => outcome,
    }
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

/// An endpoint may be made later, as a dump that is restored does; so that it is not there is no error.
fn warn_of_endpoint(webhook: &Webhook) -> Result<(), Error> {
    let Some(name) = webhook.endpoint.as_deref() else { return Ok(()) };
    match owner::acting(|| endpoints::find(name))? {
        None => pgrx::warning!(
            "endpoint \"{name}\" does not exist; calls to it fail until edge.create_endpoint has made it"
        ),
        Some(found) => {
            if let Err(why) = endpoint::resolve(&found.base, &webhook.url) {
                pgrx::warning!("calls by endpoint \"{name}\" would fail: {why}");
            }
        }
    }
    Ok(())
}
