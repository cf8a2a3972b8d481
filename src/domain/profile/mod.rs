//! What is known of the platforms that run functions: their limits, and what their errors mean.
//!
//! A profile fills in what an endpoint leaves open. All that is a fact about a platform stands in two tables, [`limits`] and
//! [`errors`], with the page that says so.

pub mod advice;
pub mod diagnosis;
pub mod errors;
pub mod limits;

use limits::PlatformLimits;

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

/// Who answers with an error of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Supabase's gateway and runtime.
    Supabase,
    /// Cloudflare, which runs Workers and stands in front of Supabase as well.
    Cloudflare,
}

/// There is no such profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile \"{0}\"; there are generic, supabase-free, supabase-pro, cloudflare and deno")]
pub struct UnknownProfile(String);

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 5] = [Self::Generic, Self::SupabaseFree, Self::SupabasePro, Self::Cloudflare, Self::Deno];

    /// Reads a profile's name.
    pub fn parse(name: &str) -> Result<Self, UnknownProfile> {
        let found = Self::ALL.into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| UnknownProfile(name.to_owned()))
    }

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::SupabaseFree => "supabase-free",
            Self::SupabasePro => "supabase-pro",
            Self::Cloudflare => "cloudflare",
            Self::Deno => "deno",
        }
    }

    /// What the platform allows.
    pub fn limits(self) -> PlatformLimits {
        limits::of(self)
    }

    /// Whose errors its calls may meet. Deno Deploy documents none.
    pub fn platforms(self) -> &'static [Platform] {
        match self {
            Self::SupabaseFree | Self::SupabasePro => &[Platform::Supabase, Platform::Cloudflare],
            Self::Cloudflare => &[Platform::Cloudflare],
            Self::Generic | Self::Deno => &[],
        }
    }

    /// Whether a legacy key, a JSON web token, is sent as `Authorization: Bearer` as well as in `apikey`.
    pub fn wants_bearer(self, key: &[u8]) -> bool {
        let is_jwt = key.starts_with(b"eyJ") && key.iter().filter(|byte| **byte == b'.').count() == 2;
        matches!(self, Self::SupabaseFree | Self::SupabasePro) && is_jwt
    }
}
