//! What takes the mesh's rules back, and nothing else.

use crate::existing::ExistingRule;
use crate::facts::{Facts, UfwState};
use crate::guard_rails::ssh_needs;
use crate::plan::{FirewallPlan, Kept, Owner, Step};

/// Plans the removal of every rule of the mesh; one that alone keeps SSH open under an active ufw stays, and is named.
pub fn plan_decommission(facts: &Facts) -> FirewallPlan {
    let mut plan = FirewallPlan { ufw: Some(facts.ufw), ..FirewallPlan::default() };
    let mut gone: Vec<&ExistingRule> = Vec::new();
    for rule in facts.rules.iter().filter(|rule| rule.is_ours()) {
        let stays = |other: &ExistingRule| other != rule && !gone.contains(&other);
        let active = facts.ufw == UfwState::Active;
        match active.then(|| ssh_needs(&facts.rules, stays, &[], &facts.ssh_ports)).flatten() {
            Some(because) => plan.kept.push(Kept { owner: Owner::Mesh, rule: rule.text.clone(), because }),
            None => {
                gone.push(rule);
                plan.steps.push(Step::Delete(rule.clone()));
            }
        }
    }
    plan
}
