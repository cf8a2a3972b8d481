//! Secrets: set, drop, and encrypt anew. Nobody but superusers has these functions, and those they grant them to.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use zeroize::Zeroizing;

use super::arguments::required;
use crate::domain::placeholder;
use crate::domain::seal::SealError;
use crate::error::Error;
use crate::store::datum::Text;
use crate::store::{key_file, owner, secrets};
use crate::worker::wake::{self, reason};
use crate::{conceal, guc};

/// Sets a secret, or replaces its value.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn set_secret(name: Option<Text>, value: Option<Text>) -> Result<(), ErrorReport> {
    // Before anything can fail: an error would be logged with the statement.
    conceal::running_statement(conceal::SETS_SECRET);
    let name = required(name, "name")?.read("name")?;
    let value = Zeroizing::new(required(value, "value")?.read("value")?);
    placeholder::check_secret_name(&name).map_err(Error::from)?;
    if value.is_empty() || value.len() > placeholder::LONGEST_VALUE {
        return Err(Error::SecretLength(value.len()).into());
    }
    owner::acting(|| set(&name, &value))?;
    wake::at_commit(reason::SECRETS);
    Ok(())
}

fn set(name: &str, value: &str) -> Result<(), Error> {
    secrets::lock_for_setting()?;
    let file = guc::secret_key_file();
    let unusable = |error: SealError| Error::KeyFile { file: file.clone(), reason: error.to_string() };
    let keys = key_file::read_or_make(&file)?;
    let key = keys.newest().map_err(unusable)?;
    let sealed = key.seal(name, key_file::draw_nonce()?, value.as_bytes()).map_err(unusable)?;
    secrets::set(name, sealed)
}

/// Removes a secret; tells whether there was one.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn drop_secret(name: Option<Text>) -> Result<bool, ErrorReport> {
    let name = required(name, "name")?.read("name")?;
    let dropped = owner::acting(|| secrets::drop(&name))?;
    wake::at_commit(reason::SECRETS);
    Ok(dropped)
}

/// Encrypts all secrets of this database with a new key, and tells how many.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn rotate_secret_key() -> Result<i32, ErrorReport> {
    let rotated = owner::acting(rotate)?;
    wake::at_commit(reason::SECRETS);
    Ok(i32::try_from(rotated).unwrap_or(i32::MAX))
}

fn rotate() -> Result<usize, Error> {
    secrets::lock_for_rotation()?;
    let file = guc::secret_key_file();
    let keys = key_file::add_key(&file)?;
    let key = keys.newest().map_err(|error| Error::KeyFile { file: file.clone(), reason: error.to_string() })?;
    let all = secrets::all()?;
    for (name, sealed) in &all {
        let closed = |reason: String| Error::SecretClosed { name: name.clone(), file: file.clone(), reason };
        let value = keys.open(name, sealed).map_err(|error| closed(error.to_string()))?;
        let nonce = key_file::draw_nonce()?;
        secrets::reseal(name, key.seal(name, nonce, &value).map_err(|error| closed(error.to_string()))?)?;
    }
    Ok(all.len())
}
