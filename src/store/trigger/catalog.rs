//! What the catalog says of triggers.

use pgrx::prelude::*;

use crate::domain::webhook::shape::{Shape, Sight, Timing};
use crate::error::Error;
use crate::store::statement::statements;

/// A trigger that calls `edge.webhook`.
pub struct Found {
    pub name: String,
    pub relation: pg_sys::Oid,
    pub ground: Ground,
    pub shape: Shape,
    pub arguments: Vec<Vec<u8>>,
    /// Those that are stored.
    pub columns: Vec<String>,
}

/// What a trigger is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    Table,
    View,
}

statements! {
    // Arguments lie one behind the other, each with a zero after it.
    FIND(OIDOID) = "
        select made.tgname::text, made.tgrelid, made.tgtype, made.tgargs, made.tgnargs,
               made.tgoldtable is not null, made.tgnewtable is not null,
               array(select attname::text from pg_catalog.pg_attribute
                     where attrelid = made.tgrelid and attnum > 0 and not attisdropped and attgenerated <> 'v'),
               relation.relkind = 'v'
        from pg_catalog.pg_trigger as made
        join pg_catalog.pg_class as relation on relation.oid = made.tgrelid
        join pg_catalog.pg_proc as called on called.oid = made.tgfoid
        join pg_catalog.pg_namespace as schema on schema.oid = called.pronamespace
        where made.oid = $1 and schema.nspname = 'edge' and called.proname = 'webhook'";
}

/// A trigger that calls `edge.webhook`; `None` where it calls something else, or is not there.
pub fn find(trigger: pg_sys::Oid) -> Result<Option<Found>, Error> {
    Spi::connect_mut(|client| {
        let rows = FIND.with(|statement| statement.write(client, &[trigger.into()]))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        let kind: i16 = row.get(3)?.ok_or(Error::Malformed)?;
        let tables = (row.get(6)?.unwrap_or(false), row.get(7)?.unwrap_or(false));
        let arguments: Vec<u8> = row.get(4)?.unwrap_or_default();
        let count = usize::try_from(row.get::<i16>(5)?.unwrap_or(0)).unwrap_or(0);
        Ok(Some(Found {
            name: row.get(1)?.ok_or(Error::Malformed)?,
            relation: row.get(2)?.ok_or(Error::Malformed)?,
            ground: if row.get(9)?.unwrap_or(false) { Ground::View } else { Ground::Table },
            shape: shape(u32::from(kind.unsigned_abs()), tables),
            arguments: arguments.split(|byte| *byte == 0).take(count).map(<[u8]>::to_vec).collect(),
            columns: row.get(8)?.unwrap_or_default(),
        }))
    })
}

fn shape(kind: u32, tables: (bool, bool)) -> Shape {
    let is = |bit: u32| kind & bit != 0;
    Shape {
        timing: match (is(pg_sys::TRIGGER_TYPE_BEFORE), is(pg_sys::TRIGGER_TYPE_INSTEAD)) {
            (true, _) => Timing::Before,
            (_, true) => Timing::InsteadOf,
            (false, false) => Timing::After,
        },
        sight: match (is(pg_sys::TRIGGER_TYPE_ROW), tables) {
            (true, _) => Sight::Row,
            (false, (false, false)) => Sight::Statement,
            (false, (true, false)) => Sight::OldRows,
            (false, (false, true)) => Sight::NewRows,
            (false, (true, true)) => Sight::AllRows,
        },
        updates: is(pg_sys::TRIGGER_TYPE_UPDATE),
        writes_rows: is(pg_sys::TRIGGER_TYPE_INSERT)
            || is(pg_sys::TRIGGER_TYPE_UPDATE)
            || is(pg_sys::TRIGGER_TYPE_DELETE),
    }
}
