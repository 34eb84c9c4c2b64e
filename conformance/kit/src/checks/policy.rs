//! Checks of a policy plugin.

use std::sync::Arc;

use servos_mesh::Snapshot;
use servos_sandbox::Plugin;
use servos_sandbox::policy::{LocalInstance, PolicyContext, Transport};

use crate::Check;
use crate::checks::{ask_all, ask_twice};
use crate::limits::MANY_LOCAL_INSTANCES;
use crate::meshes::{self, LONG_LABEL};
use crate::subject::Subject;

/// All of them.
pub(crate) fn all(subject: &Subject<'_>) -> Vec<Check> {
    let ask = |plugin: &Plugin, asked: &Asked| plugin.rules(&asked.mesh, &asked.context);
    let (many, few): (Vec<_>, Vec<_>) = asked().into_iter().partition(|asked| asked.context.instances.len() > 100);
    vec![
        Check::new("rules-for-every-context", ask_all(subject, &few, Asked::describe, ask)),
        Check::new("rules-for-many-instances", ask_all(subject, &many, Asked::describe, ask)),
        Check::new("rules-alike", ask_twice(subject, &few, Asked::describe, ask)),
    ]
}

/// A context in a mesh.
struct Asked {
    place: &'static str,
    mesh: Arc<Snapshot>,
    what: &'static str,
    context: PolicyContext,
}

impl Asked {
    fn describe(&self) -> String {
        format!("{} in the {} mesh", self.what, self.place)
    }
}

fn asked() -> Vec<Asked> {
    let asked = |(place, mesh): (&'static str, Arc<Snapshot>)| {
        contexts().into_iter().map(move |(what, context)| Asked { place, mesh: mesh.clone(), what, context })
    };
    meshes::all().into_iter().flat_map(asked).collect()
}

fn contexts() -> Vec<(&'static str, PolicyContext)> {
    let context = |wireguard_port, interface: &str, instances, proxy_ports| PolicyContext {
        wireguard_port,
        interface: interface.to_owned(),
        instances,
        proxy_ports,
    };
    let instance = |service: &str, transport, port| LocalInstance { service: service.to_owned(), transport, port };
    let everyday = vec![
        instance("api", Transport::Tcp, 8_080),
        instance("syslog", Transport::Udp, 514),
        instance("api", Transport::Tcp, 8_080),
    ];
    let extreme = vec![
        instance(LONG_LABEL, Transport::Tcp, 1),
        instance("any", Transport::Any, 65_535),
        instance("ssh", Transport::Tcp, 22),
    ];
    let many = (0..MANY_LOCAL_INSTANCES).map(|at| instance("many", Transport::Tcp, 1_024 + 2 * at)).collect();
    vec![
        ("nothing runs here", context(51_820, "wg0", Vec::new(), Vec::new())),
        ("an everyday server", context(51_820, "wg0", everyday, vec![80, 443])),
        ("ports at their limits", context(65_535, "wg0", extreme, vec![1, 22, 65_535])),
        ("the lowest port and a long interface", context(1, "a-long-interfac", Vec::new(), Vec::new())),
        ("more instances than rules", context(51_820, "wg0", many, (1..=1_000).collect())),
    ]
}
