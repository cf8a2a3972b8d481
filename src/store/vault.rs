//! Supabase Vault: its view of decrypted secrets, where there is one that can be trusted.
//!
//! Runs on the main thread of a dispatcher, which is a superuser: functions in a view run as whoever reads it. So the
//! view counts only where a superuser owns it and its schema; anybody else's could make the dispatcher do anything.

use pgrx::prelude::*;
use zeroize::Zeroizing;

use super::statement::statements;
use super::transaction::{Aborted, in_subtransaction};
use crate::error::Error;

statements! {
    IS_TRUSTED() = "
        select exists (
            select from pg_catalog.pg_class as view
            join pg_catalog.pg_namespace as schema on schema.oid = view.relnamespace
            join pg_catalog.pg_roles as view_owner on view_owner.oid = view.relowner
            join pg_catalog.pg_roles as schema_owner on schema_owner.oid = schema.nspowner
            where schema.nspname = 'vault' and view.relname = 'decrypted_secrets' and view.relkind = 'v'
              and view_owner.rolsuper and schema_owner.rolsuper)";

    READ(TEXTOID) = "select decrypted_secret::text from vault.decrypted_secrets where name = $1 limit 1";
}

/// What Vault said.
pub enum Answer {
    Value(Zeroizing<String>),
    NoSuchSecret,
    /// There is no view, or it is not a superuser's.
    NotInstalled,
    /// The view raised an error.
    Failed(Aborted),
}

/// Reads a secret by its name.
pub fn read(name: &str) -> Result<Answer, Error> {
    if !is_trusted()? {
        return Ok(Answer::NotInstalled);
    }
    let found = in_subtransaction(|| {
        Spi::connect(|client| {
            let mut rows = READ.with(|statement| statement.read(client, &[name.into()]))?;
            let value = rows.next().map(|row| row.get::<String>(1)).transpose()?;
            Ok(value.flatten().map(Zeroizing::new))
        })
    });
    Ok(match found {
        Ok(Some(value)) => Answer::Value(value),
        Ok(None) => Answer::NoSuchSecret,
        Err(aborted) => Answer::Failed(aborted),
    })
}

fn is_trusted() -> Result<bool, Error> {
    Spi::connect(|client| {
        let trusted = IS_TRUSTED.with(|statement| statement.read(client, &[]))?.first().get_one::<bool>()?;
        Ok(trusted.unwrap_or(false))
    })
}
