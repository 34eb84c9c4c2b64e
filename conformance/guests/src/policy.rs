//! Policy plugins that err where something runs on the server.

use crate::answers::{Rule, Source, rules};
use crate::code::{Code, Point};
use crate::{Guest, InAgent};

const ALLOW: u8 = 0;
const DENY: u8 = 1;
const LIMIT: u8 = 2;
const TCP: u8 = 0;
const UDP: u8 = 1;

/// A rule that nobody objects to.
const WEB: Rule = Rule { action: ALLOW, transport: TCP, ports: (443, 443), source: Source::Mesh, reason: "web" };

pub(crate) fn guests() -> Vec<Guest> {
    let faults = |fault, check, said, rules: &[Rule]| answering(fault, check, InAgent::Faults(said), rules);
    let left_out = |fault, check, said, rules: &[Rule]| answering(fault, check, InAgent::LeftOut(said), rules);
    let ports = |first, last| Rule { ports: (first, last), ..WEB };
    let network = |address, length| Rule { source: Source::Network(address, length), ..WEB };
    let because = |reason| Rule { reason, ..WEB };
    let ssh = |action| Rule { action, transport: TCP, ports: (20, 25), source: Source::Anywhere, reason: "mail" };
    let wireguard = Rule { action: DENY, transport: UDP, ports: (1, 65_535), source: Source::Anywhere, ..WEB };
    let trap = Guest {
        fault: "traps-on-a-server",
        check: "no-trap",
        in_agent: InAgent::Faults("unreachable"),
        wasm: on_instances("unreachable").component(),
    };
    vec![
        trap,
        faults("rules-without-end", "rule-count", "257 rules", &vec![WEB; 257]),
        faults("opens-port-0", "rule-ports", "ports 0 to 0", &[ports(0, 0)]),
        faults("opens-ports-backwards", "rule-ports", "ports 90 to 80", &[ports(90, 80)]),
        faults("trusts-half-a-network", "rule-network", "10.0.0.1/8", &[network([10, 0, 0, 1], 8)]),
        faults("trusts-no-network", "rule-network", "10.0.0.0/33", &[network([10, 0, 0, 0], 33)]),
        faults("reasons-with-a-command", "rule-reason", "reason", &[because("web'; ufw disable #")]),
        faults(
            "reasons-at-length",
            "rule-reason",
            "more than 64",
            &[because("a reason that goes on and on, and does not stop where a reason should stop")],
        ),
        left_out("closes-ssh", "rule-ssh-closed", "would close SSH", &[ssh(DENY)]),
        left_out("limits-ssh", "rule-ssh-closed", "would limit SSH", &[ssh(LIMIT)]),
        answering("opens-ssh", "rule-ssh-open", InAgent::Unseen, &[ssh(ALLOW)]),
        left_out("closes-wireguard", "rule-wireguard", "would close WireGuard", &[wireguard]),
        left_out("contradicts-itself", "rule-conflict", "says otherwise", &[WEB, Rule { action: DENY, ..WEB }]),
        left_out("trusts-everybody", "rule-conflict", "no network to ufw", &[network([0, 0, 0, 0], 0)]),
        Guest {
            fault: "rules-by-its-calls",
            check: "same-again",
            in_agent: InAgent::Unseen,
            wasm: on_instances(
                "(i32.store8 (i32.const 1028) (i32.xor (i32.load8_u (i32.const 1028)) (i32.const 1)))
                 (return (i32.const 1024))",
            )
            .answer(rules(&[WEB]))
            .component(),
        },
    ]
}

/// Those rules where something runs on the server, and none where nothing does.
fn answering(fault: &'static str, check: &'static str, in_agent: InAgent, wanted: &[Rule]) -> Guest {
    let code = on_instances("(return (i32.const 1024))").answer(rules(wanted));
    Guest { fault, check, in_agent, wasm: code.component() }
}

fn on_instances(code: &str) -> Code {
    Code::new(Point::Policy, format!("(if (local.get $count) (then {code})) (i32.const 16)"))
}
