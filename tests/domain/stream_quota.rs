//! How much of a stream is read, and kept.

use std::time::UNIX_EPOCH;

use encoding_rs::UTF_8;
use pg_edge::domain::stream::cutter::Cutter;
use pg_edge::domain::stream::quota::{Exceeded, Quota};
use pg_edge::domain::stream::rules::Framing;
use proptest::prelude::*;

/// The data of the events of a stream that a quota lets through, and what it says.
fn within(most: u64, framing: Framing, stream: &[u8], chunk: usize) -> (Vec<String>, Result<(), Exceeded>) {
    let (mut quota, mut cutter, mut kept) = (Quota::new(most), Cutter::new(framing, 1 << 20), Vec::new());
    for part in stream.chunks(chunk) {
        let (fitting, mut events) = (quota.read(part), Vec::new());
        cutter.feed(fitting, UNIX_EPOCH, &mut events).expect("small events");
        let ended = quota.keep(&mut events);
        kept.extend(events.into_iter().map(|event| event.data));
        if ended.is_err() {
            return (kept, ended);
        }
        if fitting.len() < part.len() {
            return (kept, Err(quota.too_much()));
        }
    }
    (kept, Ok(()))
}

#[test]
fn an_event_counts_with_its_type_its_id_and_what_it_costs_as_a_row() {
    let (read, kept) = (Err(Exceeded::Read { most: 1_000 }), Err(Exceeded::Kept { most: 1_000 }));
    for (framing, stream, events, ended) in [
        // 129 each.
        (Framing::JsonLines, "1\n".repeat(7), 7, Ok(())),
        (Framing::JsonLines, "1\n".repeat(8), 7, kept),
        (Framing::JsonLines, "1\n".repeat(4_000), 7, kept),
        // 136 with the type "message".
        (Framing::Sse, "data:1\n\n".repeat(100), 7, kept),
        // 436 with an id of 300.
        (Framing::Sse, format!("id:{}\n{}", "x".repeat(300), "data:1\n\n".repeat(100)), 2, kept),
        // 628 with a type of 499.
        (Framing::Sse, format!("event:{}\ndata:1\n\n", "x".repeat(499)).repeat(2), 1, read),
        (Framing::Sse, format!("data:1\n\n:{}", "x".repeat(991)), 1, Ok(())),
        (Framing::Sse, format!("data:1\n\n:{}", "x".repeat(992)), 1, read),
        (Framing::Raw(UTF_8), "x".repeat(872), 1, Ok(())),
        (Framing::Raw(UTF_8), "x".repeat(873), 0, kept),
    ] {
        let (found, said) = within(1_000, framing, stream.as_bytes(), usize::MAX);
        assert_eq!((found.len(), said), (events, ended), "{framing:?} of {:.20}", stream);
    }
}

proptest! {
    #[test]
    fn where_a_limit_is_exceeded_does_not_depend_on_the_chunks(
        events in proptest::collection::vec("(:[a]{0,300}\n|id: [b]{0,200}\n|data: [c]{0,200}\n\n|\n)", 0..40),
        chunk in 1_usize..2_000,
        most in 0_u64..3_000,
    ) {
        let stream = events.concat();
        let (one, many) = (usize::MAX, chunk);
        let of = |chunk| within(most, Framing::Sse, stream.as_bytes(), chunk);
        prop_assert_eq!(of(one).0, of(many).0);
        prop_assert_eq!(of(one).1.is_ok(), of(many).1.is_ok());
    }
}
