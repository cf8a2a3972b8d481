//! The close codes that a peer may send (RFC 6455, section 7.4, and the registry that it founded).

/// Whether a close frame may hold this code. What is not registered by name and below 3000 may not.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The code of the close frame that bytes from a server end in, where they do.
pub fn at_end_of(bytes: &[u8]) -> Option<u16> {
    const CLOSE: u8 = 0x88;
    const LARGEST: usize = 125;
    (2..=LARGEST).find_map(|length| {
        let frame = &bytes[bytes.len().checked_sub(2 + length)?..];
        let is_close = frame[0] == CLOSE && usize::from(frame[1]) == length;
        (is_close && std::str::from_utf8(&frame[4..]).is_ok()).then(|| u16::from_be_bytes([frame[2], frame[3]]))
    })
}
