//! Secrets as they are stored: sealed.

use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use super::statement::statements;
use crate::domain::seal::Sealed;
use crate::error::Error;

statements! {
    LOCK_FOR_SETTING() = "lock table edge_store.secret in row exclusive mode";

    LOCK_FOR_ROTATION() = "lock table edge_store.secret in share row exclusive mode";

    SET(TEXTOID, TEXTOID, BYTEAOID, BYTEAOID) = "
        insert into edge_store.secret as known (name, key_id, nonce, ciphertext, created_at, updated_at)
        values ($1, $2, $3, $4, pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp())
        on conflict (name) do update
            set key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
                updated_at = excluded.updated_at";

    RESEAL(TEXTOID, TEXTOID, BYTEAOID, BYTEAOID) = "
        update edge_store.secret set key_id = $2, nonce = $3, ciphertext = $4 where name = $1";

    DROP_ONE(TEXTOID) = "delete from edge_store.secret where name = $1 returning true";

    READ(TEXTOID) = "select name, key_id, nonce, ciphertext from edge_store.secret where name = $1";

    ALL() = "select name, key_id, nonce, ciphertext from edge_store.secret order by name";

    MAY_USE(OIDOID) = "select pg_catalog.has_function_privilege($1, 'edge.set_secret(text,text)', 'execute')";
}

/// Waits for a rotation that is under way: the key that is read after this is the one to use.
pub fn lock_for_setting() -> Result<(), Error> {
    Spi::connect_mut(|client| {
        LOCK_FOR_SETTING.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}

/// Keeps values from being set until the transaction ends.
pub fn lock_for_rotation() -> Result<(), Error> {
    Spi::connect_mut(|client| {
        LOCK_FOR_ROTATION.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}

/// Stores a value under a new name, or in place of the old one.
pub fn set(name: &str, sealed: Sealed) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let args = [name.into(), sealed.key_id.into(), sealed.nonce.into(), sealed.ciphertext.into()];
        SET.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Stores the same value, sealed with another key.
pub fn reseal(name: &str, sealed: Sealed) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let args = [name.into(), sealed.key_id.into(), sealed.nonce.into(), sealed.ciphertext.into()];
        RESEAL.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Removes a secret; tells whether there was one.
pub fn drop(name: &str) -> Result<bool, Error> {
    Spi::connect_mut(|client| Ok(!DROP_ONE.with(|statement| statement.write(client, &[name.into()]))?.is_empty()))
}

/// One secret.
pub fn read(name: &str) -> Result<Option<Sealed>, Error> {
    Spi::connect(|client| {
        let mut rows = READ.with(|statement| statement.read(client, &[name.into()]))?;
        rows.next().map(|row| Ok(sealed(&row)?.1)).transpose()
    })
}

/// All secrets, as they are when the statement begins. Runs as a writing statement, so that it sees what committed while
/// the lock was waited for.
pub fn all() -> Result<Vec<(String, Sealed)>, Error> {
    Spi::connect_mut(|client| ALL.with(|statement| statement.write(client, &[]))?.map(|row| sealed(&row)).collect())
}

/// Whether a role may put placeholders into the headers of its calls. A role that is gone may not.
pub fn may_use(role: pg_sys::Oid) -> Result<bool, Error> {
    Spi::connect(|client| {
        let may = MAY_USE.with(|statement| statement.read(client, &[role.into()]))?.first().get_one::<bool>()?;
        Ok(may.unwrap_or(false))
    })
}

fn sealed(row: &SpiHeapTupleData<'_>) -> Result<(String, Sealed), Error> {
    let name = row.get(1)?.ok_or(Error::Malformed)?;
    let key_id = row.get(2)?.ok_or(Error::Malformed)?;
    let nonce = row.get(3)?.ok_or(Error::Malformed)?;
    let ciphertext = row.get(4)?.ok_or(Error::Malformed)?;
    Ok((name, Sealed { key_id, nonce, ciphertext }))
}
