//! Calling a user's function without a statement: by its oid, with a value of a composite type.

use pgrx::prelude::*;

use super::statement::statements;
use crate::error::Error;

statements! {
    INVOCATION(OIDOID) = "
        select prorettype, pg_catalog.to_regtype('edge.response')::oid from pg_catalog.pg_proc
        where oid = $1 and prokind = 'f' and not proretset
          and pronargs = 1 and proargtypes[0] = pg_catalog.to_regtype('edge.response')";
}

/// The types of a function and of its argument.
pub struct Invocation {
    pub(super) function: pg_sys::Oid,
    pub(super) returns: pg_sys::Oid,
    pub(super) argument: pg_sys::Oid,
}

/// How a function is called; `None` where it no longer exists.
pub fn of_callback(function: pg_sys::Oid) -> Result<Option<Invocation>, Error> {
    Spi::connect_mut(|client| {
        let rows = INVOCATION.with(|statement| statement.write(client, &[function.into()]))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        let (Some(returns), Some(argument)) = (row.get(1)?, row.get(2)?) else { return Ok(None) };
        Ok(Some(Invocation { function, returns, argument }))
    })
}

/// Calls a user's function with a composite value of the type of its argument, as whoever is the current user.
///
/// It is called by its oid. A name would be looked up anew, and whoever may create functions in its schema could make the
/// name ambiguous.
#[allow(unsafe_code, reason = "an expression is built of Postgres' nodes")]
pub fn invoke(invocation: &Invocation, value: pg_sys::Datum) {
    let Invocation { function, returns, argument } = *invocation;
    // SAFETY: main thread, inside a transaction and under a snapshot. The nodes live in the current memory context; the datum
    // is a composite of the type `argument`. Postgres checks the right to execute when it prepares the expression.
    unsafe {
        let value = pg_sys::makeConst(argument, -1, pg_sys::InvalidOid, -1, value, false, false);
        let arguments = pg_sys::lappend(std::ptr::null_mut(), value.cast());
        let form = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
        let (none, untyped) = (pg_sys::InvalidOid, -1);
        let call = pg_sys::makeFuncExpr(function, returns, arguments, none, none, form);
        pg_sys::evaluate_expr(call.cast(), returns, untyped, none);
    }
}
