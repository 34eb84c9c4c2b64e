//! Checks of a naming plugin.

use std::sync::Arc;

use servos_mesh::Snapshot;
use servos_sandbox::Plugin;
use servos_sandbox::naming::{Question, RecordType};

use crate::Check;
use crate::checks::{ask_all, ask_twice};
use crate::meshes::{self, LARGE, LONG_LABEL};
use crate::subject::Subject;

/// All of them.
pub(crate) fn all(subject: &Subject<'_>) -> Vec<Check> {
    let ask = |plugin: &Plugin, asked: &Asked| plugin.resolve(&asked.mesh, &asked.question);
    vec![
        Check::new("answers-known-names", ask_all(subject, &in_all_meshes(&known()), Asked::describe, ask)),
        Check::new("answers-odd-names", ask_all(subject, &in_all_meshes(&odd()), Asked::describe, ask)),
        Check::new("answers-alike", ask_twice(subject, &everyday(), Asked::describe, ask)),
    ]
}

/// A question in a mesh.
struct Asked {
    place: &'static str,
    mesh: Arc<Snapshot>,
    question: Question,
}

impl Asked {
    fn describe(&self) -> String {
        let name: String = self.question.name.chars().take(80).collect();
        format!("{:?} of {name:?} in the {} mesh", self.question.record_type, self.place)
    }
}

/// Names of servers, services, hosts and addresses, some of them in one mesh alone.
fn known() -> Vec<String> {
    let fixed = [
        "s1",
        "s2",
        "s8",
        "api",
        "postgres",
        "queue",
        "syslog",
        "nowhere",
        LARGE,
        LONG_LABEL,
        "api.example.org",
        "postgres.example.org",
        "_http._tcp.api",
        "_api._tcp.api",
        "_tcp._tcp.postgres",
        "_postgres._tcp.postgres",
        "_syslog._udp.syslog",
        "_udp._udp.syslog",
        "1.0.64.100.in-addr.arpa",
        "2.0.64.100.in-addr.arpa",
        "136.19.64.100.in-addr.arpa",
    ];
    fixed.into_iter().map(str::to_owned).collect()
}

/// Names that nobody has, or that are none.
fn odd() -> Vec<String> {
    let fixed = [
        "",
        ".",
        "..",
        "a..b",
        "-",
        "*",
        "*.api",
        "_",
        "_tcp",
        "_._",
        "_http._tcp",
        "_http._tcp.",
        "API",
        "api.",
        "example.org",
        "localhost",
        "xn--mnchen-3ya",
        "münchen",
        "\u{202e}ipa",
        "a b",
        "a\u{0}b",
        "a\\.b",
        "'; drop",
        "in-addr.arpa",
        "0.in-addr.arpa",
        "64.100.in-addr.arpa",
        "999.0.64.100.in-addr.arpa",
        "1.2.0.64.100.in-addr.arpa",
        "-1.0.64.100.in-addr.arpa",
        "01.0.64.100.in-addr.arpa",
        "255.255.127.100.in-addr.arpa",
        "0.0.64.100.in-addr.arpa",
        "1.0.0.127.in-addr.arpa",
        "ip6.arpa",
    ];
    let labels = |label: &str, count: usize| vec![label; count].join(".");
    let mut names: Vec<_> = fixed.into_iter().map(str::to_owned).collect();
    names.extend([labels("a", 127), labels(LONG_LABEL, 3), "a".repeat(253), labels("9", 126), "\u{1f980}".repeat(63)]);
    names
}

fn questions(names: &[String]) -> impl Iterator<Item = Question> {
    let types = [RecordType::A, RecordType::Aaaa, RecordType::Srv, RecordType::Ptr, RecordType::Txt, RecordType::Other];
    names.iter().flat_map(move |name| types.map(|record_type| Question { name: name.clone(), record_type }))
}

fn in_all_meshes(names: &[String]) -> Vec<Asked> {
    let asked = |(place, mesh): (&'static str, Arc<Snapshot>)| {
        questions(names).map(move |question| Asked { place, mesh: mesh.clone(), question })
    };
    meshes::all().into_iter().flat_map(asked).collect()
}

fn everyday() -> Vec<Asked> {
    let mesh = meshes::small();
    questions(&known()).map(|question| Asked { place: "small", mesh: mesh.clone(), question }).collect()
}
