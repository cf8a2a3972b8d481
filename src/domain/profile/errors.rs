//! The errors of the platforms: what they mean, and what to do.
//!
//! Sources, read in November 2026:
//! * Supabase: <https://supabase.com/docs/guides/functions/error-codes> and <https://supabase.com/docs/guides/functions/status-codes>;
//!   `x-relay-error` is what its client libraries look for.
//! * Cloudflare: <https://developers.cloudflare.com/workers/observability/errors/> for 10xx and 11xx,
//!   <https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/> for 520 to 524.
//! * Deno Deploy documents no errors of its own.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Platform::{self, Cloudflare, Supabase};
use super::advice::Advice::{self, AsThePolicySays, AtMost, Final, NotBefore};

/// What a platform calls an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It says so in a header or in its body.
    Named(&'static str),
    /// The status alone says it, whatever code comes along.
    Any,
}

/// Whom an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// The call, or a function.
    Call,
    /// The key of the endpoint: every call that carries it will fail.
    Key,
}

/// An error that is known.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownError {
    /// Whose.
    pub platform: Platform,
    /// Under which statuses it comes.
    pub statuses: RangeInclusive<u16>,
    /// What it is called.
    pub code: Code,
    /// What to do.
    pub advice: Advice,
    /// Whom it is about.
    pub concerns: Concerns,
    /// What it means, and what a user can do about it. It goes on after a colon.
    pub meaning: &'static str,
}

const fn known(
    platform: Platform,
    statuses: RangeInclusive<u16>,
    code: Code,
    advice: Advice,
    meaning: &'static str,
) -> KnownError {
    KnownError { platform, statuses, code, advice, concerns: Concerns::Call, meaning }
}

const fn key(code: &'static str, meaning: &'static str) -> KnownError {
    let code = Code::Named(code);
    KnownError { platform: Supabase, statuses: 401..=401, code, advice: Final, concerns: Concerns::Key, meaning }
}

const fn named(code: &'static str) -> Code {
    Code::Named(code)
}

const SERVER: RangeInclusive<u16> = 500..=599;
const ERROR: RangeInclusive<u16> = 400..=599;

/// Every error that is known. The first row that fits is meant.
#[rustfmt::skip]
pub static ERRORS: [KnownError; 36] = [
    // The gateway checks tokens before anything runs.
    key("UNAUTHORIZED_NO_AUTH_HEADER",
        "no key came along; set apikey or Authorization among the endpoint's headers"),
    key("UNAUTHORIZED_ASYMMETRIC_JWT",
        "the token is not valid or has expired; replace it in the endpoint's headers"),
    key("UNAUTHORIZED_LEGACY_JWT",
        "the legacy key is not valid, has expired or was revoked; replace it in the endpoint's headers"),
    key("UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM",
        "the token is none that the platform issues; replace it in the endpoint's headers"),
    key("UNAUTHORIZED_INVALID_JWT_FORMAT",
        "Authorization is not \"Bearer\" and a token; a key that is no token goes in apikey alone"),
    // "Redeploy, and wait a few minutes": no retry lasts that long by default, and a call can be replayed.
    known(Supabase, 404..=404, named("NOT_FOUND"), Final,
        "there is no such function in this region; deploy it, then replay the call"),
    known(Supabase, 404..=404, named("NOT_FOUND_FUNCTION_BLOB"), Final,
        "the function's bundle is missing; deploy it again, then replay the call"),
    known(Supabase, 405..=405, Code::Any, Final,
        "functions take GET, POST, PUT, PATCH, DELETE and OPTIONS"),
    known(Supabase, ERROR, named("INVALID_URL"), Final,
        "the platform does not take this URL"),
    known(Supabase, 429..=429, named("RATE_LIMIT_EXCEEDED"), AsThePolicySays,
        "functions call each other too often; let Postgres make these calls, or batch them"),
    known(Supabase, SERVER, named("WORKER_ERROR"), AsThePolicySays,
        "the function threw outside of its handler; its log says what"),
    known(Supabase, SERVER, named("EDGE_FUNCTION_ERROR"), AsThePolicySays,
        "the function threw, or answered so itself; its log says why"),
    known(Supabase, ERROR, named("INVALID_RESPONSE_STATUS_CODE"), Final,
        "the function answered with a status that is none; it should answer with one of 200 to 599"),
    // A function that was deployed a moment ago may start at the next try; one with a syntax error never does.
    known(Supabase, SERVER, named("BOOT_ERROR"), AtMost(2),
        "the function does not start; its log says why"),
    known(Supabase, SERVER, named("LOAD_FUNCTION_ERROR"), NotBefore(Duration::from_secs(10)),
        "the platform could not load the function for the moment"),
    known(Supabase, SERVER, named("LOAD_FUNCTION_METADATA_ERROR"), NotBefore(Duration::from_secs(120)),
        "the platform could not look the function up for the moment"),
    known(Supabase, SERVER, named("LOAD_FUNCTION_INVALID_ENTRYPOINT_PATH_ERROR"), Final,
        "the function has no valid entry point; deploy it again, then replay the call"),
    known(Supabase, SERVER, named("LOAD_FUNCTION_UNBUNDLING_ERROR"), Final,
        "the function's bundle is broken; deploy it again, then replay the call"),
    // The work may have been done, and a function that is too slow is so again.
    known(Supabase, 504..=504, named("IDLE_TIMEOUT"), AtMost(2),
        "the function did not answer within 150 s; have it answer first and work on, as a job"),
    known(Supabase, 546..=546, named("WORKER_LIMIT"), Final, WORKER_LIMIT),
    known(Supabase, 546..=546, named("WORKER_RESOURCE_LIMIT"), Final, WORKER_LIMIT),
    known(Supabase, 546..=546, Code::Any, Final, WORKER_LIMIT),
    known(Supabase, ERROR, named(RELAY), AsThePolicySays,
        "the relay before the function failed, and the function was not reached"),
    known(Cloudflare, ERROR, named("1101"), AsThePolicySays,
        "the Worker threw an exception; its log says what"),
    // Memory is shared with other requests of the same isolate, so another try may find more of it.
    known(Cloudflare, ERROR, named("1102"), AtMost(2),
        "the Worker used up its processor time or memory; send less at once"),
    known(Cloudflare, ERROR, named("1015"), AsThePolicySays,
        "more requests came than a rate limit of the zone allows; set max_rate"),
    known(Cloudflare, ERROR, named("1019"), Final,
        "Workers call each other in a loop"),
    known(Cloudflare, ERROR, named("1021"), Final,
        "the Worker asks a host that it cannot reach"),
    known(Cloudflare, ERROR, named("1022"), AsThePolicySays,
        "the request was not routed to the Worker"),
    // It passes at midnight UTC.
    known(Cloudflare, ERROR, named("1027"), NotBefore(Duration::from_secs(60 * 60)),
        "the free plan's requests of this day are used up"),
    known(Cloudflare, ERROR, named("1042"), Final,
        "the Worker calls another one of its zone, which is not supported"),
    known(Cloudflare, 520..=520, Code::Any, AsThePolicySays,
        "Cloudflare could not read the server's answer"),
    known(Cloudflare, 521..=521, Code::Any, AsThePolicySays,
        "the server refused Cloudflare's connection"),
    known(Cloudflare, 522..=522, Code::Any, AsThePolicySays,
        "the server did not take Cloudflare's connection in time"),
    known(Cloudflare, 523..=523, Code::Any, AsThePolicySays,
        "Cloudflare found no way to the server"),
    known(Cloudflare, 524..=524, Code::Any, AsThePolicySays,
        "the server did not answer Cloudflare within 100 s"),
];

/// What stands in the place of a code where an answer has the header `x-relay-error: true`.
pub(super) const RELAY: &str = "x-relay-error";

/// What is said of 546, however it is called.
const WORKER_LIMIT: &str = "the function used up its memory, processor or wall clock time; send less at once";

/// The error that a platform means by a status and a code.
pub(super) fn find(platforms: &[Platform], status: u16, code: Option<&str>) -> Option<&'static KnownError> {
    ERRORS.iter().find(|row| platforms.contains(&row.platform) && row.statuses.contains(&status) && row.is_called(code))
}

impl KnownError {
    fn is_called(&self, code: Option<&str>) -> bool {
        match self.code {
            Code::Named(name) => code == Some(name),
            Code::Any => true,
        }
    }
}
