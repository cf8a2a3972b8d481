//! Plain text, piece by piece as it comes. A character that the network cut in two is not.

use encoding_rs::{Decoder, Encoding};

/// Reads a stream of text.
pub struct Text {
    most: usize,
    decoder: Decoder,
}

impl Text {
    /// At the beginning of a stream that is handed on in pieces of `most` bytes each at most, and at least one character.
    pub fn new(encoding: &'static Encoding, most: usize) -> Self {
        Self { most, decoder: encoding.new_decoder() }
    }

    /// Reads on. What has come goes to `pieces`, but for the beginning of a character whose end is still to come.
    pub fn feed(&mut self, chunk: &[u8], pieces: &mut Vec<String>) {
        self.decode(chunk, false, pieces);
    }

    /// The stream has ended; a character without its end is replaced.
    pub fn finish(&mut self, pieces: &mut Vec<String>) {
        self.decode(&[], true, pieces);
    }

    fn decode(&mut self, chunk: &[u8], last: bool, pieces: &mut Vec<String>) {
        // Too long a chunk for the address space does not fit into memory either.
        let most = self.decoder.max_utf8_buffer_length(chunk.len()).unwrap_or(usize::MAX);
        let mut text = String::with_capacity(most);
        let _all_read = self.decoder.decode_to_string(chunk, &mut text, last);
        if text.len() <= self.most {
            text.shrink_to_fit();
            if !text.is_empty() {
                pieces.push(text);
            }
            return;
        }
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(cut(rest, self.most));
            pieces.push(piece.to_owned());
            rest = left;
        }
    }
}

/// The last border between characters that is not beyond `most`, or the first one at all.
fn cut(text: &str, most: usize) -> usize {
    let within = text.floor_char_boundary(most);
    if within > 0 { within } else { text.ceil_char_boundary(1) }
}
