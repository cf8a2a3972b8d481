//! Which events of a stream share a row.

use std::time::UNIX_EPOCH;

use pg_edge::domain::stream::StreamEvent;
use pg_edge::domain::stream::run::runs;
use proptest::prelude::*;

fn event(bytes: usize) -> StreamEvent {
    StreamEvent { kind: None, data: "x".repeat(bytes), id: None, received_at: UNIX_EPOCH }
}

/// How many events each row has.
fn lengths(events: &[StreamEvent]) -> Vec<usize> {
    runs(events).map(<[_]>::len).collect()
}

fn of(sizes: &[usize]) -> Vec<usize> {
    lengths(&sizes.iter().map(|bytes| event(*bytes)).collect::<Vec<_>>())
}

#[test]
fn small_events_share_a_row_and_large_ones_have_their_own() {
    for (sizes, wanted) in [
        (&[][..], &[][..]),
        (&[1], &[1]),
        (&[100; 64], &[64]),
        (&[4096, 4096], &[2]),
        (&[4096, 4097], &[1, 1]),
        (&[8193], &[1]),
        (&[1_000_000, 1_000_000], &[1, 1]),
        (&[10, 1_000_000, 10, 10], &[1, 1, 2]),
        (&[8000, 100, 100, 8000], &[2, 2]),
        (&[8000, 200, 8000, 192, 1], &[1, 1, 2, 1]),
        (&[0; 300], &[256, 44]),
    ] {
        assert_eq!(of(sizes), wanted, "{sizes:?}");
    }
}

#[test]
fn types_and_ids_take_their_part_of_a_row() {
    let named = StreamEvent { kind: Some("k".repeat(2000).into()), id: Some("i".repeat(2000).into()), ..event(1000) };
    assert_eq!(lengths(&[named.clone(), named]), [1, 1]);
}

proptest! {
    #[test]
    fn no_event_is_lost_doubled_or_moved(sizes in proptest::collection::vec(0_usize..20_000, 0..600)) {
        let events: Vec<StreamEvent> = sizes.iter().map(|bytes| event(*bytes)).collect();
        let put_together: Vec<StreamEvent> = runs(&events).flatten().cloned().collect();
        prop_assert_eq!(put_together, events.clone());
        prop_assert!(runs(&events).all(|run| !run.is_empty()));
    }
}
