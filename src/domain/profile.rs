//! What is known of the platforms that run functions: their limits, and which of their errors a retry does not mend.
//!
//! A profile fills in what an endpoint leaves open. Sources, read in November 2026: Supabase's "Limits" and "Status codes"
//! pages of Edge Functions, Cloudflare's "Limits" page of Workers and its page on error 524, Deno Deploy's "Limits" page.

use std::time::Duration;

/// What runs behind an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Anything; the settings of pg_edge hold.
    #[default]
    Generic,
    /// Supabase Edge Functions, free plan.
    SupabaseFree,
    /// Supabase Edge Functions, paid plans.
    SupabasePro,
    /// Cloudflare Workers.
    Cloudflare,
    /// Deno Deploy.
    Deno,
}

/// The limits of a platform; `None` where it names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlatformLimits {
    /// From the start of an attempt to the end of the answer.
    pub total: Option<Duration>,
    /// From the start of an attempt to the response head.
    pub first_byte: Option<Duration>,
    /// The largest request body, in bytes.
    pub max_request_bytes: Option<usize>,
}

/// There is no such profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile \"{0}\"; there are generic, supabase-free, supabase-pro, cloudflare and deno")]
pub struct UnknownProfile(String);

impl Profile {
    /// Reads a profile's name.
    pub fn parse(name: &str) -> Result<Self, UnknownProfile> {
        match name {
            "generic" => Ok(Self::Generic),
            "supabase-free" => Ok(Self::SupabaseFree),
            "supabase-pro" => Ok(Self::SupabasePro),
            "cloudflare" => Ok(Self::Cloudflare),
            "deno" => Ok(Self::Deno),
            other => Err(UnknownProfile(other.to_owned())),
        }
    }

    /// What the platform allows.
    pub fn limits(self) -> PlatformLimits {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        match self {
            Self::Generic => PlatformLimits::default(),
            // A worker lives so long (150 s, 400 s paid); one that has not answered after 150 s is answered 504 for. A
            // few seconds are added, so that the platform's own, more telling error arrives first.
            Self::SupabaseFree => {
                PlatformLimits { total: seconds(160), first_byte: seconds(155), max_request_bytes: None }
            }
            Self::SupabasePro => {
                PlatformLimits { total: seconds(410), first_byte: seconds(155), max_request_bytes: None }
            }
            // The proxy answers 524 for an origin that is silent for 100 s, and 413 for more than 100 MB.
            Self::Cloudflare => {
                PlatformLimits { total: None, first_byte: seconds(105), max_request_bytes: Some(100 * 1000 * 1000) }
            }
            Self::Deno => PlatformLimits::default(),
        }
    }

    /// Statuses that the same request would only meet again.
    pub fn final_statuses(self) -> &'static [u16] {
        match self {
            // The function ran out of its limits: WORKER_LIMIT, WORKER_RESOURCE_LIMIT.
            Self::SupabaseFree | Self::SupabasePro => &[546],
            Self::Generic | Self::Cloudflare | Self::Deno => &[],
        }
    }

    /// Whether a legacy key, a JSON web token, is sent as `Authorization: Bearer` as well as in `apikey`.
    pub fn wants_bearer(self, key: &[u8]) -> bool {
        let is_jwt = key.starts_with(b"eyJ") && key.iter().filter(|byte| **byte == b'.').count() == 2;
        matches!(self, Self::SupabaseFree | Self::SupabasePro) && is_jwt
    }
}
