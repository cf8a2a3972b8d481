//! The one error of the floors that know Postgres: a sentence, a SQLSTATE (`sqlstate`), and where it helps a hint (`hint`).

mod hint;
mod sqlstate;

use pgrx::PgLogLevel;
use pgrx::pg_sys::panic::ErrorReport;

use crate::domain::batch::chunks::BatchError;
use crate::domain::endpoint::EndpointError;
use crate::domain::header::HeaderError;
use crate::domain::net::BadUrl;
use crate::domain::pairs::PairsError;
use crate::domain::placeholder::PlaceholderError;
use crate::domain::profile::UnknownProfile;
use crate::domain::request::RequestError;
use crate::domain::retry_policy::PolicyError;
use crate::domain::schedule::ScheduleError;
use crate::domain::signature::SignatureError;
use crate::domain::socket::address::AddressError;
use crate::domain::socket::wish::WishError;
use crate::domain::stream::path::PathError;
use crate::domain::stream::rules::UnknownFormat;
use crate::domain::webhook::doubt::{Doubt, Gap};
use crate::domain::webhook::error::WebhookError;

/// What SQL users are told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("pg_edge must be loaded when the server starts")]
    NotPreloaded,
    #[error("pg_edge needs a database with encoding UTF8 or SQL_ASCII, this one has {0}")]
    Encoding(String),
    #[error("{0} must not be null")]
    NullArgument(&'static str),
    #[error("{argument} must be {wanted}, not {given}")]
    OutOfRange { argument: &'static str, wanted: &'static str, given: String },
    #[error("{0} is not valid UTF-8")]
    NotUtf8(&'static str),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    NetUrl(#[from] BadUrl),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    Profile(#[from] UnknownProfile),
    #[error(transparent)]
    StreamFormat(#[from] UnknownFormat),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("endpoint \"{0}\" exists already")]
    EndpointExists(String),
    #[error("endpoint \"{0}\" has calls that have not ended")]
    EndpointInUse(String),
    #[error("endpoint \"{name}\" is called by {count} schedule(s), such as \"{schedule}\"")]
    EndpointScheduled { name: String, count: i64, schedule: String },
    #[error(transparent)]
    Placeholder(#[from] PlaceholderError),
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("a placeholder for a secret in headers needs the right to execute edge.set_secret(text, text)")]
    SecretsNotAllowed,
    #[error("the value of a secret must have 1 to 65536 bytes, not {0}")]
    SecretLength(usize),
    #[error("secret \"{name}\" cannot be decrypted with the key file \"{file}\": {reason}")]
    SecretClosed { name: String, file: String, reason: String },
    #[error("the key file \"{file}\" cannot be used: {reason}")]
    KeyFile { file: String, reason: String },
    #[error("the operating system gives no random bytes")]
    NoRandomness,
    #[error("call {0} does not exist")]
    NoSuchCall(i64),
    #[error("call {0} was queued by this transaction and is sent only after its commit")]
    QueuedHere(i64),
    #[error("{0} needs a transaction that sees new commits")]
    FrozenSnapshot(&'static str),
    #[error("{0} waits no longer: the extension pg_edge is being dropped or altered")]
    ExtensionChanging(&'static str),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("call {0} has not ended yet")]
    NotEnded(i64),
    #[error("idempotency key \"{key}\" belongs to call {call}, which is a different request")]
    KeyTaken { key: String, call: i64 },
    #[error("endpoint \"{0}\" does not exist")]
    NoSuchEndpoint(String),
    #[error("too many calls of role \"{role}\" have not ended")]
    QueueFull { role: String, queued: u64, limit: u64 },
    #[error("permission denied for function {0}")]
    NotExecutable(String),
    #[error("on_complete function {0} must take exactly one argument, of type edge.response, and return no set")]
    NotACallback(String),
    #[error("on_message function {0} must take exactly one argument, of type edge.ws_message, and return no set")]
    NotAReceiver(String),
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Wish(#[from] WishError),
    #[error("websocket \"{0}\" does not exist")]
    NoSuchSocket(String),
    #[error("websocket \"{0}\" has been closed by edge.ws_close")]
    SocketClosed(String),
    #[error("several roles have a websocket \"{0}\", and you have none")]
    AmbiguousSocket(String),
    #[error("{what} has {size} bytes, more than the {limit} of pg_edge.ws_max_message_bytes")]
    MessageTooLarge { what: &'static str, size: usize, limit: usize },
    #[error("{what} has {size} bytes, more than the {limit} that it may have")]
    ReportTooLarge { what: &'static str, size: usize, limit: usize },
    #[error("too many messages wait to be sent over websocket \"{name}\"")]
    SocketFull { name: String, limit: u64 },
    #[error("role {role} has as many websockets as it may")]
    TooManySockets { role: String, limit: u64 },
    #[error("endpoint \"{name}\" has {count} websocket(s), such as \"{socket}\"")]
    EndpointConnected { name: String, count: i64, socket: String },
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error("schedule \"{name}\" would never run: \"{schedule}\" {why}")]
    NeverRuns { name: String, schedule: String, why: &'static str },
    #[error("ends_at must not be earlier than starts_at, but {ends_at} is earlier than {starts_at}")]
    EndsFirst { starts_at: String, ends_at: String },
    #[error("there are more than {0} slots in that time")]
    TooManySlots(usize),
    #[error("schedule \"{0}\" does not exist")]
    NoSuchSchedule(String),
    #[error("several roles have a schedule \"{0}\", and you have none")]
    AmbiguousSchedule(String),
    #[error("timezone must be a name of pg_timezone_names, not \"{0}\"")]
    NoSuchZone(String),
    #[error("this database's time zone \"{0}\" is not the name of a zone")]
    NoDefaultZone(String),
    #[error("the command holds no statement")]
    NoCommand,
    #[error("the command cannot be run: {0}")]
    Command(String),
    #[error("pg_cron is not in this database")]
    NoPgCron,
    #[error("edge.webhook can be called by triggers only")]
    NotATrigger,
    #[error("trigger \"{trigger}\" of table {table}: {why}")]
    Trigger { trigger: String, table: String, why: Box<Error> },
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    #[error(transparent)]
    WebhookDoubt(#[from] Doubt),
    #[error(transparent)]
    WebhookGap(#[from] Gap),
    #[error("the calls of a webhook belong to the table's owner \"{owner}\", whose rights you do not have")]
    NotTheOwner { owner: String },
    #[error("pg_edge is not installed in this database")]
    NotInstalled,
    #[error("a table of pg_edge holds a null where there must be a value, or no row where there must be one")]
    Malformed,
    #[error("a statement of pg_edge failed: {0}")]
    Spi(#[from] pgrx::spi::Error),
}

impl Error {
    /// Raises it as a Postgres ERROR.
    pub fn raise(self) -> ! {
        ErrorReport::from(self).report(PgLogLevel::ERROR);
        // A report of that level leaves by Postgres' long jump, which pgrx carries on as a panic.
        unreachable!("ereport(ERROR) does not return")
    }

    /// The same, of a trigger of this table, whose name is as it is shown.
    pub fn of_trigger(self, trigger: String, table: String) -> Self {
        Self::Trigger { trigger, table, why: Box::new(self) }
    }
}

impl From<PairsError> for Error {
    fn from(error: PairsError) -> Self {
        Self::Request(error.into())
    }
}

impl From<Error> for ErrorReport {
    #[track_caller]
    fn from(error: Error) -> Self {
        let report = ErrorReport::new(error.sqlstate(), error.to_string(), "");
        match error.hint() {
            Some(hint) => report.set_hint(hint),
            None => report,
        }
    }
}
