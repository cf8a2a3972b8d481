//! What becomes of a call that meets an error of its platform each time, one by one.

use std::time::Duration;

use pg_edge::domain::profile::Platform;
use pg_edge::domain::profile::diagnosis::Diagnosis;
use pg_edge::domain::profile::errors::{ERRORS, KnownError};

use crate::courses::COURSES;
use crate::profile_errors::{answer, course, policy, profile_of};

#[test]
fn each_error_takes_the_course_that_its_platform_s_page_suggests_and_none_is_missing() {
    let mut found: Vec<*const KnownError> = Vec::new();
    for (platform, status, code, attempts, wait) in COURSES {
        let policy = policy("{\"max_attempts\": 5}", profile_of(platform));
        let body = format!("error code: {code}");
        let outcome = match (platform, code) {
            (_, "") => answer(status, &[], ""),
            (Platform::Supabase, "x-relay-error") => answer(status, &[("x-relay-error", "true")], ""),
            (Platform::Supabase, code) => answer(status, &[("sb-error-code", code)], ""),
            (Platform::Cloudflare, _) => answer(status, &[("cf-ray", "8f-FRA")], &body),
        };
        let expected = (attempts, Duration::from_secs(wait));
        assert_eq!(course(&policy, &outcome), expected, "{platform:?} {status} {code}");
        found.extend(Diagnosis::of(policy.profile, &outcome).known().map(std::ptr::from_ref));
    }
    for row in &ERRORS {
        assert!(found.contains(&std::ptr::from_ref(row)), "{row:?} has no course here");
    }
}
