use servos_plugin_sdk::naming::{Answer, RecordType};
use servos_plugin_sdk::testing::Mesh;

use super::*;

/// What `cache` means on a server of that name.
fn cache(own: &str, record_type: RecordType) -> Outcome {
    let view = |seen_by: &str, server: &str| View { seen_by: seen_by.to_owned(), server: server.to_owned() };
    let views = vec![view("fra-", "fra-cache"), view("nyc-", "nyc-cache")];
    let plugin = SplitHorizon { names: BTreeMap::from([("cache".to_owned(), views)]) };
    let mesh = Mesh::new().server(own).server("fra-cache").server("nyc-cache");
    plugin.resolve(&mesh, &Question { name: "cache".to_owned(), record_type })
}

#[test]
fn a_name_means_what_its_view_says() {
    let address = |last| Outcome::Answers(vec![Answer::a(5, [100, 64, 0, last].into())]);
    assert_eq!(cache("fra-web-1", RecordType::A), address(2));
    assert_eq!(cache("nyc-web-1", RecordType::A), address(3));
    assert_eq!(cache("nyc-web-1", RecordType::Txt), Outcome::NoData);
}

#[test]
fn without_a_view_there_is_no_such_name() {
    assert_eq!(cache("syd-web-1", RecordType::A), Outcome::NoSuchName);
}

#[test]
fn other_names_are_passed_on() {
    let plugin = SplitHorizon { names: BTreeMap::new() };
    let question = Question { name: "api".to_owned(), record_type: RecordType::A };
    assert_eq!(plugin.resolve(&Mesh::new().server("s1"), &question), Outcome::Pass);
}
