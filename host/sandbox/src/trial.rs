//! The first question to a plugin, before it is let in: in an empty mesh, so that any sound answer will do.

use crate::bindings::{types, weighting};
use crate::naming::{Question, RecordType};
use crate::policy::PolicyContext;

/// A name that is nobody's (`.invalid`, RFC 6761 §6.4).
pub(crate) fn question() -> Question {
    Question { name: "trial.invalid".to_owned(), record_type: RecordType::A }
}

pub(crate) fn service() -> types::Service {
    types::Service {
        name: "trial".to_owned(),
        protocol: types::Protocol::Tcp,
        port: 1,
        hosts: Vec::new(),
        mesh_failover: true,
        labels: Vec::new(),
    }
}

/// One that works and one that does not.
pub(crate) fn candidates() -> Vec<weighting::Candidate> {
    let candidate = |last: u8, health| weighting::Candidate {
        instance: types::Instance {
            server: types::Server { name: format!("trial-{last}"), address: (100, 64, 0, last) },
            port: 1,
            weight_hint: 100,
            health,
            link: types::Link::Idle,
            round_trip: None,
            health_age: 0,
            flaps: 0,
        },
        current_weight: None,
    };
    vec![candidate(1, types::Health::Healthy), candidate(2, types::Health::Unhealthy)]
}

pub(crate) fn context() -> PolicyContext {
    PolicyContext {
        wireguard_port: 51_820,
        interface: "wg0".to_owned(),
        instances: Vec::new(),
        proxy_ports: Vec::new(),
    }
}
