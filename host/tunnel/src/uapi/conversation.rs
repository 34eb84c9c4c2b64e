//! One client's requests and our answers, without the socket between.

use std::io;

use nix::errno::Errno;

use super::Managed;
use super::answer::answer;
use super::request::{Request, RequestReader};

/// What one client has said so far.
#[derive(Default)]
pub struct Conversation {
    reader: RequestReader,
}

impl Conversation {
    /// Takes bytes of the client and writes the answers to the requests that they complete, in order. False: it has
    /// said too much, and is to be hung up on.
    ///
    /// # Errors
    ///
    /// What `write` says.
    pub fn take(
        &mut self,
        bytes: &[u8],
        managed: &dyn Managed,
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<bool> {
        let Ok(requests) = self.reader.read(bytes) else {
            write(answer(&Request::Invalid(Errno::E2BIG), managed).as_bytes())?;
            return Ok(false);
        };
        for request in requests {
            write(answer(&request, managed).as_bytes())?;
        }
        Ok(true)
    }
}
