//! What the plugin answers, in a mesh in memory.

use my_plugin::MyPlugin;
use servos_plugin_sdk::naming::{Answer, Directory, Naming, Outcome, Question, RecordType};
use servos_plugin_sdk::testing::Mesh;

fn ask(name: &str, record_type: RecordType) -> Outcome {
    MyPlugin::default().resolve(&mesh(), &Question { name: name.to_owned(), record_type })
}

fn mesh() -> Mesh {
    Mesh::new().server("s1").server("s2")
}

#[test]
fn hello_is_this_server() {
    let expected = Outcome::Answers(vec![Answer::a(5, mesh().this_server().address)]);
    assert_eq!(ask("hello", RecordType::A), expected);
    assert_eq!(ask("hello", RecordType::Aaaa), Outcome::NoData);
}

#[test]
fn other_names_are_left_to_the_next_plugin() {
    assert_eq!(ask("example.org", RecordType::A), Outcome::Pass);
}
