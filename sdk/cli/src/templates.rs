//! The templates, inside the program.

use crate::new::{Language, PointArgument};

/// A file of a template.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Where it lies in the plugin's folder.
    pub path: &'static str,
    /// Its text, of a plugin named `my-plugin`.
    pub text: &'static str,
}

/// The contract that this program knows.
pub const CONTRACT: &str = include_str!("../../../wit/servos-plugin.wit");

/// A mesh to try a plugin in.
pub const MESH: &str = include_str!("../../templates/mesh.yaml");

/// The files of a template: where each goes, and the file of `sdk/templates` that it is.
macro_rules! template {
    ($folder:literal: $($path:literal = $file:literal),+) => {
        &[$(File { path: $path, text: include_str!(concat!("../../templates/", $folder, "/", $file)) }),+]
    };
}

macro_rules! rust {
    ($folder:literal, $test:literal) => {
        template!($folder: "Cargo.toml" = "Cargo.toml", ".gitignore" = "gitignore", "src/lib.rs" = "src/lib.rs", $test = $test)
    };
}

macro_rules! javascript {
    ($folder:literal) => {
        template!($folder: "package.json" = "package.json", ".gitignore" = "gitignore", "plugin.js" = "plugin.js",
            "plugin.test.js" = "plugin.test.js")
    };
}

macro_rules! python {
    ($folder:literal) => {
        template!($folder: "pyproject.toml" = "pyproject.toml", ".gitignore" = "gitignore", "plugin.py" = "plugin.py",
            "test_plugin.py" = "test_plugin.py")
    };
}

/// The template of an extension point in a language.
pub fn files(point: PointArgument, language: Language) -> &'static [File] {
    match (point, language) {
        (PointArgument::Naming, Language::Rust) => rust!("naming-rust", "tests/answers.rs"),
        (PointArgument::Weighting, Language::Rust) => rust!("weighting-rust", "tests/weights.rs"),
        (PointArgument::Policy, Language::Rust) => rust!("policy-rust", "tests/rules.rs"),
        (PointArgument::Naming, Language::Javascript) => javascript!("naming-javascript"),
        (PointArgument::Weighting, Language::Javascript) => javascript!("weighting-javascript"),
        (PointArgument::Policy, Language::Javascript) => javascript!("policy-javascript"),
        (PointArgument::Naming, Language::Python) => python!("naming-python"),
        (PointArgument::Weighting, Language::Python) => python!("weighting-python"),
        (PointArgument::Policy, Language::Python) => python!("policy-python"),
    }
}
