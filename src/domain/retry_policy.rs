//! How often, how soon and after what a call is tried again: the policy of an endpoint, as SQL writes it and as it is used.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::profile::Profile;
use super::retry_conditions::{Conditions, UnknownCondition};

/// How often and how soon a call is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Wait before the first retry.
    pub base: Duration,
    /// Each further wait is this many times the one before.
    pub factor: f64,
    /// No wait is longer, except one that the peer asked for.
    pub cap: Duration,
    /// Up to this much is added at random, so that callers that failed together do not return together.
    pub jitter: Duration,
    /// A call older than this is given up.
    pub max_age: Option<Duration>,
    /// What is tried again.
    pub retry_on: Conditions,
    /// What runs behind the endpoint: some of its errors are known to come again.
    pub profile: Profile,
}

/// A policy as it is written in JSON: `edge.retry_policy()` makes it, and endpoints keep it. Durations are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Written {
    /// What the rest changes: `default` or `durable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// See [`RetryPolicy`], as all that follow.
    pub max_attempts: Option<i64>,
    /// In seconds.
    pub base: Option<f64>,
    /// A number of at least one.
    pub factor: Option<f64>,
    /// In seconds.
    pub cap: Option<f64>,
    /// In seconds.
    pub jitter: Option<f64>,
    /// In seconds.
    pub max_age: Option<f64>,
    /// Statuses (`503`), classes of statuses (`5xx`) and classes of failures (`timeout`).
    pub retry_on: Option<Vec<String>>,
}

/// Why a policy was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not the JSON of a policy.
    #[error(
        "a retry policy must be a JSON object, as edge.retry_policy() makes it, or the name of a preset as a JSON string"
    )]
    Shape,
    /// Not a part of a policy.
    #[error(
        "a retry policy has no \"{0}\"; it has preset, max_attempts, base, factor, cap, jitter, max_age and retry_on"
    )]
    Unknown(String),
    /// A value of the wrong kind.
    #[error("{name} of a retry policy must be {wanted}, not {given}")]
    Member {
        /// Which.
        name: String,
        /// What it must be.
        wanted: &'static str,
        /// What it was.
        given: String,
    },
    /// No such preset.
    #[error("there is no retry preset \"{0}\"; there are \"default\" and \"durable\"")]
    Preset(String),
    /// A number out of range.
    #[error("{name} of a retry policy must be {wanted}, not {given}")]
    OutOfRange {
        /// Which.
        name: &'static str,
        /// What it may be.
        wanted: &'static str,
        /// What it was.
        given: String,
    },
    /// Not something a call can be tried again after.
    #[error(transparent)]
    Condition(#[from] UnknownCondition),
}

/// No wait and no age is longer: ten years.
const LONGEST: f64 = 10.0 * 365.0 * 86_400.0;

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(60 * 60),
            jitter: Duration::from_secs(1),
            max_age: None,
            retry_on: Conditions::default(),
            profile: Profile::Generic,
        }
    }
}

impl RetryPolicy {
    /// Ten attempts over three days: waits of 10 s, 44 s, 3 min, 14 min, 1 h, 5 h, 20 h, a day, and a day.
    pub fn durable() -> Self {
        Self {
            max_attempts: 10,
            base: Duration::from_secs(10),
            factor: 4.4,
            cap: Duration::from_secs(86_400),
            jitter: Duration::from_secs(10),
            ..Self::default()
        }
    }

    /// The wait after `failed` charged attempts (1 or more): `base * factor^(failed - 1)` plus jitter, capped.
    ///
    /// `random` lies in 0..=1.
    pub fn wait(&self, failed: u32, random: f64) -> Duration {
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let backoff = self.base.as_secs_f64() * self.factor.powi(exponent);
        let jitter = self.jitter.as_secs_f64() * random.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(backoff + jitter).map_or(self.cap, |wait| wait.min(self.cap))
    }
}

impl Written {
    /// Reads a JSON object, or a string that names a preset.
    pub fn parse(json: &str) -> Result<Self, PolicyError> {
        let Ok(value) = serde_json::from_str::<Value>(json) else { return Err(PolicyError::Shape) };
        let members = match value {
            Value::String(preset) => return Ok(Self { preset: Some(preset), ..Self::default() }),
            Value::Object(members) => members,
            _ => return Err(PolicyError::Shape),
        };
        let mut written = Self::default();
        for (name, value) in members {
            if !value.is_null() {
                written.set(&name, &value)?;
            }
        }
        Ok(written)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), PolicyError> {
        let wrong = |wanted| PolicyError::Member { name: name.to_owned(), wanted, given: value.to_string() };
        let seconds = || value.as_f64().ok_or_else(|| wrong("a number of seconds"));
        match name {
            "preset" => self.preset = Some(value.as_str().ok_or_else(|| wrong("a string"))?.to_owned()),
            "max_attempts" => self.max_attempts = Some(value.as_i64().ok_or_else(|| wrong("a whole number"))?),
            "base" => self.base = Some(seconds()?),
            "factor" => self.factor = Some(value.as_f64().ok_or_else(|| wrong("a number"))?),
            "cap" => self.cap = Some(seconds()?),
            "jitter" => self.jitter = Some(seconds()?),
            "max_age" => self.max_age = Some(seconds()?),
            "retry_on" => self.retry_on = Some(strings(value).ok_or_else(|| wrong("an array of strings"))?),
            _ => return Err(PolicyError::Unknown(name.to_owned())),
        }
        Ok(())
    }

    /// The JSON that [`Written::parse`] reads.
    pub fn to_json(&self) -> String {
        // Numbers, strings and nulls only; there is nothing in it that could not be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The policy of an endpoint on a platform.
    pub fn policy_under(&self, profile: Profile) -> Result<RetryPolicy, PolicyError> {
        Ok(RetryPolicy { profile, ..self.policy()? })
    }

    /// Checks it, and fills in what it leaves open.
    pub fn policy(&self) -> Result<RetryPolicy, PolicyError> {
        let preset = match self.preset.as_deref() {
            None | Some("default") => RetryPolicy::default(),
            Some("durable") => RetryPolicy::durable(),
            Some(other) => return Err(PolicyError::Preset(other.to_owned())),
        };
        Ok(RetryPolicy {
            max_attempts: self.max_attempts.map(attempts).transpose()?.unwrap_or(preset.max_attempts),
            base: span("base", self.base)?.unwrap_or(preset.base),
            factor: self.factor.map(factor).transpose()?.unwrap_or(preset.factor),
            cap: span("cap", self.cap)?.unwrap_or(preset.cap),
            jitter: span("jitter", self.jitter)?.unwrap_or(preset.jitter),
            max_age: span("max_age", self.max_age)?.or(preset.max_age),
            retry_on: match &self.retry_on {
                Some(items) => Conditions::parse(items)?,
                None => preset.retry_on,
            },
            profile: preset.profile,
        })
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn attempts(given: i64) -> Result<u32, PolicyError> {
    let wanted = "between 1 and 1000";
    let error = || PolicyError::OutOfRange { name: "max_attempts", wanted, given: given.to_string() };
    u32::try_from(given).ok().filter(|attempts| (1..=1000).contains(attempts)).ok_or_else(error)
}

fn factor(given: f64) -> Result<f64, PolicyError> {
    if (1.0..=1000.0).contains(&given) {
        return Ok(given);
    }
    Err(PolicyError::OutOfRange { name: "factor", wanted: "between 1 and 1000", given: given.to_string() })
}

fn span(name: &'static str, seconds: Option<f64>) -> Result<Option<Duration>, PolicyError> {
    let Some(given) = seconds else { return Ok(None) };
    let error = || PolicyError::OutOfRange {
        name,
        wanted: "zero or longer, and at most ten years",
        given: format!("{given} s"),
    };
    let span = Duration::try_from_secs_f64(given).ok().filter(|_| given <= LONGEST);
    span.map(Some).ok_or_else(error)
}
