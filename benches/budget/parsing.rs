//! Cutting a stream into small events, without a network. The other rows of streams cannot tell whether that has become slow:
//! their limit is cut by the same parser.

use std::num::NonZeroUsize;
use std::time::Instant;

use pg_edge::domain::stream::sse::Parser;
use sse_core::SseDecoder;

use super::numbers::median;
use super::report::{Budget, Report};
use super::scale;
use super::stream_peer::{Filling, event_of};

/// The row of this file.
pub const PARSER: &str = "stream-parser";

/// What comes of a socket at once.
const CHUNK: usize = 16 * 1024;

/// Bytes of the stream, and of each of its events.
const BYTES: usize = 50_000_000;
const EVENT: usize = 128;

/// Measures the row.
pub fn measure(report: &mut Report) {
    let events = scale::size(BYTES) / EVENT;
    let stream = event_of(EVENT, Filling::Alike).repeat(events).into_bytes();
    let megabytes = stream.len() as f64 / 1e6;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..scale::rounds(15) {
        for (cut, rates) in [(by_us as fn(&[u8]) -> usize, &mut ours), (by_sse_core, &mut limit)] {
            let began = Instant::now();
            assert_eq!(cut(&stream), events);
            rates.push(megabytes / began.elapsed().as_secs_f64());
        }
    }
    let what = format!("a stream of {megabytes:.0} MB cut into events of {EVENT} bytes; the crate sse-core does it");
    report.row(PARSER, what, "MB/s", median(&ours), median(&limit), Budget::AtLeast(0.75));
}

fn by_us(stream: &[u8]) -> usize {
    let (mut parser, mut events, mut count) = (Parser::new(1 << 20), Vec::new(), 0);
    for chunk in stream.chunks(CHUNK) {
        parser.feed(chunk, &mut events).expect("no event is too large");
        count += events.len();
        events.clear();
    }
    count
}

/// Keeps the events of a chunk as we do: memory that is given back at once is had again for less.
fn by_sse_core(stream: &[u8]) -> usize {
    let most = NonZeroUsize::new(1 << 20).expect("it is not zero");
    let (mut decoder, mut events, mut count) = (SseDecoder::with_limit(most), Vec::new(), 0);
    for mut chunk in stream.chunks(CHUNK) {
        while let Some(event) = decoder.next(&mut chunk) {
            events.push(event.expect("no event is too large"));
        }
        count += events.len();
        events.clear();
    }
    count
}
