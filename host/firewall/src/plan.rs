//! What would be done: pure. The same policy, facts and guard rails give the same plan, and after it is done, none.

use std::collections::HashMap;
use std::fmt;

use serde::{Serialize, Serializer};
use servos_sandbox::policy;

use crate::existing::{ExistingRule, delete_line};
use crate::facts::{Facts, UfwState};
use crate::guard_rails::{GuardRails, Reach, closes_ssh, decides, reach, ssh_needs};
use crate::limits::MAX_RULES;
use crate::rule::{Action, OwnRule, Tuple, quoted};
use crate::wanted::{describe, own_rules};

/// What would be done to ufw, and what not and why. `Display` prints the commands, one a line, and the rest behind `#`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FirewallPlan {
    /// What ufw is found in. None: not looked at, because the settings say `mode = "off"`.
    pub ufw: Option<UfwState>,
    /// Commands, in this order.
    pub steps: Vec<Step>,
    /// Rules that stay although a policy or the mesh would have it otherwise.
    pub kept: Vec<Kept>,
    /// What a policy asked for and does not get.
    pub refused: Vec<Refused>,
    /// What else the operator ought to know.
    pub notes: Vec<String>,
}

/// One command of ufw. Serialised as its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Adds a rule of the mesh at the end, or changes the mesh's own rule of that tuple in its place.
    Set(OwnRule),
    /// Deletes a rule of the mesh, by its exact text and comment.
    Delete(ExistingRule),
    /// Enables ufw.
    Enable,
}

/// A rule that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Whose it is.
    pub owner: Owner,
    /// As ufw prints it.
    pub rule: String,
    /// What would have been done otherwise.
    pub because: String,
}

/// Who put a rule there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// A person, or another program.
    Operator,
    /// This one.
    Mesh,
}

/// What a policy asked for and does not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// What it asked for.
    pub rule: String,
    /// Why it does not get it.
    pub because: String,
}

/// Plans. `desired`: all rules that the policy plugins want to be there; none if no plugin could answer, and then
/// nothing but the guard rails changes.
pub fn plan(desired: Option<&[policy::Rule]>, facts: &Facts, guard: &GuardRails) -> FirewallPlan {
    let mut plan = FirewallPlan { ufw: Some(facts.ufw), ..FirewallPlan::default() };
    if facts.ufw == UfwState::Missing {
        plan.notes.push("ufw is not installed: this server's firewall is left as it is".to_owned());
        return plan;
    }
    let wanted = effective(wanted_rules(desired, facts, guard, &mut plan), facts, &mut plan);
    if !wanted.contains(&guard.wireguard_rail()) {
        note_closed_wireguard(facts, guard, &mut plan);
    }
    let own = Own::of(facts);

    let (unwanted, moved) = match desired {
        None => (Vec::new(), Vec::new()),
        Some(_) => (own.but_for(&wanted), out_of_order(&wanted, &own)),
    };
    let sets: Vec<&OwnRule> = wanted.iter().filter(|rule| !own.has(rule)).collect();
    let added: Vec<&OwnRule> = sets.iter().copied().filter(|rule| own.place(&rule.tuple).is_none()).collect();

    let guarded = facts.ufw == UfwState::Active || guard.enable_ufw;
    let mut gone: Vec<&ExistingRule> = Vec::new();
    let mut may_go = |rule: &ExistingRule, gone: &[&ExistingRule], added: &[&OwnRule]| {
        let stays = |other: &ExistingRule| other != rule && !gone.contains(&other);
        let needs = guarded.then(|| ssh_needs(&facts.rules, stays, added, &facts.ssh_ports)).flatten();
        let Some(because) = needs else {
            return true;
        };
        plan.kept.push(Kept { owner: Owner::Mesh, rule: rule.text.clone(), because });
        false
    };
    for rule in &wanted {
        let lines = own.lines(&rule.tuple);
        if moved.contains(&rule) {
            // It is away for a moment, and for good if ufw fails in between: SSH must not hang on it.
            let free = lines.iter().all(|line| may_go(line, &gone, &[]));
            if free {
                gone.extend(&lines);
                plan.steps.extend(lines.into_iter().cloned().map(Step::Delete));
                plan.steps.push(Step::Set(rule.clone()));
                continue;
            }
        }
        if !own.has(rule) {
            plan.steps.push(Step::Set(rule.clone()));
        }
    }
    for rule in unwanted {
        if may_go(rule, &gone, &added) {
            gone.push(rule);
            plan.steps.push(Step::Delete(rule.clone()));
        }
    }
    plan_enabling(facts, guard, &added, &mut plan);
    plan
}

/// What the guard rails and the policy ask for, one rule a tuple, guard rails first.
fn wanted_rules(
    desired: Option<&[policy::Rule]>,
    facts: &Facts,
    guard: &GuardRails,
    plan: &mut FirewallPlan,
) -> Vec<OwnRule> {
    let mut wanted = vec![guard.wireguard_rail()];
    for &port in &facts.ssh_ports {
        let rail = GuardRails::ssh_rail(port);
        let there = facts.rules.iter().filter_map(ExistingRule::own).any(|own| own == rail);
        let open = reach(operators(facts).filter_map(decides), port) == Reach::Anyone;
        // An active ufw is the operator's decision about SSH: only what this crate opened to enable it stays open.
        if guard.enable_ufw && (there || facts.ufw == UfwState::Inactive && !open) {
            wanted.push(rail);
        }
    }
    for (at, rule) in desired.unwrap_or_default().iter().enumerate() {
        let mut refuse = |because: String| plan.refused.push(Refused { rule: describe(rule), because });
        if at >= MAX_RULES {
            refuse(format!("more than {MAX_RULES} rules"));
            continue;
        }
        let rules = match own_rules(rule, &guard.interface) {
            Ok(rules) => rules,
            Err(because) => {
                refuse(because);
                continue;
            }
        };
        if let Some(because) = rules.iter().find_map(|rule| guard.objection(rule, &facts.ssh_ports)) {
            refuse(because);
            continue;
        }
        for rule in rules {
            match wanted.iter().find(|other| other.tuple == rule.tuple) {
                None => wanted.push(rule),
                Some(other) if other.action == rule.action => {}
                Some(other) => refuse(format!("an earlier rule says otherwise: {other}")),
            }
        }
    }
    wanted
}

/// Leaves out what the operator's own rules decide.
fn effective(wanted: Vec<OwnRule>, facts: &Facts, plan: &mut FirewallPlan) -> Vec<OwnRule> {
    let mut keep = |existing: &ExistingRule, rule: &OwnRule| {
        let because = format!("wanted was `{rule}`");
        plan.kept.push(Kept { owner: Owner::Operator, rule: existing.text.clone(), because });
        false
    };
    let free = |rule: &OwnRule| {
        if let Some(existing) = taken_by_operator(&rule.tuple, facts) {
            return keep(existing, rule);
        }
        let closes = |existing: &&ExistingRule| {
            let closing = matches!(existing.action, Some(Action::Deny | Action::Reject));
            closing && existing.tuple.as_ref().is_some_and(|tuple| tuple.covers(&rule.tuple))
        };
        match operators(facts).find(closes) {
            Some(existing) if matches!(rule.action, Action::Allow | Action::Limit) => keep(existing, rule),
            _ => true,
        }
    };
    wanted.into_iter().filter(free).collect()
}

/// The operator's rule that took the rail's place may let WireGuard in as well; if not, it is for him to change it.
fn note_closed_wireguard(facts: &Facts, guard: &GuardRails, plan: &mut FirewallPlan) {
    let rail = guard.wireguard_rail();
    let decides = |rule: &&ExistingRule| rule.tuple.as_ref().is_some_and(|tuple| tuple.covers(&rail.tuple));
    if let Some(rule) = operators(facts).find(decides).filter(|rule| rule.action != Some(Action::Allow)) {
        let port = guard.wireguard_port;
        plan.notes.push(format!("the operator's rule `{rule}` keeps WireGuard's port {port}/udp from being open"));
    }
}

/// Rules that stand before one that must be matched first: of two that overlap and disagree, the policy's order counts.
fn out_of_order<'a>(wanted: &'a [OwnRule], own: &Own<'_>) -> Vec<&'a OwnRule> {
    let mut late: Vec<&OwnRule> = Vec::new();
    for (at, rule) in wanted.iter().enumerate() {
        let Some(place) = own.place(&rule.tuple) else {
            continue;
        };
        let first = |other: &&OwnRule| other.action != rule.action && other.tuple.overlaps(&rule.tuple);
        let behind = |other: &OwnRule| {
            late.contains(&other) || own.place(&other.tuple).is_none_or(|other_place| other_place > place)
        };
        if wanted[..at].iter().filter(first).any(behind) {
            late.push(rule);
        }
    }
    late
}

fn plan_enabling(facts: &Facts, guard: &GuardRails, added: &[&OwnRule], plan: &mut FirewallPlan) {
    if facts.ufw == UfwState::Active {
        return;
    }
    if !guard.enable_ufw {
        plan.notes.push("ufw is inactive and filters nothing; its rules count once it is enabled".to_owned());
        return;
    }
    match enabling_objection(facts, added) {
        None => plan.steps.push(Step::Enable),
        Some(because) => plan.refused.push(Refused { rule: "enable".to_owned(), because }),
    }
}

/// Why ufw must not be enabled, if so, once `added` stand behind the rules that are there.
pub(crate) fn enabling_objection(facts: &Facts, added: &[&OwnRule]) -> Option<String> {
    for &port in &facts.ssh_ports {
        if let Some(rule) = closes_ssh(&facts.rules, port) {
            return Some(format!(
                "the rule `{rule}` may close SSH on port {port}/tcp: delete it, or allow SSH before it"
            ));
        }
        let added = added.iter().map(|rule| (rule.action, &rule.tuple));
        if reach(facts.rules.iter().filter_map(decides).chain(added), port) != Reach::Anyone {
            return Some(format!("SSH on port {port}/tcp is not allowed"));
        }
    }
    None
}

fn operators(facts: &Facts) -> impl Iterator<Item = &ExistingRule> {
    facts.rules.iter().filter(|rule| !rule.is_ours())
}

fn taken_by_operator<'a>(tuple: &Tuple, facts: &'a Facts) -> Option<&'a ExistingRule> {
    operators(facts).find(|rule| rule.tuple.as_ref() == Some(tuple))
}

/// The mesh's rules in ufw. A tuple has two lines if its IPv4 and its IPv6 rule came to differ.
struct Own<'a> {
    lines: Vec<(&'a ExistingRule, OwnRule)>,
    places: HashMap<Tuple, usize>,
}

impl<'a> Own<'a> {
    fn of(facts: &'a Facts) -> Self {
        let lines: Vec<_> = facts.rules.iter().filter_map(|rule| Some((rule, rule.own()?))).collect();
        let mut places = HashMap::new();
        for (place, (_, own)) in lines.iter().enumerate() {
            places.entry(own.tuple.clone()).or_insert(place);
        }
        Self { lines, places }
    }

    fn lines(&self, tuple: &Tuple) -> Vec<&'a ExistingRule> {
        self.lines.iter().filter(|(_, own)| own.tuple == *tuple).map(|(line, _)| *line).collect()
    }

    fn but_for(&self, wanted: &[OwnRule]) -> Vec<&'a ExistingRule> {
        let stays = |own: &OwnRule| wanted.iter().any(|rule| rule.tuple == own.tuple);
        self.lines.iter().filter(|(_, own)| !stays(own)).map(|(line, _)| *line).collect()
    }

    /// Among the mesh's rules, which is their order of matching.
    fn place(&self, tuple: &Tuple) -> Option<usize> {
        self.places.get(tuple).copied()
    }

    /// Whether the rule is there exactly so, for IPv4 and IPv6.
    fn has(&self, rule: &OwnRule) -> bool {
        self.lines.iter().filter(|(_, own)| own.tuple == rule.tuple).all(|(_, own)| own == rule)
            && self.place(&rule.tuple).is_some()
    }
}

impl Step {
    /// What stands behind `ufw` on the command line.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Set(rule) => rule.arguments(),
            // A plan deletes rules of the mesh only, and those have a comment.
            Self::Delete(rule) => rule.delete_arguments().unwrap_or_default(),
            // `--force` answers the question that ufw asks whoever is logged in by SSH.
            Self::Enable => ["--force", "enable"].map(str::to_owned).to_vec(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delete(rule) => write!(f, "ufw {}", delete_line(rule)),
            _ => write!(f, "ufw {}", quoted(&self.arguments())),
        }
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = match self.owner {
            Owner::Operator => "operator",
            Owner::Mesh => "mesh",
        };
        write!(f, "kept: the {owner}'s rule `{}`: {}", self.rule, self.because)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused: {}: {}", self.rule, self.because)
    }
}

impl fmt::Display for FirewallPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        self.kept.iter().try_for_each(|kept| writeln!(f, "# {kept}"))?;
        self.refused.iter().try_for_each(|refused| writeln!(f, "# {refused}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "# {note}"))
    }
}
