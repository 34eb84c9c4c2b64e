//! The `weighting-plugin` world.

#[allow(missing_docs, reason = "generated; the WIT has the words")]
pub mod bindings {
    wit_bindgen::generate!({
        world: "weighting-plugin",
        path: "../../wit",
        pub_export_macro: true,
        export_macro_name: "export_weighting",
    });
}

use bindings::exports::servos::plugin::weighting as wit_weighting;

use crate::component::Holds;
use crate::weighting::{Candidate, Weighting};

shared_glue!();

/// What the export's `configure` does.
pub fn configure<H: Holds<Plugin: Weighting>>(settings: &str) -> Result<(), String> {
    super::configure::<H>(settings, H::Plugin::check)
}

/// What the export's `weigh` does.
pub fn weigh<H: Holds<Plugin: Weighting>>(
    of: wit_weighting::Service,
    candidates: Vec<wit_weighting::Candidate>,
) -> Vec<u16> {
    let service = service(of);
    let candidates: Vec<_> = candidates
        .into_iter()
        .map(|candidate| Candidate { instance: instance(candidate.instance), current_weight: candidate.current_weight })
        .collect();
    let weigh = |plugin: &H::Plugin| plugin.weigh(&Host, &service, &candidates);
    H::with(|plugin| plugin.as_ref().map(weigh)).unwrap_or_default()
}

/// Implements and exports the world for a type that holds a plugin.
#[macro_export]
macro_rules! __weighting_component {
    ($component:ident) => {
        impl $crate::component::weighting::bindings::exports::servos::plugin::weighting::Guest for $component {
            fn configure(settings: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                $crate::component::weighting::configure::<$component>(&settings)
            }

            fn weigh(
                service: $crate::component::weighting::bindings::exports::servos::plugin::weighting::Service,
                candidates: ::std::vec::Vec<
                    $crate::component::weighting::bindings::exports::servos::plugin::weighting::Candidate,
                >,
            ) -> ::std::vec::Vec<u16> {
                $crate::component::weighting::weigh::<$component>(service, candidates)
            }
        }

        $crate::component::weighting::bindings::export_weighting!(
            $component with_types_in $crate::component::weighting::bindings
        );
    };
}

pub use __weighting_component as WeightingComponent;
