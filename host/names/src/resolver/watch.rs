//! Notices that systemd-resolved starts anew, which forgets what it was told.

use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::debug;
use zbus::fdo::DBusProxy;

use super::HostResolver;
use super::resolved::{NAME, connect};
use crate::limits::DBUS_RETRY;

/// Watches until it is dropped.
#[derive(Debug)]
pub struct ResolverWatch(JoinHandle<()>);

impl Drop for ResolverWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn start(resolver: HostResolver) -> ResolverWatch {
    ResolverWatch(tokio::spawn(async move {
        loop {
            if let Err(error) = watch(&resolver).await {
                debug!(%error, "the system bus cannot be watched");
            }
            sleep(DBUS_RETRY).await;
        }
    }))
}

/// Until the bus goes away.
async fn watch(resolver: &HostResolver) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let bus = connect(resolver.0.settings.paths.system_bus.as_deref()).await?;
    let proxy = DBusProxy::new(&bus).await?;
    let mut changes = proxy.receive_name_owner_changed_with_args(&[(0, NAME)]).await?;
    while let Some(change) = changes.next().await {
        if change.args()?.new_owner().is_some() {
            resolver.apply_again().await;
        }
    }
    Ok(())
}
