//! What to do about an error, where its sentence does not say so already.

use std::borrow::Cow;

use super::Error;

impl Error {
    /// What to do about it, where there is something to be said.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Trigger { why, .. } => return why.hint(),
            Self::Webhook(why) => why.advice(),
            Self::WebhookDoubt(doubt) => Some(doubt.advice()),
            Self::WebhookGap(gap) => Some(gap.advice()),
            Self::QueueFull { queued, limit, .. } => {
                return Some(Cow::Owned(format!(
                    "{queued} are queued, and pg_edge.max_queued_per_role allows {limit}. Wait until some have ended, cancel \
                     some, or raise the setting."
                )));
            }
            Self::SocketFull { limit, .. } => {
                return Some(Cow::Owned(format!(
                    "pg_edge.ws_max_queued allows {limit}. Its state in edge.ws_connections says why they wait."
                )));
            }
            Self::TooManySockets { limit, .. } => {
                return Some(Cow::Owned(format!(
                    "pg_edge.ws_max_per_role allows {limit}. Close one with edge.ws_close, or raise the setting."
                )));
            }
            Self::NotPreloaded => Some(
                "Add this line to postgresql.conf and restart the server: shared_preload_libraries = 'pg_edge' \
                 (keep what is listed there already, separated by commas).",
            ),
            Self::QueuedHere(_) => Some("Commit first, then wait in a transaction of its own."),
            Self::FrozenSnapshot(_) => Some("Use isolation level READ COMMITTED."),
            Self::KeyTaken { .. } => {
                Some("Use one key for one request, or wait until pg_edge.idempotency_window is over.")
            }
            Self::NoSuchEndpoint(_) => {
                Some("edge.endpoints lists those that there are; edge.create_endpoint makes one.")
            }
            Self::EndpointInUse(_) => Some(
                "Wait for them, or give force => true: they then fail, and can be replayed once there is an endpoint of that name.",
            ),
            Self::EndpointScheduled { .. } => Some(
                "Drop or change them (edge.schedules has the endpoint of each), or give force => true: they are then stopped.",
            ),
            Self::SecretsNotAllowed => Some(
                "Name an endpoint that has the header, or ask a superuser: GRANT EXECUTE ON FUNCTION edge.set_secret.",
            ),
            Self::KeyFile { .. } => Some(
                "The file of pg_edge.secret_key_file must belong to the server's user, with mode 0600. See docs/secrets.md.",
            ),
            Self::SecretClosed { .. } => {
                Some("Bring the key back into the file from its backup, or set the secret anew.")
            }
            Self::NoSuchSchedule(_) => Some("edge.schedules lists those that there are. A name belongs to a role."),
            Self::AmbiguousSchedule(_) => Some(
                "SET ROLE to the one whose schedule is meant, or edge.unschedule(id): edge.schedules has their ids and owners.",
            ),
            Self::NoSuchSocket(_) => Some(
                "edge.ws_connections lists those that there are; edge.ws_open opens one. A name belongs to a role.",
            ),
            Self::SocketClosed(_) => Some("edge.ws_open opens it again."),
            Self::AmbiguousSocket(_) => Some(
                "SET ROLE to the one whose websocket is meant, or edge.ws_close(id): edge.ws_connections has their ids and owners.",
            ),
            Self::EndpointConnected { .. } => Some(
                "Close them (edge.ws_connections has the endpoint of each), or give force => true: they then cannot be opened any more.",
            ),
            Self::NoSuchZone(_) => Some(
                "Such as Europe/Berlin. An offset or an abbreviation will not do: \
                 it does not know when the clocks are changed.",
            ),
            Self::NoDefaultZone(_) => Some(
                "Name one by timezone => 'Europe/Berlin', say, or with ALTER DATABASE … SET timezone. pg_timezone_names lists \
                 those that there are.",
            ),
            Self::TooManySlots(_) => {
                Some("Ask for a shorter time, or for one part after the other: no slot is run twice.")
            }
            Self::NoPgCron => Some("Its jobs are kept in the database of cron.database_name; import them there."),
            Self::NotEnded(_) => Some("Wait for it, or cancel it first."),
            _ => None,
        };
        hint.map(Cow::Borrowed)
    }
}
