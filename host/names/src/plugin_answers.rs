//! Asks the plugins, at most once for each question of an age, and makes replies of what they say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{LowerName, RecordType};
use parking_lot::Mutex;
use servos_mesh::Snapshot;
use servos_sandbox::naming::{self, Keep, Outcome, Question};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::answer_cache::{Age, AnswerCache};
use crate::counters::Counters;
use crate::limits::{CACHE_HALF, CONCURRENT_PLUGIN_CALLS, PLUGIN_PATIENCE};
use crate::reply::{Reply, Setting, plugin_type};
use crate::route::{Otherwise, Zone};
use crate::{NamesSettings, Resolve};

/// What came of a question.
#[derive(Clone, Debug)]
pub(crate) enum Answered {
    Reply(Arc<Reply>),
    /// No plugin knows it, and it may go to an upstream.
    Forward,
}

/// A question that is the plugins'.
pub(crate) struct PluginQuestion<'a> {
    /// As it was asked.
    pub name: &'a LowerName,
    pub record_type: RecordType,
    /// As plugins know it.
    pub question: String,
    pub zone: Zone,
    pub otherwise: Otherwise,
}

pub(crate) struct PluginAnswers {
    plugins: Arc<dyn Resolve>,
    changes: watch::Receiver<u64>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    cache: Mutex<AnswerCache<(LowerName, RecordType), Answered>>,
    calls: Arc<Semaphore>,
    counters: Arc<Counters>,
    ttl_ceiling: u32,
    negative_ttl: u32,
}

/// The mesh and the plugins at the moment of a question.
pub(crate) struct Moment {
    pub mesh: Arc<Snapshot>,
    age: Age,
}

impl PluginAnswers {
    pub(crate) fn new(
        settings: &NamesSettings,
        plugins: Arc<dyn Resolve>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            changes: plugins.changes(),
            plugins,
            snapshots,
            cache: Mutex::new(AnswerCache::new(CACHE_HALF)),
            calls: Arc::new(Semaphore::new(CONCURRENT_PLUGIN_CALLS)),
            counters,
            ttl_ceiling: settings.ttl_ceiling,
            negative_ttl: settings.negative_ttl,
        }
    }

    pub(crate) fn moment(&self) -> Moment {
        let mesh = self.snapshots.borrow().clone();
        // Read before any plugin is asked: an answer that is older than a change must not pass for younger.
        let age = Age { generation: mesh.generation, changes: *self.changes.borrow() };
        Moment { mesh, age }
    }

    pub(crate) fn setting<'a>(&self, moment: &'a Moment) -> Setting<'a> {
        Setting { mesh: &moment.mesh, ttl_ceiling: self.ttl_ceiling, negative_ttl: self.negative_ttl }
    }

    /// What was answered before.
    pub(crate) fn known(&self, moment: &Moment, name: &LowerName, record_type: RecordType) -> Option<Answered> {
        let found = self.cache.lock().get(moment.age, Instant::now(), &(name.clone(), record_type))?;
        self.counters.cache_hits.add(1);
        Some(found)
    }

    /// Asks the plugins. What they fail at is not kept, nor what they forbid.
    pub(crate) async fn ask(&self, moment: &Moment, asked: PluginQuestion<'_>) -> Answered {
        let setting = self.setting(moment);
        let zone = &asked.zone;
        let mut keep = Keep::UntilRevision;
        let answered = match self.outcome(moment, &asked.question, plugin_type(asked.record_type), &mut keep).await {
            Outcome::Failed => return Answered::Reply(Arc::new(Reply::bare(ResponseCode::ServFail))),
            Outcome::NoData => Answered::Reply(Arc::new(Reply::no_data(zone, setting))),
            Outcome::Answers(answers) => {
                let mut reply = Reply::answers(&answers, asked.name, asked.record_type, zone, setting);
                for (question, target) in reply.targets(setting) {
                    let outcome = self.outcome(moment, &question, naming::RecordType::A, &mut keep).await;
                    reply.add_target(&target, &outcome, setting);
                }
                Answered::Reply(Arc::new(reply))
            }
            nothing @ (Outcome::Pass | Outcome::NoSuchName) => {
                match self.has_address(moment, &asked, &mut keep).await {
                    Ok(true) => Answered::Reply(Arc::new(Reply::no_data(zone, setting))),
                    Ok(false) if nothing == Outcome::Pass && asked.otherwise == Otherwise::Forward => Answered::Forward,
                    Ok(false) => Answered::Reply(Arc::new(Reply::no_such_name(zone, setting))),
                    Err(Failed) => return Answered::Reply(Arc::new(Reply::bare(ResponseCode::ServFail))),
                }
            }
        };
        let until = match keep {
            Keep::Never => return answered,
            Keep::For(time) => Some(Instant::now() + time),
            Keep::UntilRevision => None,
        };
        let key = (asked.name.clone(), asked.record_type);
        self.cache.lock().insert(moment.age, key, answered.clone(), until);
        answered
    }

    /// Whether a name that is said not to exist has an address all the same. A plugin that passes on all but address
    /// questions would otherwise make its own names vanish: musl drops the address when AAAA says "no such name".
    async fn has_address(&self, moment: &Moment, asked: &PluginQuestion<'_>, keep: &mut Keep) -> Result<bool, Failed> {
        if asked.record_type == RecordType::A || matches!(asked.zone, Zone::Reverse(_)) {
            return Ok(false);
        }
        match self.outcome(moment, &asked.question, naming::RecordType::A, keep).await {
            Outcome::Answers(_) | Outcome::NoData => Ok(true),
            Outcome::Pass | Outcome::NoSuchName => Ok(false),
            Outcome::Failed => Err(Failed),
        }
    }

    /// One question to the plugins; `keep` is lowered to what they allow.
    async fn outcome(&self, moment: &Moment, name: &str, record_type: naming::RecordType, keep: &mut Keep) -> Outcome {
        let patience: Duration = PLUGIN_PATIENCE;
        let Ok(Ok(turn)) = timeout(patience, self.calls.clone().acquire_owned()).await else {
            self.counters.overloaded.add(1);
            return Outcome::Failed;
        };
        self.counters.plugin_calls.add(1);
        let (plugins, mesh) = (self.plugins.clone(), moment.mesh.clone());
        let question = Question { name: name.to_owned(), record_type };
        let call = tokio::task::spawn_blocking(move || {
            let resolved = plugins.resolve_to_keep(&mesh, &question);
            drop(turn);
            resolved
        });
        match call.await {
            Ok(resolved) => {
                *keep = (*keep).min(resolved.keep);
                resolved.outcome
            }
            Err(_) => Outcome::Failed,
        }
    }
}

struct Failed;
