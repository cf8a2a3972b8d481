//! A statement that is prepared once in the life of a process.
//!
//! Runs on the main thread. Plans follow DDL by themselves: Postgres replans when a table changes, also after
//! DROP and CREATE EXTENSION, because every name is written with its schema.

use std::cell::OnceCell;
use std::mem::ManuallyDrop;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::{OwnedPreparedStatement, SpiClient, SpiTupleTable};

/// SQL text, the types of its parameters, and its plan once there is one.
pub struct Statement {
    sql: &'static str,
    parameters: &'static [pg_sys::BuiltinOid],
    /// Never dropped: freeing a plan while the process exits would call into a Postgres that is half gone.
    plan: OnceCell<ManuallyDrop<OwnedPreparedStatement>>,
}

impl Statement {
    /// A statement that is not prepared yet.
    pub const fn new(sql: &'static str, parameters: &'static [pg_sys::BuiltinOid]) -> Self {
        Self { sql, parameters, plan: OnceCell::new() }
    }

    /// Runs it without taking a transaction id, under the active snapshot.
    pub fn read<'c>(&self, client: &SpiClient<'c>, args: &[DatumWithOid<'_>]) -> Result<SpiTupleTable<'c>, spi::Error> {
        let plan = self.plan(|| Ok(client.prepare(self.sql, &self.oids())?.keep()))?;
        client.select(plan, None, args)
    }

    /// Runs it as a writing statement.
    pub fn write<'c>(
        &self,
        client: &mut SpiClient<'c>,
        args: &[DatumWithOid<'_>],
    ) -> Result<SpiTupleTable<'c>, spi::Error> {
        let plan = self.plan(|| Ok(client.prepare_mut(self.sql, &self.oids())?.keep()))?;
        client.update(plan, None, args)
    }

    fn plan(
        &self,
        prepare: impl FnOnce() -> Result<OwnedPreparedStatement, spi::Error>,
    ) -> Result<&OwnedPreparedStatement, spi::Error> {
        if let Some(plan) = self.plan.get() {
            return Ok(plan);
        }
        let plan = ManuallyDrop::new(prepare()?);
        Ok(self.plan.get_or_init(|| plan))
    }

    fn oids(&self) -> Vec<PgOid> {
        self.parameters.iter().map(|oid| PgOid::BuiltIn(*oid)).collect()
    }
}

/// One value of each row, as an array parameter that a statement unnests.
pub fn column<'a, T, C>(rows: &'a [T], value: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(value).collect()
}

/// Declares the statements of a file, one for the process each.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident($($parameter:ident),*) = $sql:expr;)*) => {
        ::std::thread_local! {
            $($(#[$doc])* static $name: $crate::store::statement::Statement = const {
                $crate::store::statement::Statement::new($sql, &[$(::pgrx::pg_sys::BuiltinOid::$parameter),*])
            };)*
        }
    };
}
pub(crate) use statements;
