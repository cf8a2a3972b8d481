//! The values that placeholders stand for.
//!
//! Runs on the main thread of a dispatcher. Values are read inside a turn's transaction, before a call leaves the
//! backlog's hands, so that an error of Postgres loses no call; putting them in place then needs no database. They stay in
//! memory for some seconds; a change by `edge.set_secret` makes them forgotten at once. What has no value ends its
//! call with a sentence that names the placeholder, and never a value.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName};
use pgrx::pg_sys;
use zeroize::Zeroizing;

use crate::domain::header;
use crate::domain::placeholder::{self, Kind, Placeholder, PlaceholderError, Segment};
use crate::domain::seal::Sealed;
use crate::domain::signature::SignatureError;
use crate::error::Error;
use crate::guc;
use crate::store::secret_file::{self, FileError};
use crate::store::transaction::{in_subtransaction, under_snapshot};
use crate::store::vault::Answer;
use crate::store::{key_file, secrets, vault};

/// How long a value is taken for current. Nobody tells of changes in Vault, in a file, or by a prepared transaction.
const FRESH: Duration = Duration::from_secs(5);
const FRESH_FILE: Duration = Duration::from_secs(1);

/// That there is none holds for the other calls of the turn: whoever mends it should not have to wait.
const FRESH_FAILURE: Duration = Duration::from_millis(1);

/// Values kept; with more, all begin anew.
const MOST_KEPT: usize = 1024;

/// The values that placeholders stand for, and who may use them.
#[derive(Default)]
pub struct Secrets {
    known: HashMap<Placeholder, Known>,
    /// Roles whose right was looked up, and in which turn.
    rights: HashMap<pg_sys::Oid, (bool, SystemTime)>,
}

struct Known {
    value: Result<Zeroizing<String>, Unresolved>,
    until: SystemTime,
}

/// Why a text cannot be sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unresolved {
    #[error("{0} does not exist")]
    Missing(Placeholder),
    #[error("{placeholder} cannot be read: {reason}")]
    Unreadable { placeholder: Placeholder, reason: String },
    /// Not the placeholder's fault: somebody holds a lock, or this process has run out of something.
    #[error("{0} cannot be read now")]
    NotNow(Placeholder),
    #[error("with the values of its placeholders, header \"{0}\" holds a line break or another control character")]
    NotAHeader(HeaderName),
    #[error("the role that queued the call has no right to placeholders for secrets")]
    NotAllowed,
    #[error(transparent)]
    Malformed(#[from] PlaceholderError),
    #[error("the call cannot be signed: {0}")]
    Unsigned(#[from] SignatureError),
}

impl Secrets {
    /// Reads everything anew from now on.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Keeps memory within bounds. Called between calls, so that no call loses what was fetched for it.
    pub fn tidy(&mut self) {
        if self.known.len() >= MOST_KEPT {
            self.known.clear();
        }
        if self.rights.len() >= MOST_KEPT {
            self.rights.clear();
        }
    }

    /// Reads what the placeholders of a text stand for, unless that is known. Needs a transaction.
    pub fn fetch(&mut self, template: &str, now: SystemTime) {
        if !placeholder::may_be_in(template) {
            return;
        }
        // What is malformed says so when it is resolved.
        for segment in placeholder::parse(template).unwrap_or_default() {
            let Segment::Placeholder(placeholder) = segment else { continue };
            if self.known.get(&placeholder).is_some_and(|known| now < known.until) {
                continue;
            }
            let value = under_snapshot(|| read(&placeholder));
            let fresh = match (&value, placeholder.kind) {
                (Err(_), _) => FRESH_FAILURE,
                (Ok(_), Kind::File) => FRESH_FILE,
                (Ok(_), Kind::Secret | Kind::Vault) => FRESH,
            };
            self.known.insert(placeholder, Known { value, until: now + fresh });
        }
    }

    /// The same for the values of headers.
    pub fn fetch_headers(&mut self, headers: &HeaderMap, now: SystemTime) {
        for value in headers.values() {
            self.fetch(std::str::from_utf8(value.as_bytes()).unwrap_or_default(), now);
        }
    }

    /// Looks up whether a role may put placeholders into headers of its own, once a turn. Needs a transaction.
    pub fn fetch_right(&mut self, role: pg_sys::Oid, now: SystemTime) -> Result<(), Error> {
        if self.rights.get(&role).is_none_or(|(_, at)| *at != now) {
            let may_use = under_snapshot(|| secrets::may_use(role))?;
            self.rights.insert(role, (may_use, now));
        }
        Ok(())
    }

    /// Whether a role may, as far as was looked up.
    pub fn allows(&self, role: pg_sys::Oid) -> bool {
        self.rights.get(&role).is_some_and(|(may_use, _)| *may_use)
    }

    /// A text with values in place of its placeholders, which were fetched before.
    pub fn resolve_text(&self, template: &str) -> Result<Zeroizing<String>, Unresolved> {
        let mut text = Zeroizing::new(String::with_capacity(template.len()));
        for segment in placeholder::parse(template)? {
            match segment {
                Segment::Text(literal) => text.push_str(&literal),
                Segment::Placeholder(placeholder) => match self.known.get(&placeholder) {
                    Some(Known { value: Ok(value), .. }) => text.push_str(value),
                    Some(Known { value: Err(why), .. }) => return Err(why.clone()),
                    None => return Err(Unresolved::Missing(placeholder)),
                },
            }
        }
        Ok(text)
    }

    /// Puts values in place of all placeholders among headers, which were fetched before.
    pub fn resolve_headers(&self, headers: &mut HeaderMap) -> Result<(), Unresolved> {
        let mut failed = None;
        for (name, value) in headers.iter_mut() {
            let template = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
            if !placeholder::may_be_in(template) {
                continue;
            }
            match self.resolve_text(template).map(|text| header::secret_value(&text)) {
                Ok(Some(resolved)) => *value = resolved,
                Ok(None) => failed = Some(Unresolved::NotAHeader(name.clone())),
                Err(why) => failed = Some(why),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn read(placeholder: &Placeholder) -> Result<Zeroizing<String>, Unresolved> {
    let missing = || Unresolved::Missing(placeholder.clone());
    let not_now = || Unresolved::NotNow(placeholder.clone());
    let unreadable = |reason: String| Unresolved::Unreadable { placeholder: placeholder.clone(), reason };
    match placeholder.kind {
        // In a subtransaction, so that a lock on this one table costs one call some time, and not all others their turn.
        Kind::Secret => match in_subtransaction(|| secrets::read(&placeholder.name)) {
            Ok(Some(sealed)) => open(&placeholder.name, &sealed).map_err(unreadable),
            Ok(None) => Err(missing()),
            Err(aborted) if aborted.is_transient() => Err(not_now()),
            Err(aborted) => Err(unreadable(format!("error {}", aborted.sqlstate_text()))),
        },
        Kind::File => {
            let content = secret_file::read(guc::secrets_directory().as_deref(), &placeholder.name);
            content.map_err(|error| match error {
                FileError::Io(error) if error.kind() == io::ErrorKind::NotFound => missing(),
                FileError::Io(error) if is_ours(&error) => not_now(),
                error => unreadable(error.to_string()),
            })
        }
        Kind::Vault => match vault::read(&placeholder.name).map_err(|error| unreadable(error.to_string()))? {
            Answer::Value(value) => Ok(value),
            Answer::NoSuchSecret => Err(missing()),
            Answer::NotInstalled => Err(unreadable(
                "there is no view vault.decrypted_secrets in a schema vault, both of a superuser".into(),
            )),
            Answer::Failed(aborted) if aborted.is_transient() => Err(not_now()),
            // What the view itself says may hold the value.
            Answer::Failed(aborted) => Err(unreadable(format!("Vault raised error {}", aborted.sqlstate_text()))),
        },
    }
}

/// Whether the process, and not the file, is at fault.
fn is_ours(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// Opens a sealed secret. Where the key file is, is not for whoever queues calls to know.
fn open(name: &str, sealed: &Sealed) -> Result<Zeroizing<String>, String> {
    let keys = key_file::read(&guc::secret_key_file()).map_err(|error| match error {
        Error::KeyFile { reason, .. } => format!("the key file cannot be used: {reason}"),
        other => other.to_string(),
    })?;
    let value = keys.open(name, sealed).map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(&value).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
}
