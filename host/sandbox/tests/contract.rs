//! The contract's meaning, without its words, is the golden one: nobody changes it unawares.
//!
//! `UPDATE_GOLDEN=1 cargo test -p servos-sandbox --test contract` writes the golden file anew.

#![cfg(test)]

use std::path::{Path, PathBuf};

use wit_component::WitPrinter;
use wit_parser::{Resolve, Stability, WorldItem};

const GOLDEN: &str = "tests/golden/servos-plugin.wit";

/// The contract, resolved.
fn contract() -> (Resolve, wit_parser::PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(in_crate("../../wit")).unwrap();
    (resolve, package)
}

fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn means_what_the_golden_copy_says() {
    let (resolve, package) = contract();
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(&resolve, package, &[]).unwrap();
    let meaning = printer.output.to_string();
    let path = in_crate(GOLDEN);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &meaning).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(
        golden == meaning,
        "wit/servos-plugin.wit means something else than {GOLDEN}: plugins that are out there may fail. Undo the change, \
         or follow wit/EVOLUTION.md (it says which version the change needs) and bless it with \
         `UPDATE_GOLDEN=1 cargo test -p servos-sandbox --test contract`. Now it means:\n{meaning}"
    );
}

#[test]
fn everything_says_what_it_means_and_since_when() {
    let (resolve, package) = contract();
    let mut found = Vec::new();
    let mut check = |name: String, documented: bool, stability: &Stability| {
        let since = matches!(stability, Stability::Stable { .. });
        if !documented || !since {
            found.push(format!("{name}: documented {documented}, since {since}"));
        }
    };
    for &id in resolve.packages[package].interfaces.values() {
        let interface = &resolve.interfaces[id];
        let name = interface.name.as_deref().unwrap();
        check(name.to_owned(), interface.docs.contents.is_some(), &interface.stability);
        for function in interface.functions.values() {
            let documented = function.docs.contents.is_some();
            check(format!("{name}.{}", function.name), documented, &function.stability);
        }
        for (type_name, &id) in &interface.types {
            let ty = &resolve.types[id];
            // A type that `use` brings is documented where it comes from.
            let used = matches!(ty.kind, wit_parser::TypeDefKind::Type(wit_parser::Type::Id(_)));
            check(format!("{name}.{type_name}"), used || ty.docs.contents.is_some(), &ty.stability);
            for (part, documented) in parts(&ty.kind) {
                check(format!("{name}.{type_name}.{part}"), documented, &ty.stability);
            }
        }
    }
    for &id in resolve.packages[package].worlds.values() {
        let world = &resolve.worlds[id];
        check(world.name.clone(), world.docs.contents.is_some(), &world.stability);
        for item in world.imports.values().chain(world.exports.values()) {
            let WorldItem::Interface { stability, .. } = item else { continue };
            check(format!("{}: an import or export", world.name), true, stability);
        }
    }
    assert!(found.is_empty(), "wit/servos-plugin.wit is a public API: document all of it\n{}", found.join("\n"));
}

/// Fields or cases, and whether each is documented.
fn parts(kind: &wit_parser::TypeDefKind) -> Vec<(String, bool)> {
    use wit_parser::TypeDefKind::{Enum, Record, Variant};
    let part = |name: &String, docs: &wit_parser::Docs| (name.clone(), docs.contents.is_some());
    match kind {
        Record(record) => record.fields.iter().map(|field| part(&field.name, &field.docs)).collect(),
        Variant(variant) => variant.cases.iter().map(|case| part(&case.name, &case.docs)).collect(),
        Enum(cases) => cases.cases.iter().map(|case| part(&case.name, &case.docs)).collect(),
        _ => Vec::new(),
    }
}
