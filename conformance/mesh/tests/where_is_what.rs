//! The "where is what" table of the architecture page is true: its files exist, and hold the names that it gives.

use std::path::Path;

#[test]
fn every_file_exists_and_holds_its_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("host/README.md")).expect("the architecture page");
    let table = page.split("## Where is what").nth(1).expect("a table of where is what");
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && line.contains("](")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [question, file, names] = cells[..] else { panic!("not three cells: {row}") };
        let path =
            file.split("](").nth(1).and_then(|rest| rest.strip_suffix(')')).unwrap_or_else(|| panic!("no link: {row}"));
        let text =
            std::fs::read_to_string(root.join("host").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        for name in names.split('`').skip(1).step_by(2) {
            assert!(text.lines().any(|line| defines(line, name)), "{question}: {path} does not define {name}");
        }
        rows += 1;
    }
    assert!(rows >= 20, "only {rows} rows were understood");
}

/// Whether a line defines `name`: an item, or a field of a type.
fn defines(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    let mut words = line.split(|byte: char| !byte.is_alphanumeric() && byte != '_').filter(|word| !word.is_empty());
    let item = words.any(|word| ["fn", "const", "static", "struct", "enum", "trait", "type"].contains(&word))
        && words.next() == Some(name);
    let field = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ").starts_with(&format!("{name}: "));
    !line.starts_with("//") && (item || field)
}
