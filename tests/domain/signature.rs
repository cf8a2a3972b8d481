//! Standard Webhooks: the published vectors, and what must not pass.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pg_edge::domain::call::CallId;
use pg_edge::domain::signature::{ID, SIGNATURE, SignatureError, SigningKey, TIMESTAMP, headers, message_id};

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const PRIVATE: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn signed(secrets: &[&str], id: &str, seconds: u64, body: Option<&[u8]>) -> String {
    let keys: Vec<SigningKey> = secrets.iter().map(|secret| SigningKey::parse(secret).unwrap()).collect();
    let headers = headers(&keys, id, at(seconds), body).unwrap();
    assert_eq!(headers.len(), 3);
    assert_eq!(headers[ID], id);
    assert_eq!(headers[TIMESTAMP], seconds.to_string());
    headers[SIGNATURE].to_str().unwrap().to_owned()
}

#[test]
fn the_published_vectors_come_out() {
    let body = br#"{"test": 2432232314}"#;
    let hmac = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let ed25519 = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    assert_eq!(signed(&[FIRST], MESSAGE, 1_614_265_330, Some(body)), hmac);
    assert_eq!(signed(&[PRIVATE], MESSAGE, 1_614_265_330, Some(body)), ed25519);
    assert_eq!(signed(&[PRIVATE, FIRST], MESSAGE, 1_614_265_330, Some(body)), format!("{ed25519} {hmac}"));
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    assert_eq!(
        signed(&[SECOND], "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, Some(body)),
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
    );
}

#[test]
fn no_body_is_signed_as_an_empty_one() {
    let empty = "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A=";
    assert_eq!(signed(&[FIRST], MESSAGE, 1_614_265_330, None), empty);
    assert_eq!(signed(&[FIRST], MESSAGE, 1_614_265_330, Some(b"")), empty);
}

#[test]
fn every_part_of_the_message_changes_the_signature() {
    let reference = signed(&[FIRST], MESSAGE, 1_614_265_330, Some(b"{}"));
    assert_ne!(signed(&[FIRST], MESSAGE, 1_614_265_330, Some(b"{} ")), reference);
    assert_ne!(signed(&[FIRST], MESSAGE, 1_614_265_331, Some(b"{}")), reference);
    assert_ne!(signed(&[FIRST], "msg_other", 1_614_265_330, Some(b"{}")), reference);
    assert_ne!(signed(&[SECOND], MESSAGE, 1_614_265_330, Some(b"{}")), reference);
}

#[test]
fn a_seed_alone_signs_like_the_seed_with_its_public_key() {
    let seed = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    let (alone, whole) = (signed(&[seed], MESSAGE, 1, Some(b"x")), signed(&[PRIVATE], MESSAGE, 1, Some(b"x")));
    assert_eq!(alone, whole);
}

#[test]
fn a_bad_secret_is_refused_without_being_shown() {
    let mismatch = PRIVATE.replace("fVKIDij2", "fVKIDij3");
    let table = [
        ("", SignatureError::Prefix),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SignatureError::Prefix),
        ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", SignatureError::Prefix),
        ("whsec_", SignatureError::HmacLength(0)),
        ("whsec_aHVzaA==", SignatureError::HmacLength(4)),
        ("whsec_hush!", SignatureError::Base64),
        ("whsk_aHVzaA==", SignatureError::Ed25519Length(4)),
        ("whsk_", SignatureError::Ed25519Length(0)),
        (&mismatch, SignatureError::Ed25519Mismatch),
    ];
    for (secret, error) in table {
        let found = SigningKey::parse(secret).unwrap_err();
        assert_eq!(found, error, "{secret}");
        assert!(!found.to_string().contains("aHVzaA") && !found.to_string().contains("hush"), "{found}");
    }
    assert!(!format!("{:?}", SigningKey::parse(FIRST).unwrap()).contains("MfKQ"));
}

#[test]
fn an_id_that_would_make_the_message_ambiguous_is_refused() {
    for id in ["", "a.b", "a b", "a\n", "é"] {
        assert_eq!(headers(&[], id, at(1), None).unwrap_err(), SignatureError::Id, "{id}");
    }
    let id = message_id("9f4cd2aa-0b1c-4d6e-8f11-2a3b4c5d6e7f", CallId(42));
    assert_eq!(id, "msg_9f4cd2aa-0b1c-4d6e-8f11-2a3b4c5d6e7f_42");
    assert!(headers(&[], &id, at(1), None).is_ok());
}
