//! What a naming plugin is asked.

use std::sync::Arc;

use servos_mesh::Snapshot;
use servos_sandbox::naming::{Outcome, Question, RecordType};
use servos_sandbox::{Plugin, Unanswered};

use crate::meshes::{LARGE, LONG_HOST, LONG_LABEL, MESHES};
use crate::{CheckId, exam};

/// A question in a mesh.
pub(crate) struct Asked {
    place: &'static str,
    mesh: Arc<Snapshot>,
    question: Question,
}

/// Everything that somebody has, where he has it.
pub(crate) fn everyday() -> Vec<Asked> {
    asked_in(&[("small", &MESHES.small)], &known())
}

/// The same in other meshes, and names that nobody has, or that are none.
pub(crate) fn odd() -> Vec<Asked> {
    let others = [("empty", &MESHES.empty), ("large", &MESHES.large), ("not yet joined", &MESHES.unjoined)];
    let mut asked = asked_in(&others, &known());
    asked.extend(asked_in(&MESHES.all(), &unknown()));
    asked
}

impl exam::Question for Asked {
    type Answer = Outcome;

    fn ask(&self, plugin: &Plugin) -> Result<Outcome, Unanswered> {
        plugin.resolve(&self.mesh, &self.question)
    }

    fn describe(&self) -> String {
        let name: String = self.question.name.chars().take(80).collect();
        format!("{:?} of {name:?} in the {} mesh", self.question.record_type, self.place)
    }

    fn objections(&self, answer: &Outcome) -> Vec<(CheckId, String)> {
        let nobodys = self.question.name.split('.').next_back() == Some("invalid");
        match answer {
            Outcome::Answers(answers) if nobodys => {
                vec![(CheckId::NobodysName, format!("{} answers", answers.len()))]
            }
            _ => Vec::new(),
        }
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
        "full",
        LARGE,
        LONG_LABEL,
        LONG_HOST,
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
fn unknown() -> Vec<String> {
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
        "invalid",
        "nobody.invalid",
        "_http._tcp.nobody.invalid",
    ];
    let labels = |label: &str, count: usize| vec![label; count].join(".");
    let mut names: Vec<_> = fixed.into_iter().map(str::to_owned).collect();
    names.extend([labels("a", 127), labels(LONG_LABEL, 3), "a".repeat(253), labels("9", 126), "\u{1f980}".repeat(63)]);
    names
}

fn asked_in(meshes: &[(&'static str, &Arc<Snapshot>)], names: &[String]) -> Vec<Asked> {
    let types = [RecordType::A, RecordType::Aaaa, RecordType::Srv, RecordType::Ptr, RecordType::Txt, RecordType::Other];
    let mut asked = Vec::new();
    for &(place, mesh) in meshes {
        for name in names {
            for record_type in types {
                let question = Question { name: name.clone(), record_type };
                asked.push(Asked { place, mesh: mesh.clone(), question });
            }
        }
    }
    asked
}
