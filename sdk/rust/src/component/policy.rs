//! The `policy-plugin` world.

#[allow(missing_docs, reason = "generated; the WIT has the words")]
pub mod bindings {
    wit_bindgen::generate!({
        world: "policy-plugin",
        path: "../../wit",
        pub_export_macro: true,
        export_macro_name: "export_policy",
    });
}

use bindings::exports::servos::plugin::policy as wit_policy;

use crate::component::Holds;
use crate::policy::{Action, Context, LocalInstance, Policy, Rule, Source, Transport};

shared_glue!();

/// What the export's `configure` does.
pub fn configure<H: Holds<Plugin: Policy>>(settings: &str) -> Result<(), String> {
    super::configure::<H>(settings, H::Plugin::check)
}

/// What the export's `rules` does.
pub fn rules<H: Holds<Plugin: Policy>>(context: wit_policy::Context) -> Vec<wit_policy::Rule> {
    let local = |local: wit_policy::LocalInstance| LocalInstance {
        service: local.service,
        transport: match local.transport {
            wit_policy::Transport::Tcp => Transport::Tcp,
            wit_policy::Transport::Udp => Transport::Udp,
            wit_policy::Transport::Any => Transport::Any,
        },
        port: local.port,
    };
    let context = Context {
        wireguard_port: context.wireguard_port,
        interface: context.interface,
        instances: context.instances.into_iter().map(local).collect(),
        proxy_ports: context.proxy_ports,
    };
    let rules = H::with(|plugin| plugin.as_ref().map(|plugin| plugin.rules(&Host, &context)));
    rules.unwrap_or_default().into_iter().map(rule).collect()
}

fn rule(rule: Rule) -> wit_policy::Rule {
    wit_policy::Rule {
        action: match rule.action {
            Action::Allow => wit_policy::Action::Allow,
            Action::Deny => wit_policy::Action::Deny,
            Action::Limit => wit_policy::Action::Limit,
        },
        transport: match rule.transport {
            Transport::Tcp => wit_policy::Transport::Tcp,
            Transport::Udp => wit_policy::Transport::Udp,
            Transport::Any => wit_policy::Transport::Any,
        },
        ports: wit_policy::PortRange { first: rule.ports.0, last: rule.ports.1 },
        source: match rule.source {
            Source::Anywhere => wit_policy::Source::Anywhere,
            Source::Mesh => wit_policy::Source::Mesh,
            Source::Network { address, prefix_length } => {
                wit_policy::Source::Network(wit_policy::Network { address: tuple(address), prefix_length })
            }
        },
        reason: rule.reason,
    }
}

/// Implements and exports the world for a type that holds a plugin.
#[macro_export]
macro_rules! __policy_component {
    ($component:ident) => {
        impl $crate::component::policy::bindings::exports::servos::plugin::policy::Guest for $component {
            fn configure(settings: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                $crate::component::policy::configure::<$component>(&settings)
            }

            fn rules(
                context: $crate::component::policy::bindings::exports::servos::plugin::policy::Context,
            ) -> ::std::vec::Vec<$crate::component::policy::bindings::exports::servos::plugin::policy::Rule> {
                $crate::component::policy::rules::<$component>(context)
            }
        }

        $crate::component::policy::bindings::export_policy!($component with_types_in $crate::component::policy::bindings);
    };
}

pub use __policy_component as PolicyComponent;
