//! What a rule of ufw is made of: its tuple (what it matches, which is its identity) and its action.
//!
//! Action, logging and comment are not part of the identity: `ufw allow 8080` over a `deny 8080` replaces the deny.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// How the comment of every rule of the mesh begins.
pub const OWNERSHIP: &str = "servos-mesh:";

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let through.
    Allow,
    /// Dropped.
    Deny,
    /// Refused with an answer.
    Reject,
    /// Let through, unless one address comes six times in 30 seconds.
    Limit,
}

/// A rule of the mesh: what is put into ufw.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct OwnRule {
    /// What it does.
    pub action: Action,
    /// What it matches.
    pub tuple: Tuple,
    /// Begins with [`OWNERSHIP`].
    pub comment: String,
}

/// What a rule matches. Two rules of one tuple are one rule to ufw.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Tuple {
    /// To or from this machine.
    pub direction: Direction,
    /// Whether it is about forwarded traffic.
    pub routed: bool,
    /// Where the traffic comes in; none: anywhere.
    pub interface_in: Option<String>,
    /// Where the traffic goes out; none: anywhere.
    pub interface_out: Option<String>,
    /// The protocol above IP.
    pub protocol: Protocol,
    /// Where the traffic comes from.
    pub source: Side,
    /// Where the traffic goes.
    pub destination: Side,
}

/// To or from this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To this machine.
    In,
    /// From this machine.
    Out,
}

/// A protocol above IP.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Any.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Another, as ufw names it: `esp`, `gre`, …
    Other(String),
}

/// One end of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Side {
    /// None: any address.
    pub network: Option<Network>,
    /// Its ports.
    pub ports: Ports,
}

/// A network, or a single address (all bits).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Network {
    /// Address and prefix length.
    Prefix(IpAddr, u8),
    /// With a netmask that is no prefix, as ufw prints it.
    Text(String),
}

/// Ports of one end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ports {
    /// Any, or a protocol without ports.
    Any,
    /// In the order in which ufw prints them, at least one.
    List(Vec<PortRange>),
    /// Those of an application profile of ufw; what they are stands in its file.
    Application(String),
}

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PortRange {
    /// The lowest, at least 1.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl OwnRule {
    /// What stands behind `ufw` on the command line that adds this rule, or replaces the one of its tuple.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = self.tuple.arguments(self.action);
        arguments.extend(["comment".to_owned(), self.comment.clone()]);
        arguments
    }
}

impl fmt::Display for OwnRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.arguments()))
    }
}

impl Tuple {
    /// What comes in for `ports`, from anywhere.
    pub fn incoming(protocol: Protocol, ports: PortRange) -> Self {
        let destination = Side { network: None, ports: Ports::List(vec![ports]) };
        let source = Side { network: None, ports: Ports::Any };
        Self {
            direction: Direction::In,
            routed: false,
            interface_in: None,
            interface_out: None,
            protocol,
            source,
            destination,
        }
    }

    /// Whether everything that `other` matches, `self` matches too. False where that cannot be known.
    pub fn covers(&self, other: &Self) -> bool {
        self.direction == other.direction
            && self.routed == other.routed
            && (self.interface_in.is_none() || self.interface_in == other.interface_in)
            && (self.interface_out.is_none() || self.interface_out == other.interface_out)
            && (self.protocol == Protocol::Any || self.protocol == other.protocol)
            && self.source.covers(&other.source)
            && self.destination.covers(&other.destination)
    }

    /// Whether some traffic is matched by both. True where that cannot be known.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        self.direction == other.direction
            && self.routed == other.routed
            && meet(&self.interface_in, &other.interface_in)
            && meet(&self.interface_out, &other.interface_out)
            && (self.protocol == Protocol::Any || other.protocol == Protocol::Any || self.protocol == other.protocol)
            && self.source.overlaps(&other.source)
            && self.destination.overlaps(&other.destination)
    }

    /// The rule as ufw itself prints it (`get_command` in its `parser.py`), word by word, without comment.
    pub fn arguments(&self, action: Action) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        if self.routed {
            words.push("route".to_owned());
        }
        words.push(action.to_string());
        let short = self.source == Side { network: None, ports: Ports::Any }
            && self.destination.network.is_none()
            && self.destination.ports != Ports::Any
            && self.interface_in.is_none()
            && self.interface_out.is_none();
        if let Some(interface) = &self.interface_in {
            words.extend(["in", "on", interface].map(str::to_owned));
        }
        match &self.interface_out {
            Some(interface) => words.extend(["out", "on", interface].map(str::to_owned)),
            None if self.direction == Direction::Out => words.push("out".to_owned()),
            None => {}
        }
        if short {
            let protocol = match (&self.protocol, &self.destination.ports) {
                (Protocol::Any, _) | (_, Ports::Application(_)) => String::new(),
                (protocol, _) => format!("/{protocol}"),
            };
            words.push(format!("{}{protocol}", self.destination.ports));
            return words;
        }
        let sides = [("from", &self.source), ("to", &self.destination)];
        let mut said = self.interface_in.is_some() || self.interface_out.is_some();
        for (word, side) in sides.into_iter().filter(|(_, side)| side.network.is_some() || side.ports != Ports::Any) {
            said = true;
            words.push(word.to_owned());
            words.push(side.network.as_ref().map_or("any".to_owned(), Network::to_string));
            match &side.ports {
                Ports::Any => {}
                Ports::List(_) => words.extend(["port".to_owned(), side.ports.to_string()]),
                Ports::Application(name) => words.extend(["app".to_owned(), name.clone()]),
            }
        }
        if !said {
            words.extend(["to".to_owned(), "any".to_owned()]);
        }
        let application = sides.iter().any(|(_, side)| matches!(side.ports, Ports::Application(_)));
        if self.protocol != Protocol::Any && !application {
            words.extend(["proto".to_owned(), self.protocol.to_string()]);
        }
        words
    }
}

impl Side {
    fn covers(&self, other: &Self) -> bool {
        let network = match (&self.network, &other.network) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(one), Some(other)) => one.covers(other),
        };
        network && self.ports.covers(&other.ports)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let network = match (&self.network, &other.network) {
            (Some(Network::Prefix(..)), Some(Network::Prefix(..))) => {
                // Two prefixes are apart, or one lies in the other.
                let (one, other) = (self.network.as_ref(), other.network.as_ref());
                one.zip(other).is_some_and(|(one, other)| one.covers(other) || other.covers(one))
            }
            _ => true,
        };
        network && self.ports.overlaps(&other.ports)
    }
}

impl Network {
    /// Reads an address with or without prefix length. `None` for `any`; anything else is kept as text.
    pub fn read(text: &str) -> Option<Self> {
        if matches!(text, "any" | "0.0.0.0/0" | "::/0") {
            return None;
        }
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let prefix = address.parse::<IpAddr>().ok().and_then(|address| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let length = length.map_or(Some(bits), |length| length.parse().ok())?;
            (length <= bits).then_some(Self::Prefix(address, length))
        });
        Some(prefix.unwrap_or_else(|| Self::Text(text.to_owned())))
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prefix(IpAddr::V4(one), length), Self::Prefix(IpAddr::V4(other), other_length)) => {
                let shift = u32::from(32 - length.min(&32));
                let bits = |ip: u32| ip.checked_shr(shift).unwrap_or(0);
                length <= other_length && bits((*one).into()) == bits((*other).into())
            }
            (Self::Prefix(IpAddr::V6(one), length), Self::Prefix(IpAddr::V6(other), other_length)) => {
                let shift = u32::from(128 - length.min(&128));
                let bits = |ip: u128| ip.checked_shr(shift).unwrap_or(0);
                length <= other_length && bits((*one).into()) == bits((*other).into())
            }
            _ => self == other,
        }
    }
}

impl Ports {
    /// Reads `80`, `80,443`, `8000:8010`; none if it is no list of ports.
    pub fn read(text: &str) -> Option<Self> {
        let range = |part: &str| {
            let (first, last) = part.split_once(':').unwrap_or((part, part));
            let [first, last] = [first, last].map(|number| number.parse::<u16>().ok().filter(|port| *port != 0));
            first.zip(last).filter(|(first, last)| first <= last).map(|(first, last)| PortRange { first, last })
        };
        text.split(',').map(range).collect::<Option<Vec<_>>>().map(Self::List)
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::List(ranges), Self::List(others)) => {
                let within = |inner: &PortRange| ranges.iter().any(|r| r.first <= inner.first && inner.last <= r.last);
                others.iter().all(within)
            }
            _ => self == other,
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(ranges), Self::List(others)) => {
                ranges.iter().any(|one| others.iter().any(|other| one.first <= other.last && other.first <= one.last))
            }
            _ => true,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Reject => "reject",
            Self::Limit => "limit",
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Other(name) => name,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // ufw prints a single address without its length.
            Self::Prefix(address @ IpAddr::V4(_), 32) | Self::Prefix(address @ IpAddr::V6(_), 128) => address.fmt(f),
            Self::Prefix(address, length) => write!(f, "{address}/{length}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Application(name) => f.write_str(name),
            Self::List(ranges) => {
                for (at, range) in ranges.iter().enumerate() {
                    write!(f, "{}{range}", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => self.first.fmt(f),
            false => write!(f, "{}:{}", self.first, self.last),
        }
    }
}

/// The words as a person would type them: quoted where there are blanks.
pub(crate) fn quoted(words: &[String]) -> String {
    let plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:,-+=%@".contains(&byte));
    let quote = |word: &String| match !word.is_empty() && plain(word) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}
