//! The control plane: organisations, servers and resources become MeshState, served over HTTP.
//!
//! The command line and the server work on one SQLite database, each on its own: `store` holds every rule about what
//! may stand in it. A running server holds no truth, only copies that `live` keeps in step.

#![forbid(unsafe_code)]

pub mod allocation;
pub mod cli;
pub mod clock;
pub mod data_dir;
pub mod endpoint;
pub mod http;
pub mod limits;
pub mod live;
pub mod logging;
pub mod resources_file;
pub mod secrets;
pub mod service_manager;
pub mod store;
pub mod tls;
