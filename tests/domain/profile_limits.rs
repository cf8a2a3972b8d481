//! What platforms allow, and which endpoint fills in what.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use pg_edge::domain::endpoint::{self, Endpoint, EndpointLimits};
use pg_edge::domain::lane_policy::LanePolicy;
use pg_edge::domain::profile::Profile;
use pg_edge::domain::profile::limits::PlatformLimits;
use pg_edge::domain::retry_policy::RetryPolicy;

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn every_profile_has_a_name_that_reads_back() {
    for profile in Profile::ALL {
        assert_eq!(Profile::parse(profile.name()), Ok(profile));
    }
    let unknown = Profile::parse("supabase").unwrap_err().to_string();
    assert!(Profile::ALL.into_iter().all(|profile| unknown.contains(profile.name())), "{unknown}");
}

#[test]
fn our_timeouts_come_a_little_after_the_platform_s_own() {
    let limits = Profile::SupabaseFree.limits();
    assert_eq!((limits.total, limits.first_byte, limits.idle), (seconds(155), seconds(155), seconds(155)));
    let limits = Profile::SupabasePro.limits();
    assert_eq!((limits.total, limits.first_byte, limits.idle), (seconds(405), seconds(155), seconds(155)));
    let limits = Profile::Cloudflare.limits();
    assert_eq!((limits.total, limits.first_byte, limits.idle), (None, seconds(105), None));
    assert_eq!(limits.max_request_bytes, Some(100_000_000));
}

#[test]
fn a_websocket_is_replaced_before_its_worker_ends() {
    assert_eq!(Profile::SupabaseFree.limits().socket_age, seconds(140));
    assert_eq!(Profile::SupabasePro.limits().socket_age, seconds(340));
    for profile in Profile::ALL {
        let PlatformLimits { socket_age, total, .. } = profile.limits();
        assert!(socket_age.is_none() || socket_age < total, "{profile:?}");
    }
}

#[test]
fn what_no_platform_names_is_left_to_the_settings() {
    for profile in [Profile::Generic, Profile::Deno] {
        assert_eq!(profile.limits(), PlatformLimits::default());
    }
}

/// An endpoint that says nothing of times and sizes itself.
fn endpoint(profile: Profile) -> Endpoint {
    Endpoint {
        name: "default".into(),
        base: endpoint::base_url("https://functions.example.com/v1").unwrap(),
        headers: HeaderMap::new(),
        profile,
        retry: Arc::new(RetryPolicy::default()),
        lane: LanePolicy::default(),
        quota: None,
        limits: EndpointLimits::default(),
        signing_secrets: Vec::new(),
        max_redirects: 0,
        identity: None,
    }
}

#[test]
fn a_profile_stands_before_the_settings_and_behind_what_the_endpoint_or_the_user_says() {
    let (setting, megabyte) = (Duration::from_secs(30), 1_000_000);
    let mut paid = endpoint(Profile::SupabasePro);
    assert_eq!(paid.timeout(setting), Duration::from_secs(405));
    assert_eq!(paid.first_byte(Some(setting)), seconds(155));
    assert_eq!(paid.idle(Some(setting)), seconds(155));
    assert_eq!(paid.socket_age(None), seconds(340));
    assert_eq!(paid.socket_age(seconds(7)), seconds(7));
    paid.limits = EndpointLimits { timeout: seconds(9), ..EndpointLimits::default() };
    assert_eq!(paid.timeout(setting), Duration::from_secs(9));
    let generic = endpoint(Profile::Generic);
    assert_eq!((generic.timeout(setting), generic.idle(Some(setting))), (setting, Some(setting)));
    assert_eq!((generic.idle(None), generic.socket_age(None)), (None, None));
    // A platform's limit of a body lowers the setting, and never raises it.
    let worker = endpoint(Profile::Cloudflare);
    assert_eq!(worker.max_request_bytes(megabyte), megabyte);
    assert_eq!(worker.max_request_bytes(500 * megabyte), 100 * megabyte);
}
