//! Why a trigger cannot call `edge.webhook`.

use super::options::NAMES;
use crate::domain::endpoint::EndpointError;
use crate::domain::header::HeaderError;
use crate::domain::placeholder::PlaceholderError;
use crate::domain::request::RequestError;

/// What is wrong with the arguments of a trigger, or with the trigger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Too few or too many arguments.
    #[error("edge.webhook takes a function or a URL, then an endpoint, then options, and not {0} arguments")]
    Arguments(usize),
    /// The options have the wrong shape.
    #[error("the options must be a JSON object, such as {{\"timeout\": \"10 s\"}}")]
    NotAnObject,
    /// No option of that name.
    #[error("there is no option \"{}\"; there are {}", .0.escape_debug(), NAMES.join(", "))]
    Unknown(String),
    /// An option has a value of the wrong kind.
    #[error("option \"{option}\" must be {wanted}, not {given}")]
    Value {
        /// Its name.
        option: &'static str,
        /// What it takes.
        wanted: &'static str,
        /// What was given, shortened.
        given: String,
    },
    /// An option that means nothing without another.
    #[error("option \"{option}\" needs {needed}")]
    Alone {
        /// Its name.
        option: &'static str,
        /// What is missing.
        needed: &'static str,
    },
    /// Two that cannot be had together.
    #[error("option \"metadata_columns\" is about one row, and a batch has many")]
    RowOfBatch,
    /// A request that could not carry the row.
    #[error("a request with method GET or HEAD has no body, so it cannot carry the row")]
    NoBody,
    /// Not after the fact.
    #[error("it must be an AFTER trigger: what a {0} trigger sees may still be changed, or not happen")]
    NotAfter(&'static str),
    /// Not a table's.
    #[error("it is on a view: make it on the table that the rows go to")]
    OnAView,
    /// A batch of what is always one.
    #[error(
        "option \"batch\" needs FOR EACH STATEMENT, and the rows by name: CREATE TRIGGER … AFTER INSERT ON … REFERENCING NEW \
         TABLE AS added FOR EACH STATEMENT …"
    )]
    BatchOfOne,
    /// The rows are not there.
    #[error(
        "option \"{0}\" needs the rows: with FOR EACH STATEMENT name them by REFERENCING NEW TABLE AS …, OLD TABLE AS …, or \
         say FOR EACH ROW"
    )]
    NeedsRows(&'static str),
    /// Half of the rows are not there.
    #[error("option \"when_changed\" needs the rows before and after: REFERENCING OLD TABLE AS … NEW TABLE AS …")]
    NeedsBoth,
    /// The table has no such column.
    #[error("option \"{option}\" names column \"{}\", which the table does not have, or does not store", .column.escape_debug())]
    NoColumn {
        /// Its name.
        option: &'static str,
        /// What it names.
        column: String,
    },
    /// Not a name of a function.
    #[error("option \"on_complete\" must name a function with its schema, such as \"public.sent\", not \"{}\"", .0.escape_debug())]
    FunctionName(String),
    /// No function that could be called back.
    #[error("option \"on_complete\" names a function that is not there: {}(edge.response)", .0.escape_debug())]
    NoFunction(String),
    /// A function that somebody else may change.
    #[error(
        "option \"on_complete\" names {}, which must belong to the table's owner \"{}\", as whom it runs, or to a superuser",
        .function.escape_debug(), .owner.escape_debug()
    )]
    ForeignFunction {
        /// Its name.
        function: String,
        /// Whose it would have to be.
        owner: String,
    },
    /// A secret that would go wherever the trigger says.
    #[error(
        "placeholders for secrets need an endpoint: the secrets of the table's owner go to no address that is written in a \
         trigger alone"
    )]
    SecretWithoutEndpoint,
    /// Not a path to a function, or not the name of an endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Bad headers.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A placeholder that is none.
    #[error(transparent)]
    Placeholder(#[from] PlaceholderError),
    /// A bad URL, parameters or method.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl WebhookError {
    /// What to do about it, where that is not said already.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NoColumn { .. } => Some("Where the column was renamed, make the trigger anew with its present name."),
            Self::NoFunction(_) => {
                Some("Make the function, with its argument of type edge.response, or make the trigger anew without it.")
            }
            Self::ForeignFunction { .. } => Some("ALTER FUNCTION … OWNER TO … gives it to the owner of the table."),
            _ => None,
        }
    }
}
