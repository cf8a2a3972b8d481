//! What a platform said with an answer that is no success: where its code stands, and what it means.
//!
//! An answer is a stranger's. A code is taken for one only if it looks like one, so nothing else of the answer gets into an error.

use std::time::Duration;

use serde_json::Value;

use super::advice::Advice;
use super::errors::{self, Concerns, KnownError, RELAY};
use super::{Platform, Profile};
use crate::domain::outcome::{Head, Outcome, Response};

/// No platform's own error is longer than this.
const LONGEST_BODY: usize = 64 * 1024;

/// The longest code that is taken for one.
const LONGEST_CODE: usize = 64;

/// What is known of an error from what a platform said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    code: Option<String>,
    known: Option<&'static KnownError>,
    advice: Advice,
    wait: Option<Duration>,
}

impl Diagnosis {
    /// What an outcome says, at an endpoint of this profile. Nothing, if it is no error or not the platform's.
    pub fn of(profile: Profile, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Response(response) if !matches!(response.head.status, 200..=299) => Self::read(profile, response),
            Outcome::Response(_) | Outcome::Streamed(_) | Outcome::Failure(_) => Self::default(),
        }
    }

    fn read(profile: Profile, response: &Response) -> Self {
        let (head, status, platforms) = (&response.head, response.head.status, profile.platforms());
        let is_supabase = platforms.contains(&Platform::Supabase);
        let body = if platforms.is_empty() { Body::default() } else { Body::read(response) };
        // The header is Supabase's own. It is explained wherever it comes from, and followed where one expects it.
        let code = head.header("sb-error-code").or(body.code.as_deref().filter(|_| is_supabase));
        if let Some(code) = code.filter(|code| is_code(code)) {
            let known = errors::find(&[Platform::Supabase], status, Some(code));
            let wait = body.wait.filter(|_| is_supabase && status == 429);
            return Self { code: Some(code.to_owned()), wait, ..Self::about(known, is_supabase) };
        }
        if is_supabase && head.header(RELAY) == Some("true") {
            let known = errors::find(platforms, status, Some(RELAY));
            return Self { code: Some(RELAY.to_owned()), ..Self::about(known, true) };
        }
        let code = body.number.filter(|_| is_of_cloudflare(head)).map(|number| number.to_string());
        let known = errors::find(platforms, status, code.as_deref());
        let wait = body.wait.filter(|_| is_supabase && status == 429);
        Self { code, wait, ..Self::about(known, true) }
    }

    fn about(known: Option<&'static KnownError>, is_expected: bool) -> Self {
        let advice = known.filter(|_| is_expected).map(|known| known.advice).unwrap_or_default();
        Self { code: None, known, advice, wait: None }
    }

    /// What to do.
    pub fn advice(&self) -> Advice {
        self.advice
    }

    /// The row of the table that it was found in.
    pub fn known(&self) -> Option<&'static KnownError> {
        self.known
    }

    /// How long every caller is to stay away, where the body says so and no header.
    pub fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// Whether the endpoint's key was refused.
    pub fn refuses_key(&self) -> bool {
        self.known.is_some_and(|known| known.concerns == Concerns::Key)
    }

    /// The code and what it means, for the end of a sentence.
    pub fn words(&self) -> Option<String> {
        let meaning = self.known.map(|known| known.meaning);
        match (&self.code, meaning) {
            (Some(code), Some(meaning)) => Some(format!("{code}: {meaning}")),
            (Some(code), None) => Some(code.clone()),
            (None, Some(meaning)) => Some(meaning.to_owned()),
            (None, None) => None,
        }
    }
}

/// What the body of a platform's error holds, as far as it is looked for.
#[derive(Debug, Default)]
struct Body {
    /// Supabase's, which comes with a message.
    code: Option<String>,
    /// How long one is to wait.
    wait: Option<Duration>,
    /// Cloudflare's, which is in JSON, a line of text or a page.
    number: Option<u64>,
}

impl Body {
    fn read(response: &Response) -> Self {
        if response.body.len() > LONGEST_BODY {
            return Self::default();
        }
        let number = |number: &u64| (1000..2000).contains(number);
        match serde_json::from_slice::<Value>(&response.body) {
            Ok(json) => Self {
                code: json["code"].as_str().filter(|_| json["message"].is_string()).map(str::to_owned),
                wait: json["retryAfterMs"].as_u64().map(Duration::from_millis),
                number: json["error_code"].as_u64().filter(number),
            },
            Err(_) => Self { number: written(&response.body).filter(number), ..Self::default() },
        }
    }
}

/// What stands before Cloudflare's number.
const MARKS: [&str; 2] = ["error code:", "cf-error-code\">"];

fn written(body: &[u8]) -> Option<u64> {
    let text = str::from_utf8(body).ok()?;
    let (_, after) = MARKS.iter().find_map(|mark| text.split_once(mark))?;
    after.trim_start().split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

fn is_of_cloudflare(head: &Head) -> bool {
    head.header("cf-ray").is_some()
        || head.header("server").is_some_and(|server| server.eq_ignore_ascii_case("cloudflare"))
}

/// Codes are capitals, digits and underscores.
fn is_code(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.len() <= LONGEST_CODE && text.bytes().all(is_letter)
}
