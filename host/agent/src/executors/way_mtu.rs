//! The MTU of the way to the control plane, found out and followed beside the tunnel, which waits for it for a moment only:
//! the name of the control plane may not resolve before the mesh is there.

use anyhow::{Context, Result};
use servos_tunnel::mtu;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tracing::warn;

use crate::limits::{MTU_BACKOFF, MTU_PATIENCE};

/// See the module. Ends when it is dropped.
pub struct WayMtu(watch::Receiver<Option<u16>>);

impl WayMtu {
    /// Begins to look. `changed` is called for each MTU that is found.
    pub fn follow(control_url: &str, changed: impl Fn() + Send + 'static) -> Self {
        let (found, receiver) = watch::channel(None);
        if let Some(authority) = authority(control_url) {
            tokio::spawn(async move {
                tokio::select! {
                    () = found.closed() => {}
                    () = run(&authority, &found, changed) => {}
                }
            });
        }
        Self(receiver)
    }

    /// What was found; the first time it is waited for, [`MTU_PATIENCE`] at most.
    pub async fn first(&mut self) -> Option<u16> {
        let found = tokio::time::timeout(MTU_PATIENCE, self.0.wait_for(Option::is_some)).await;
        found.ok().and_then(Result::ok).and_then(|found| *found)
    }

    /// What was found last.
    pub fn last(&self) -> Option<u16> {
        *self.0.borrow()
    }
}

async fn run(authority: &str, found: &watch::Sender<Option<u16>>, changed: impl Fn()) {
    let mut pause = MTU_BACKOFF.0;
    let mut way = loop {
        match watch_way(authority).await {
            Ok(way) => break way,
            Err(problem) => warn!(problem = format!("{problem:#}"), "the MTU of the way out is not known yet"),
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(MTU_BACKOFF.1);
    };
    loop {
        let mtu = *way.borrow_and_update();
        found.send_replace(Some(mtu));
        changed();
        if way.changed().await.is_err() {
            // Nobody listens to the kernel any more: it stays as it is.
            return found.closed().await;
        }
    }
}

async fn watch_way(authority: &str) -> Result<watch::Receiver<u16>> {
    let mut addresses = lookup_host(authority).await.with_context(|| format!("cannot resolve {authority}"))?;
    let address = addresses.next().with_context(|| format!("{authority} has no address"))?;
    Ok(mtu::watch(address.ip()).await?)
}

/// Host and port of an `https` URL.
fn authority(url: &str) -> Option<String> {
    let authority = url.strip_prefix("https://")?.split('/').next().filter(|authority| !authority.is_empty())?;
    let has_port = authority.rsplit(']').next()?.contains(':');
    Some(if has_port { authority.to_owned() } else { format!("{authority}:443") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_of_the_control_plane() {
        for (url, expected) in [
            ("https://control.example", Some("control.example:443")),
            ("https://control.example:8443/", Some("control.example:8443")),
            ("https://[2001:db8::1]/api", Some("[2001:db8::1]:443")),
            ("https://[2001:db8::1]:8443", Some("[2001:db8::1]:8443")),
            ("https://", None),
            ("http://control.example", None),
        ] {
            assert_eq!(authority(url).as_deref(), expected, "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_that_is_not_found_is_waited_for_once_and_not_for_long() {
        // As while a name server does not answer.
        let (found, receiver) = watch::channel(None);
        let mut way = WayMtu(receiver);
        let began = tokio::time::Instant::now();
        assert_eq!((way.first().await, way.last()), (None, None));
        assert_eq!(began.elapsed(), MTU_PATIENCE);
        found.send_replace(Some(1_380));
        assert_eq!((way.first().await, way.last()), (Some(1_380), Some(1_380)));
    }
}
