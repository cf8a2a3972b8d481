//! How much time and room the platforms give.
//!
//! Sources, read in November 2026:
//! * Supabase: <https://supabase.com/docs/guides/functions/limits>. That silence also cuts an answer that has begun is not
//!   written there; the runtime's own tests show it (`request_idle_timeout_streamed_response` in supabase/edge-runtime).
//! * Cloudflare: <https://developers.cloudflare.com/workers/platform/limits/>, and its page on error 524.
//! * Deno Deploy: <https://docs.deno.com/deploy/reference/limits/>, which names none of these; its memory is in
//!   <https://docs.deno.com/deploy/pricing_and_limits>.

use std::time::Duration;

use super::Profile;

/// The limits of a platform; `None` where it names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlatformLimits {
    /// From the start of an attempt to the end of the answer.
    pub total: Option<Duration>,
    /// From the start of an attempt to the response head.
    pub first_byte: Option<Duration>,
    /// Between two pieces of an answer that is streamed.
    pub idle: Option<Duration>,
    /// After this time a websocket is to have another connection, before the platform ends the old one.
    pub socket_age: Option<Duration>,
    /// The largest request body, in bytes.
    pub max_request_bytes: Option<usize>,
}

/// Nothing is named.
const NONE: PlatformLimits =
    PlatformLimits { total: None, first_byte: None, idle: None, socket_age: None, max_request_bytes: None };

/// A platform's own error says more than a timeout of ours, so ours comes these few seconds later.
const LATER: u64 = 5;

/// Supabase answers 504 for a function that has said nothing for so long, and cuts an answer that has begun.
const SUPABASE_IDLE: u64 = 150;

/// So long a worker of Supabase's free plan lives, whatever it is doing.
const SUPABASE_FREE_WALL_CLOCK: u64 = 150;

/// The same on paid plans.
const SUPABASE_PAID_WALL_CLOCK: u64 = 400;

/// A connection is replaced a little before its worker's end: a peer's own restart message comes so early too.
const SOCKET_MARGIN_FREE: u64 = 10;

/// The same on paid plans. Supabase's own example of a resumable websocket announces its restart after 340 s.
const SOCKET_MARGIN_PAID: u64 = 60;

/// Cloudflare's proxy answers 524 for an origin that is silent for so long.
const CLOUDFLARE_SILENCE: u64 = 100;

/// Cloudflare answers 413 for a larger body, on its free and Pro plans.
const CLOUDFLARE_BODY: usize = 100 * 1000 * 1000;

/// What the platform behind a profile allows.
pub(super) fn of(profile: Profile) -> PlatformLimits {
    match profile {
        Profile::Generic | Profile::Deno => NONE,
        Profile::SupabaseFree => supabase(SUPABASE_FREE_WALL_CLOCK, SOCKET_MARGIN_FREE),
        Profile::SupabasePro => supabase(SUPABASE_PAID_WALL_CLOCK, SOCKET_MARGIN_PAID),
        Profile::Cloudflare => PlatformLimits {
            first_byte: seconds(CLOUDFLARE_SILENCE + LATER),
            max_request_bytes: Some(CLOUDFLARE_BODY),
            ..NONE
        },
    }
}

fn supabase(wall_clock: u64, margin: u64) -> PlatformLimits {
    PlatformLimits {
        total: seconds(wall_clock + LATER),
        first_byte: seconds(SUPABASE_IDLE + LATER),
        idle: seconds(SUPABASE_IDLE + LATER),
        socket_age: seconds(wall_clock - margin),
        max_request_bytes: None,
    }
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}
