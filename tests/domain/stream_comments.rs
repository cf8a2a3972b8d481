//! Comments of an event stream, of which nothing is kept, wherever they stand and however they are cut.

use pg_edge::domain::stream::TooLarge;
use pg_edge::domain::stream::sse::Parser;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[test]
fn a_comment_may_be_of_any_length() {
    let comment = [b":".as_slice(), &[b'.'; 100_000], b"\n"].concat();
    let event = b"data: a\n\n".as_slice();
    for stream in [
        [&comment, event].concat(),
        [BYTE_ORDER_MARK, &comment, event].concat(),
        [event, &comment, event].concat(),
        [b"data: a\n".as_slice(), &comment, b"\n"].concat(),
    ] {
        for chunk in [stream.len(), 1, 2, 3, 4, 5, 100] {
            let (mut parser, mut events) = (Parser::new(100), Vec::new());
            let read = stream.chunks(chunk).try_for_each(|part| parser.feed(part, &mut events));
            let wanted = stream.windows(6).filter(|bytes| bytes == b"data: ").count();
            assert_eq!((read, events.len()), (Ok(()), wanted), "{:?}… by {chunk}", &stream[..8]);
            assert!(events.iter().all(|event| event.data == "a"), "{events:?}");
        }
    }
}

#[test]
fn a_mark_makes_no_comment_of_a_line_that_is_none() {
    for stream in
        [&b"\xef\xbb\xbf\xef\xbb\xbf: a"[..], b"\xef\xbb: a", b"\xef: a", b"\xbf: a", b"data: a\n\n\xef\xbb\xbf: a"]
    {
        let stream = [stream, &[b'.'; 1_000], b"\n"].concat();
        for chunk in [stream.len(), 1, 2, 3, 4, 5] {
            let mut parser = Parser::new(100);
            let read = stream.chunks(chunk).try_for_each(|part| parser.feed(part, &mut Vec::new()));
            assert_eq!(read, Err(TooLarge::Event { most: 100 }), "{:?}… by {chunk}", &stream[..8]);
        }
    }
}
