//! `serve`: answers the servers until it is asked to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use super::Usage;
use crate::allocation::AddressPool;
use crate::data_dir::DataDir;
use crate::http::Api;
use crate::limits::NOTICE_OVERDUE;
use crate::live::Live;
use crate::logging::{self, LogFormat};
use crate::secrets::hex;
use crate::service_manager;
use crate::store::{Installation, Store};
use crate::tls::{self, ListenerTls};

#[derive(Args)]
pub struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,

    /// Certificate chain of a public authority, PEM; for a control plane made with `init --no-pin`
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// How log lines are written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

/// Serves until SIGTERM or SIGINT.
pub fn main(data: &DataDir, arguments: &Arguments) -> Result<()> {
    logging::start(arguments.log_format);
    let installation = Store::open(&data.database())?.expect_installation()?;
    let tls = listener_tls(data, arguments, &installation)?;
    let live = Live::open(&data.database(), AddressPool::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(serve(live, arguments.listen, tls, &installation))
}

async fn serve(live: Arc<Live>, listen: SocketAddr, tls: ListenerTls, installation: &Installation) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let api = Api::start(live.clone(), listen, tls.config).await?;
    info!(address = %api.address(), url = installation.url, certificate = hex(&tls.fingerprint), "listening");
    service_manager::ready();
    let watchdog = tokio::spawn(feed_watchdog(live));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("stopping");
    service_manager::stopping();
    api.stop().await;
    watchdog.abort();
    info!("stopped");
    Ok(())
}

/// The certificate to show. One that differs from what tokens pin would be refused by every server.
fn listener_tls(data: &DataDir, arguments: &Arguments, installation: &Installation) -> Result<ListenerTls> {
    let tls = match (&arguments.tls_cert, &arguments.tls_key, installation.fingerprint) {
        (Some(certificate), Some(key), _) => tls::listener(certificate, key)?,
        (_, _, Some(_)) => tls::listener(&data.certificate(), &data.key())?,
        _ => {
            let missing = "this control plane was made with `init --no-pin`: give --tls-cert and --tls-key";
            return Err(Usage(missing.to_owned()).into());
        }
    };
    if installation.fingerprint.is_some_and(|pinned| pinned != tls.fingerprint) {
        let problem = "servers know this control plane by another certificate than this one and would refuse it: \
                       put the one that `init` made back; one of a public authority needs `init --no-pin`";
        return Err(anyhow::anyhow!(problem));
    }
    Ok(tls)
}

/// Tells systemd that the service is alive, as long as changes of the database are seen.
async fn feed_watchdog(live: Arc<Live>) {
    let Some(interval) = service_manager::watchdog_interval() else { return };
    let mut due = tokio::time::interval(interval);
    loop {
        due.tick().await;
        if live.looked_at().elapsed() < NOTICE_OVERDUE {
            service_manager::alive();
        } else {
            error!("changes of the database are not seen: the watchdog is not fed");
        }
    }
}
