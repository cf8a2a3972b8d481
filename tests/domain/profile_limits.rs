//! What platforms allow, and which endpoint fills in what.

use std::time::Duration;

use pg_edge::domain::profile::Profile;
use pg_edge::domain::profile::limits::PlatformLimits;

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
