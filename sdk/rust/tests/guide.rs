//! The guide's plugin: as short as it says, and what it answers. That it compiles as it stands there, doctest proves.

use servos_plugin_sdk::naming::{Answer, Directory, Naming, Outcome, Question, RecordType};
use servos_plugin_sdk::testing::Mesh;

const GUIDE: &str = include_str!("../../README.md");

#[derive(serde::Deserialize)]
struct Canary {
    server: String,
}

impl Naming for Canary {
    fn resolve(&self, mesh: &dyn Directory, question: &Question) -> Outcome {
        let server = mesh.server_by_name(&self.server).filter(|_| question.name == "canary");
        server.map_or(Outcome::Pass, |server| question.answer_a(5, server.address))
    }
}

#[test]
fn ten_lines() {
    let plugin = GUIDE.split_once("## A plugin in ten lines").and_then(|(_, rest)| rest.split("```").nth(1));
    let plugin = plugin.expect("the guide shows one").strip_prefix("rust\n").expect("in Rust");
    assert_eq!(plugin.lines().filter(|line| !line.trim().is_empty()).count(), 10, "{plugin}");
}

#[test]
fn one_name_has_one_address_and_nothing_else() {
    let mesh = Mesh::new().server("s1").server("s2");
    let ask = |server: &str, name: &str, record_type| {
        let question = Question { name: name.to_owned(), record_type };
        Canary { server: server.to_owned() }.resolve(&mesh, &question)
    };
    let expected = Outcome::Answers(vec![Answer::a(5, [100, 64, 0, 2].into())]);
    assert_eq!(ask("s2", "canary", RecordType::A), expected);
    assert_eq!(ask("s2", "canary", RecordType::Aaaa), Outcome::NoData);
    assert_eq!(ask("s2", "other", RecordType::A), Outcome::Pass);
    assert_eq!(ask("s9", "canary", RecordType::A), Outcome::Pass);
}

#[test]
fn settings_without_a_check_of_their_own_are_taken_as_they_are() {
    assert_eq!(Canary { server: String::new() }.check(), Ok(()));
}
