//! A rule that ufw has, as `ufw show added` prints it (which, unlike `ufw status`, it does while inactive too).
//!
//! A rule for IPv4 and its twin for IPv6 are printed as one line if they are alike.

use serde::Serialize;

use crate::rule::{Action, Direction, Network, OWNERSHIP, OwnRule, Ports, Protocol, Side, Tuple, quoted};

/// One line of `ufw show added`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExistingRule {
    /// The line without `ufw `.
    pub text: String,
    /// The words of the line without the comment; empty if it could not be split into words.
    pub arguments: Vec<String>,
    /// None: a word that is none of ufw's actions.
    pub action: Option<Action>,
    /// None: the rest could not be read.
    pub tuple: Option<Tuple>,
    /// Its comment.
    pub comment: Option<String>,
}

/// Reads the output of `ufw show added`. Whatever is no rule is kept as text, so that nothing is overlooked.
pub fn parse_added(output: &str) -> Vec<ExistingRule> {
    let heading = |line: &&str| !line.is_empty() && !line.starts_with("Added user rules") && *line != "(None)";
    output.lines().filter(heading).map(ExistingRule::parse).collect()
}

impl ExistingRule {
    /// Reads one line, with or without `ufw ` in front. Total: what cannot be read is left out of the result's parts.
    pub fn parse(line: &str) -> Self {
        let text = line.strip_prefix("ufw ").unwrap_or(line);
        let (head, comment) = match text.split_once(" comment '") {
            // ufw takes no comment with a quote in it, so the first is the one that opens it.
            Some((head, rest)) => (head, rest.strip_suffix('\'').map(str::to_owned)),
            None => (text, None),
        };
        let arguments = words(head).unwrap_or_default();
        let (routed, rest) = match arguments.split_first() {
            Some((first, rest)) if first == "route" => (true, rest),
            _ => (false, arguments.as_slice()),
        };
        let (action, tuple) = match rest.split_first() {
            None => (None, None),
            Some((action, rest)) => (read_action(action), read_tuple(rest, routed)),
        };
        Self { text: text.to_owned(), arguments, action, tuple, comment }
    }

    /// Whether the mesh put it there: read whole, and with the ownership comment.
    pub fn is_ours(&self) -> bool {
        self.own().is_some()
    }

    /// The rule, if the mesh put it there.
    pub fn own(&self) -> Option<OwnRule> {
        let (action, tuple, comment) = (self.action?, self.tuple.clone()?, self.comment.clone()?);
        (comment.starts_with(OWNERSHIP) && !tuple.routed).then_some(OwnRule { action, tuple, comment })
    }

    /// What stands behind `ufw delete`: with the comment, because without one ufw deletes whoever's rule it is.
    pub(crate) fn delete_arguments(&self) -> Option<Vec<String>> {
        let comment = self.comment.clone()?;
        let mut arguments = vec!["delete".to_owned()];
        arguments.extend(self.arguments.iter().cloned());
        arguments.extend(["comment".to_owned(), comment]);
        Some(arguments)
    }
}

impl std::fmt::Display for ExistingRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits at blanks, except inside of quotes. None if a quote stays open.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'')?,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    Some(words)
}

fn read_action(word: &str) -> Option<Action> {
    Some(match word {
        "allow" => Action::Allow,
        "deny" => Action::Deny,
        "reject" => Action::Reject,
        "limit" => Action::Limit,
        _ => return None,
    })
}

/// Reads what stands behind the action, in ufw's short form (`80/tcp`) or its long one (`from … to … proto …`).
fn read_tuple(words: &[String], routed: bool) -> Option<Tuple> {
    let any = || Side { network: None, ports: Ports::Any };
    let mut tuple = Tuple {
        direction: Direction::In,
        routed,
        interface_in: None,
        interface_out: None,
        protocol: Protocol::Any,
        source: any(),
        destination: any(),
    };
    let mut words = words.iter().map(String::as_str).peekable();
    let mut short = None;
    let mut side = None;
    while let Some(word) = words.next() {
        match word {
            "in" | "out" => {
                let interface = match words.next_if_eq(&"on") {
                    Some(_) => Some(words.next()?.to_owned()),
                    None => None,
                };
                if word == "in" {
                    tuple.interface_in = interface;
                } else {
                    tuple.interface_out = interface;
                    // A forwarding rule has both interfaces and, to ufw, one direction.
                    if !routed {
                        tuple.direction = Direction::Out;
                    }
                }
            }
            "log" | "log-all" => {}
            "from" | "to" => {
                let end = if word == "from" { &mut tuple.source } else { &mut tuple.destination };
                end.network = Network::read(words.next()?);
                side = Some(word);
            }
            "port" | "app" => {
                let ports = words.next()?;
                let ports = match word {
                    "port" => Ports::read(ports)?,
                    _ => Ports::Application(ports.to_owned()),
                };
                match side? {
                    "from" => tuple.source.ports = ports,
                    _ => tuple.destination.ports = ports,
                }
            }
            "proto" => tuple.protocol = read_protocol(words.next()?),
            word if short.is_none() => short = Some(word),
            _ => return None,
        }
    }
    if let Some(short) = short {
        if side.is_some() || tuple.protocol != Protocol::Any {
            return None;
        }
        let (ports, protocol) = short.split_once('/').map_or((short, None), |(ports, proto)| (ports, Some(proto)));
        (tuple.destination.ports, tuple.protocol) = match (Ports::read(ports), protocol) {
            (Some(ports), protocol) => (ports, protocol.map_or(Protocol::Any, read_protocol)),
            // Names of application profiles have no slash.
            (None, None) => (Ports::Application(short.to_owned()), Protocol::Any),
            (None, Some(_)) => return None,
        };
    }
    let said = short.is_some() || side.is_some() || tuple.interface_in.is_some() || tuple.interface_out.is_some();
    said.then_some(tuple)
}

fn read_protocol(word: &str) -> Protocol {
    match word {
        "any" => Protocol::Any,
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        other => Protocol::Other(other.to_owned()),
    }
}

/// The command line that deletes `rule`, for people.
pub(crate) fn delete_line(rule: &ExistingRule) -> String {
    quoted(&rule.delete_arguments().unwrap_or_default())
}
