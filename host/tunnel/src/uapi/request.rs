//! Reads requests: lines up to an empty one. Total: any bytes give a request, a wish for more, or an end.

use crate::limits::{UAPI_LINE_BYTES, UAPI_REQUEST_BYTES};

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// `get=1`.
    Get,
    /// `set=1` and whatever follows.
    Set,
    /// Nothing that the protocol knows.
    Unknown,
}

/// A client has sent more than a request may have, or a line that no request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Collects bytes until a request is whole.
#[derive(Debug, Default)]
pub(super) struct RequestReader {
    /// The line that has not ended yet.
    line: Vec<u8>,
    request: Option<Request>,
    bytes: usize,
}

impl RequestReader {
    /// Takes bytes; returns the requests that they complete, in order.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<Request>, TooLong> {
        let mut whole = Vec::new();
        for &byte in bytes {
            self.bytes += 1;
            if byte != b'\n' {
                if self.line.len() >= UAPI_LINE_BYTES || self.bytes > UAPI_REQUEST_BYTES {
                    return Err(TooLong);
                }
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if line.is_empty() {
                whole.extend(self.request.take());
                self.bytes = 0;
            } else if self.request.is_none() {
                self.request = Some(match line.as_slice() {
                    b"get=1" => Request::Get,
                    b"set=1" => Request::Set,
                    _ => Request::Unknown,
                });
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_read_alike(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), at in 0_usize..2_000) {
            let at = at.min(bytes.len());
            let whole = RequestReader::default().read(&bytes);
            let mut pieces = RequestReader::default();
            let joined = pieces.read(&bytes[..at]).and_then(|mut first| {
                first.extend(pieces.read(&bytes[at..])?);
                Ok(first)
            });
            prop_assert_eq!(whole, joined);
        }
    }

    #[test]
    fn requests_are_told_apart() {
        let read = RequestReader::default().read(b"get=1\n\nset=1\nlisten_port=1\n\nhello\n\n\n\nget=1\n");
        assert_eq!(read, Ok(vec![Request::Get, Request::Set, Request::Unknown]));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        assert_eq!(RequestReader::default().read(&[b'a'; UAPI_LINE_BYTES + 1]), Err(TooLong));
        let long = b"set=1\n".repeat(UAPI_REQUEST_BYTES / 6 + 1);
        assert_eq!(RequestReader::default().read(&[&long[..], b"x"].concat()), Err(TooLong));
    }
}
