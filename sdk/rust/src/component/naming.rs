//! The `naming-plugin` world.

#[allow(missing_docs, reason = "generated; the WIT has the words")]
pub mod bindings {
    wit_bindgen::generate!({
        world: "naming-plugin",
        path: "../../wit",
        pub_export_macro: true,
        export_macro_name: "export_naming",
    });
}

use bindings::exports::servos::plugin::naming as wit_naming;

use crate::component::Holds;
use crate::naming::{Naming, Outcome, Question, Rdata, RecordType};

shared_glue!();

/// What the export's `configure` does.
pub fn configure<H: Holds<Plugin: Naming>>(settings: &str) -> Result<(), String> {
    super::configure::<H>(settings, H::Plugin::check)
}

/// What the export's `resolve` does.
pub fn resolve<H: Holds<Plugin: Naming>>(question: wit_naming::Question) -> wit_naming::Outcome {
    let record_type = match question.record_type {
        wit_naming::RecordType::A => RecordType::A,
        wit_naming::RecordType::Aaaa => RecordType::Aaaa,
        wit_naming::RecordType::Srv => RecordType::Srv,
        wit_naming::RecordType::Ptr => RecordType::Ptr,
        wit_naming::RecordType::Txt => RecordType::Txt,
        wit_naming::RecordType::Other => RecordType::Other,
    };
    let question = Question { name: question.name, record_type };
    let answered = H::with(|plugin| plugin.as_ref().map(|plugin| plugin.resolve(&Host, &question)));
    match answered {
        None | Some(Outcome::Pass) => wit_naming::Outcome::Pass,
        Some(Outcome::NoSuchName) => wit_naming::Outcome::NoSuchName,
        Some(Outcome::NoData) => wit_naming::Outcome::NoData,
        Some(Outcome::Answers(answers)) => wit_naming::Outcome::Answers(
            answers
                .into_iter()
                .map(|answer| wit_naming::Answer {
                    ttl: answer.ttl,
                    rdata: match answer.rdata {
                        Rdata::A(address) => wit_naming::Rdata::A(tuple(address)),
                        Rdata::Srv { priority, weight, port, target } => {
                            wit_naming::Rdata::Srv(wit_naming::Srv { priority, weight, port, target })
                        }
                        Rdata::Ptr(name) => wit_naming::Rdata::Ptr(name),
                        Rdata::Txt(texts) => wit_naming::Rdata::Txt(texts),
                    },
                })
                .collect(),
        ),
    }
}

/// Implements and exports the world for a type that holds a plugin.
#[macro_export]
macro_rules! __naming_component {
    ($component:ident) => {
        impl $crate::component::naming::bindings::exports::servos::plugin::naming::Guest for $component {
            fn configure(settings: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                $crate::component::naming::configure::<$component>(&settings)
            }

            fn resolve(
                question: $crate::component::naming::bindings::exports::servos::plugin::naming::Question,
            ) -> $crate::component::naming::bindings::exports::servos::plugin::naming::Outcome {
                $crate::component::naming::resolve::<$component>(question)
            }
        }

        $crate::component::naming::bindings::export_naming!($component with_types_in $crate::component::naming::bindings);
    };
}

pub use __naming_component as NamingComponent;
