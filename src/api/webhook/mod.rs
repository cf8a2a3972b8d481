//! `edge.webhook`: the function that triggers call, to have a call made of each row that is written.
//!
//! Runs in the session of whoever writes, who needs no right for it: the calls are those of the table's owner.

mod call_writer;
pub mod check;
mod findings;
mod subscription;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use self::call_writer::CallWriter;
use self::subscription::Subscription;
use crate::domain::webhook::payload::Change;
use crate::domain::webhook::record::Record;
use crate::error::Error;
use crate::store::transaction::in_own_memory;
use crate::store::trigger::fired::{Fired, Seen};
use crate::store::trigger::json::RowJson;
use crate::store::trigger::row::Row;
use crate::store::trigger::table;
use crate::store::trigger::transition::Transition;

/// Queues the calls of a trigger that has fired. Declared by sql/webhook.sql.
#[pg_extern(sql = false)]
fn webhook(call: pg_sys::FunctionCallInfo) -> Result<(), ErrorReport> {
    let fired = Fired::of(&call).ok_or(Error::NotATrigger)?;
    let in_trigger = |why: Error| {
        let table = table::find(fired.relation()).map(|table| table.to_string());
        why.of_trigger(fired.name(), table.unwrap_or_default())
    };
    Ok(fire(&fired).map_err(in_trigger)?)
}

fn fire(fired: &Fired<'_>) -> Result<(), Error> {
    let subscription = subscription::of(fired)?;
    fired.shape().fits(&subscription.webhook.options)?;
    let seen = fired.seen();
    // Before anything else is asked: most rows of a busy table may be none of the webhook's.
    if let Seen::Row { old, new } = &seen
        && !subscription.is_to_be_told(old.as_ref(), new.as_ref())
    {
        return Ok(());
    }
    let mut writer = CallWriter::open(&subscription, fired.event())?;
    match seen {
        Seen::Row { old, new } => one_row(&mut writer, old.as_ref(), new.as_ref())?,
        Seen::Rows { old, new } => all_rows(&subscription, &mut writer, old, new)?,
        Seen::Nothing => writer.tell(Change::default())?,
    }
    writer.close()
}

/// A row that is to be told of, or one of many.
fn one_row(writer: &mut CallWriter<'_>, old: Option<&Row<'_>>, new: Option<&Row<'_>>) -> Result<(), Error> {
    let (wanted, limit) = (writer.wanted(), writer.limit());
    // A column that was renamed or dropped since is named among those that are left out.
    let has = |name: &&String| new.or(old).is_none_or(|row| row.has(name));
    let missing: Vec<String> = writer.columns().iter().filter(|name| !has(name)).cloned().collect();
    let (old, new) = (old.map(|row| row.json(wanted, limit)), new.map(|row| row.json(wanted, limit)));
    let mut omitted: Vec<String> = new.iter().chain(&old).flat_map(|row| row.omitted.clone()).collect();
    omitted.extend(missing);
    omitted.sort_unstable();
    omitted.dedup();
    let (record, old_record) = (record(new.as_ref(), &omitted), record(old.as_ref(), &omitted));
    writer.tell(Change { record, old_record, omitted })
}

fn record<'a>(row: Option<&'a RowJson>, omitted: &[String]) -> Option<Record<'a>> {
    row.map(|row| Record::Whole(&row.json).without(omitted))
}

/// The rows of a statement.
fn all_rows(
    subscription: &Subscription,
    writer: &mut CallWriter<'_>,
    mut old: Option<Transition<'_>>,
    mut new: Option<Transition<'_>>,
) -> Result<(), Error> {
    // The n-th of the one table is the n-th of the other, unless a trigger of a partition took a row out of an update halfway.
    let paired = match (&old, &new) {
        (Some(old), Some(new)) => old.count() == new.count(),
        _ => true,
    };
    loop {
        let has_new = new.as_mut().is_some_and(Transition::advance);
        let has_old = (paired || !has_new) && old.as_mut().is_some_and(Transition::advance);
        if !has_new && !has_old {
            break;
        }
        in_own_memory(|| {
            let old = old.as_ref().filter(|_| has_old).and_then(Transition::row);
            let new = new.as_ref().filter(|_| has_new).and_then(Transition::row);
            if subscription.is_to_be_told(old.as_ref(), new.as_ref()) {
                one_row(writer, old.as_ref(), new.as_ref())?;
            }
            Ok::<_, Error>(())
        })?;
        pgrx::check_for_interrupts!();
    }
    old.into_iter().chain(new).for_each(Transition::close);
    Ok(())
}
