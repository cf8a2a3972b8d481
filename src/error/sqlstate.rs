//! Which SQLSTATE an error is raised with.

use pgrx::PgSqlErrorCode;

use super::Error;
use crate::domain::batch::chunks::BatchError;
use crate::domain::webhook::error::WebhookError;

impl Error {
    /// The code it is raised with.
    pub fn sqlstate(&self) -> PgSqlErrorCode {
        use PgSqlErrorCode as Code;
        match self {
            Self::NotPreloaded | Self::NotInstalled | Self::NoPgCron => Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Self::Encoding(_) => Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            Self::NullArgument(_) | Self::Batch(BatchError::Null(_)) => Code::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Self::OutOfRange { .. }
            | Self::Request(_)
            | Self::Batch(BatchError::TooLarge { .. })
            | Self::Header(_)
            | Self::NetUrl(_)
            | Self::Endpoint(_)
            | Self::Profile(_)
            | Self::StreamFormat(_)
            | Self::Policy(_)
            | Self::Placeholder(_)
            | Self::Signature(_)
            | Self::Address(_)
            | Self::Wish(_)
            | Self::MessageTooLarge { .. }
            | Self::ReportTooLarge { .. }
            | Self::Schedule(_)
            | Self::NeverRuns { .. }
            | Self::TooManySlots(_)
            | Self::EndsFirst { .. }
            | Self::NoSuchZone(_)
            | Self::NoDefaultZone(_)
            | Self::NoCommand
            | Self::Path(_)
            | Self::SecretLength(_)
            | Self::KeyTaken { .. } => Code::ERRCODE_INVALID_PARAMETER_VALUE,
            Self::EndpointExists(_) => Code::ERRCODE_DUPLICATE_OBJECT,
            Self::EndpointInUse(_) | Self::EndpointScheduled { .. } | Self::EndpointConnected { .. } => {
                Code::ERRCODE_OBJECT_IN_USE
            }
            Self::SecretClosed { .. } | Self::KeyFile { .. } => Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Self::NoRandomness => Code::ERRCODE_SYSTEM_ERROR,
            Self::NotUtf8(_) => Code::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
            Self::NoSuchCall(_) | Self::NoSuchEndpoint(_) | Self::NoSuchSchedule(_) | Self::NoSuchSocket(_) => {
                Code::ERRCODE_UNDEFINED_OBJECT
            }
            Self::QueuedHere(_) | Self::FrozenSnapshot(_) => Code::ERRCODE_INVALID_TRANSACTION_STATE,
            Self::ExtensionChanging(_) => Code::ERRCODE_OBJECT_IN_USE,
            Self::NotEnded(_) | Self::SocketClosed(_) => Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Self::AmbiguousSchedule(_) | Self::AmbiguousSocket(_) => Code::ERRCODE_AMBIGUOUS_ALIAS,
            Self::Command(_) => Code::ERRCODE_SYNTAX_ERROR,
            Self::NotExecutable(_) | Self::SecretsNotAllowed | Self::NotTheOwner { .. } => {
                Code::ERRCODE_INSUFFICIENT_PRIVILEGE
            }
            Self::Webhook(WebhookError::NoColumn { .. }) => Code::ERRCODE_UNDEFINED_COLUMN,
            Self::Webhook(WebhookError::NoFunction(_)) => Code::ERRCODE_UNDEFINED_FUNCTION,
            Self::Webhook(WebhookError::ForeignFunction { .. }) => Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Self::Webhook(_) => Code::ERRCODE_INVALID_PARAMETER_VALUE,
            Self::WebhookDoubt(_) | Self::WebhookGap(_) => Code::ERRCODE_WARNING,
            Self::NotATrigger => Code::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            Self::Trigger { why, .. } => why.sqlstate(),
            Self::NotACallback(_) | Self::NotAReceiver(_) => Code::ERRCODE_INVALID_FUNCTION_DEFINITION,
            Self::QueueFull { .. } | Self::SocketFull { .. } | Self::TooManySockets { .. } => {
                Code::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED
            }
            Self::Malformed => Code::ERRCODE_DATA_CORRUPTED,
            Self::Spi(_) => Code::ERRCODE_INTERNAL_ERROR,
        }
    }
}
