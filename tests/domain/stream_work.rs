//! Reading a stream takes time in proportion to its length, whatever is in it and however it is cut: a peer cannot keep the
//! engine busy with a line that has no end.

use std::time::{Duration, UNIX_EPOCH};

use encoding_rs::UTF_8;
use nix::sys::resource::{UsageWho, getrusage};
use pg_edge::domain::stream::cutter::Cutter;
use pg_edge::domain::stream::json;
use pg_edge::domain::stream::rules::Framing;

/// A long input is so many times as long as a short one.
const TIMES: usize = 16;

/// What is too little to be measured well.
const LITTLE: Duration = Duration::from_millis(30);

/// The time of the processor that this thread took for something, which other threads and processes do not change.
fn time_of(mut work: impl FnMut()) -> Duration {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
        let (user, system) = (usage.user_time(), usage.system_time());
        Duration::from_micros(((user.tv_sec() + system.tv_sec()) as u64) * 1_000_000)
            + Duration::from_micros((user.tv_usec() + system.tv_usec()) as u64)
    };
    let before = used();
    work();
    used().saturating_sub(before)
}

/// Fails where a long input takes much more than as many short ones as it is long. What grows with the square takes 16 times
/// as much, and what grows as it should the same.
fn grows_with_its_length(what: &str, length: usize, work: impl Fn(usize)) {
    let short = time_of(|| (0..TIMES).for_each(|_| work(length)));
    let long = time_of(|| work(length * TIMES));
    assert!(long < 4 * short + LITTLE, "{what}: {long:?}, and {TIMES} of a {TIMES}th {short:?}");
}

fn read(framing: Framing, stream: &[u8], chunk: usize) {
    let (mut cutter, mut events) = (Cutter::new(framing, usize::MAX / 2), Vec::new());
    for part in stream.chunks(chunk) {
        cutter.feed(part, UNIX_EPOCH, &mut events).unwrap();
    }
    cutter.finish(UNIX_EPOCH, &mut events);
}

/// A stream that is made of one piece over and over, behind a beginning.
fn repeated(beginning: &str, piece: &str, length: usize) -> Vec<u8> {
    [beginning, &piece.repeat(length / piece.len())].concat().into_bytes()
}

#[test]
fn no_long_line_takes_more_than_its_length_to_read() {
    for (name, framing, beginning, piece) in [
        ("data", Framing::Sse, "data: ", "x"),
        ("a field that is none", Framing::Sse, "", "x"),
        ("a comment", Framing::Sse, ":", "x"),
        ("a comment behind a mark", Framing::Sse, "\u{feff}:", "x"),
        ("JSON", Framing::JsonLines, "[", "\"\\u0041\","),
        ("text", Framing::Raw(UTF_8), "", "x"),
        ("text whose characters are cut", Framing::Raw(UTF_8), "", "世"),
    ] {
        // Of single bytes fewer are enough, which a build without optimisation is slow with.
        for (chunk, length) in [(1, 16 << 10), (1_400, 256 << 10)] {
            grows_with_its_length(&format!("{name} by {chunk}"), length, |length| {
                read(framing, &repeated(beginning, piece, length), chunk);
            });
        }
    }
}

#[test]
fn no_number_of_lines_takes_more_than_their_length_to_read() {
    for (name, framing, piece) in [
        ("an event of many lines", Framing::Sse, "data: word\n"),
        ("an event of many lines without data", Framing::Sse, "data\r"),
        ("small events", Framing::Sse, "data: word\n\n"),
        ("ids", Framing::Sse, "id: 1\n"),
        ("blank lines", Framing::Sse, "\r\n"),
        ("blank lines of JSON", Framing::JsonLines, "\r\n"),
        ("lines of JSON", Framing::JsonLines, "{}\n"),
    ] {
        for chunk in [1, 1_400] {
            grows_with_its_length(&format!("{name} by {chunk}"), 8 << 10, |length| {
                read(framing, &repeated("", piece, length), chunk);
            });
        }
    }
}

#[test]
fn no_broken_json_takes_more_than_its_length_to_read() {
    for (name, beginning, piece, end) in [
        ("halves of characters", "\"", "\\ud83d", "\""),
        ("halves in the wrong order", "\"", "\\ude00\\ud83d", "\""),
        ("one half before many characters", "\"\\ud83d", "x", "\""),
        ("one half before many escapes", "\"\\ud83d", "\\n", "\""),
        ("halves in a text without an end", "\"", "\\ud83d", ""),
        ("backslashes", "", "\\", ""),
        ("arrays without an end", "", "[", ""),
    ] {
        grows_with_its_length(name, 32 << 10, |length| {
            let data = String::from_utf8(repeated(beginning, piece, length)).unwrap() + end;
            let read = json::read(&data);
            assert_eq!(read.is_some(), end == "\"", "{name}");
        });
    }
}
