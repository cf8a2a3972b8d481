//! How many more calls a role may have.

use pg_edge::domain::room::{Full, Room};

#[test]
fn room_is_taken_until_there_is_none_and_a_refusal_takes_none() {
    let mut room = Room::Limited { queued: 7, limit: 10 };
    assert_eq!(room.take(2), Ok(()));
    assert_eq!(room.take(2), Err(Full { queued: 9, limit: 10 }));
    assert_eq!(room.take(1), Ok(()));
    assert_eq!(room.take(1), Err(Full { queued: 10, limit: 10 }));
    assert_eq!(room.take(u64::MAX), Err(Full { queued: 10, limit: 10 }));
}

#[test]
fn there_may_be_more_already_than_a_limit_allows_that_was_lowered() {
    assert_eq!(Room::Limited { queued: 12, limit: 10 }.take(1), Err(Full { queued: 12, limit: 10 }));
}

#[test]
fn without_a_limit_there_is_always_room() {
    assert_eq!(Room::Endless.take(u64::MAX), Ok(()));
}
