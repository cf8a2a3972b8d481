//! What a utility command is about, read from its parse tree.

#![allow(unsafe_code, reason = "parse trees are C structs")]

use std::ffi::{CStr, c_char};

use pgrx::prelude::*;

use super::rights::{may_copy, owns};

/// Whether a command is of a kind that we have to look at.
pub(super) unsafe fn concerns_us(node: *mut pg_sys::Node) -> bool {
    // SAFETY: every statement begins with its tag.
    let tag = unsafe { (*node).type_ };
    // SAFETY: as above.
    let resolves = unsafe { resolution_of_prepared(node) };
    resolves.is_some()
        || matches!(
            tag,
            pg_sys::NodeTag::T_DropdbStmt
                | pg_sys::NodeTag::T_AlterDatabaseStmt
                | pg_sys::NodeTag::T_RenameStmt
                | pg_sys::NodeTag::T_CreatedbStmt
                | pg_sys::NodeTag::T_DropStmt
        )
}

/// The database that a command needs without other sessions, if the user may do such a thing to it at all.
pub(super) unsafe fn database_wanted_empty(node: *mut pg_sys::Node) -> Option<pg_sys::Oid> {
    // SAFETY: a node's tag tells its type.
    unsafe {
        let kind = (*node).type_;
        // All but renaming are refused in a transaction block, and then nobody is to be disturbed for long.
        if kind != pg_sys::NodeTag::T_RenameStmt && pg_sys::IsTransactionBlock() {
            return None;
        }
        let name = match kind {
            pg_sys::NodeTag::T_DropdbStmt => (*node.cast::<pg_sys::DropdbStmt>()).dbname,
            pg_sys::NodeTag::T_AlterDatabaseStmt => {
                let alter = node.cast::<pg_sys::AlterDatabaseStmt>();
                option_of((*alter).options, c"tablespace")?;
                (*alter).dbname
            }
            pg_sys::NodeTag::T_RenameStmt => {
                let rename = node.cast::<pg_sys::RenameStmt>();
                if (*rename).renameType != pg_sys::ObjectType::OBJECT_DATABASE {
                    return None;
                }
                (*rename).subname
            }
            pg_sys::NodeTag::T_CreatedbStmt => template_of(node.cast()),
            _ => return None,
        };
        if name.is_null() {
            return None;
        }
        let database = pg_sys::get_database_oid(name, true);
        let may_disturb = match kind {
            pg_sys::NodeTag::T_CreatedbStmt => may_copy(database),
            _ => owns(database),
        };
        (database != pg_sys::InvalidOid && may_disturb).then_some(database)
    }
}

/// The TEMPLATE that a CREATE DATABASE names, or the one that Postgres takes when none is named.
unsafe fn template_of(create: *mut pg_sys::CreatedbStmt) -> *mut c_char {
    const DEFAULT: &CStr = c"template1";
    // SAFETY: the statement is valid; nobody writes through the default's pointer.
    unsafe {
        match option_of((*create).options, c"template") {
            Some(option) if !(*option).arg.is_null() => pg_sys::defGetString(option),
            _ => DEFAULT.as_ptr().cast_mut(),
        }
    }
}

/// The option of a command on databases that has this name.
unsafe fn option_of(options: *mut pg_sys::List, name: &CStr) -> Option<*mut pg_sys::DefElem> {
    // SAFETY: the options of these commands are a list of DefElem.
    unsafe {
        let length = if options.is_null() { 0 } else { usize::try_from((*options).length).unwrap_or(0) };
        (0..length)
            .map(|index| (*(*options).elements.add(index)).ptr_value.cast::<pg_sys::DefElem>())
            .find(|option| CStr::from_ptr((**option).defname) == name)
    }
}

/// What becomes of a prepared transaction.
pub(super) enum Resolution {
    Done,
    Undone,
}

/// What a command has become of a prepared transaction, where it is about one.
pub(super) unsafe fn resolution_of_prepared(node: *mut pg_sys::Node) -> Option<Resolution> {
    // SAFETY: a node's tag tells its type.
    let kind = unsafe {
        if (*node).type_ != pg_sys::NodeTag::T_TransactionStmt {
            return None;
        }
        (*node.cast::<pg_sys::TransactionStmt>()).kind
    };
    match kind {
        pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED => Some(Resolution::Done),
        pg_sys::TransactionStmtKind::TRANS_STMT_ROLLBACK_PREPARED => Some(Resolution::Undone),
        _ => None,
    }
}

pub(super) unsafe fn drops_extension(node: *mut pg_sys::Node) -> bool {
    // SAFETY: a node's tag tells its type.
    unsafe {
        (*node).type_ == pg_sys::NodeTag::T_DropStmt
            && (*node.cast::<pg_sys::DropStmt>()).removeType == pg_sys::ObjectType::OBJECT_EXTENSION
    }
}
