//! Which close codes a server may send, and where they stand.

use pg_edge::domain::socket::close_code::{at_end_of, may_be_sent};

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    let length = u8::try_from(reason.len() + 2).unwrap();
    [&[0x88, length][..], &code.to_be_bytes(), reason].concat()
}

#[test]
fn codes_with_a_name_and_those_of_applications_may_be_sent() {
    let allowed: Vec<u16> = (0..=u16::MAX).filter(|code| may_be_sent(*code)).collect();
    let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
    assert_eq!(allowed, expected);
}

#[test]
fn the_code_is_found_at_the_end_and_nowhere_else() {
    assert_eq!(at_end_of(&close(1014, b"")), Some(1014));
    assert_eq!(at_end_of(&close(1014, &[b'x'; 123])), Some(1014));
    assert_eq!(at_end_of(&[b"\x81\x02hi".to_vec(), close(1014, "später".as_bytes())].concat()), Some(1014));
    let behind = [close(1014, b"bye"), b"x".to_vec()].concat();
    for other in [&b""[..], b"\x88", b"\x88\x00", b"\x88\x01x", b"\x81\x02hi", &behind, &close(1014, b"\xff")] {
        assert_eq!(at_end_of(other), None, "{other:?}");
    }
}
