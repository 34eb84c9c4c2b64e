//! What a call costs: host to guest and back, and a guest's look-ups at the host.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use servos_mesh::{Service, Snapshot};
use servos_plugin_sdk::testing::Mesh;
use servos_plugin_sdk::weighting as native;
use servos_plugin_traefik_failover::TraefikFailover;
use servos_sandbox::naming::{Answer, Outcome, Question, Rdata, RecordType};
use servos_sandbox::weighting::Candidate;
use servos_sandbox::{Manifest, Plugin, Sandbox};

use super::figure::{NATIVE, NOP, NUMBER, RESOLVE, SERVER, WEIGH_8, WEIGH_1000};
use super::guests::{self, LOOK_UPS};
use super::mesh::{EIGHT, THOUSAND};
use crate::bench::figure::{Figure, OURS};
use crate::bench::results::Results;

/// Calls between two looks at the clock.
const BATCH: u32 = 32;

/// The server that is looked for.
const WANTED: &str = "s19000";

/// Plugins that are loaded, and what they are asked.
pub(super) struct Calls {
    mesh: Arc<Snapshot>,
    passing: Plugin,
    asking_numbers: Plugin,
    asking_servers: Plugin,
    canary: Plugin,
    failover: Plugin,
}

impl Calls {
    pub(super) fn new(mesh: Arc<Snapshot>) -> Result<Self> {
        let sandbox = Sandbox::new(None)?;
        let load = |name: &str, wasm: &[u8], manifest: &Manifest| {
            sandbox.load(name, wasm, manifest).with_context(|| format!("plugin {name}"))
        };
        let plain = Manifest::default();
        let canary = Manifest::with_settings(&json!({ "server": WANTED }));
        Ok(Self {
            mesh,
            passing: load("passing", &guests::passing(), &plain)?,
            asking_numbers: load("asking-numbers", &guests::asking_numbers(), &plain)?,
            asking_servers: load("asking-servers", &guests::asking_servers(), &plain)?,
            canary: load("canary-naming", &guests::built("canary-naming")?, &canary)?,
            failover: load("traefik-failover", &guests::built("traefik-failover")?, &plain)?,
        })
    }

    /// One round, each figure for `time`.
    pub(super) fn measure(&self, time: Duration, results: &mut Results) -> Result<()> {
        let nop = self.resolving(&self.passing, time)?;
        results.add(NOP, OURS, nop);
        for (figure, plugin) in [(NUMBER, &self.asking_numbers), (SERVER, &self.asking_servers)] {
            let call = self.resolving(plugin, time)?;
            results.add(figure, OURS, (call - nop) / f64::from(LOOK_UPS));
        }
        results.add(NUMBER, NATIVE, nanoseconds(time, || Ok(black_box(black_box(&self.mesh).generation)))?);
        results.add(SERVER, NATIVE, nanoseconds(time, || self.look_up(WANTED).map(|(name, _)| name.to_owned()))?);
        self.canary(time, results)?;
        for (figure, service) in [(WEIGH_8, EIGHT), (WEIGH_1000, THOUSAND)] {
            self.weighing(figure, service, time, results)?;
        }
        Ok(())
    }

    /// A question to a plugin that passes.
    fn resolving(&self, plugin: &Plugin, time: Duration) -> Result<f64> {
        let question = Question { name: WANTED.to_owned(), record_type: RecordType::A };
        nanoseconds(time, || {
            let outcome = plugin.resolve(&self.mesh, &question)?;
            ensure!(outcome == Outcome::Pass, "{} does not pass", plugin.name());
            Ok(())
        })
    }

    fn canary(&self, time: Duration, results: &mut Results) -> Result<()> {
        let question = Question { name: "canary".to_owned(), record_type: RecordType::A };
        let answer = || -> Result<Outcome> {
            let (_, address) = self.look_up(black_box(WANTED))?;
            Ok(Outcome::Answers(vec![Answer { ttl: 5, rdata: Rdata::A(address) }]))
        };
        let expected = answer()?;
        let call = nanoseconds(time, || {
            let outcome = self.canary.resolve(&self.mesh, &question)?;
            ensure!(outcome == expected, "the canary answers {outcome:?}");
            Ok(())
        });
        results.add(RESOLVE, OURS, call?);
        results.add(RESOLVE, NATIVE, nanoseconds(time, answer)?);
        Ok(())
    }

    fn look_up(&self, name: &str) -> Result<(&str, Ipv4Addr)> {
        let table = &self.mesh.table;
        let peer = table.server_by_name(name).with_context(|| format!("no server {name}"))?;
        Ok((table.name_of(peer), peer.address().ipv4()))
    }

    /// The bundle's plugin, and the same code compiled in.
    fn weighing(&self, figure: Figure, name: &str, time: Duration, results: &mut Results) -> Result<()> {
        let service = self.mesh.table.service(name).with_context(|| format!("no service {name}"))?;
        let candidates: Vec<_> = service
            .instances
            .iter()
            .map(|instance| Candidate { instance: *instance, current_weight: Some(instance.weight()) })
            .collect();
        let plugin = TraefikFailover::default();
        let (directory, known, same) = (Mesh::new(), self.native_service(service), self.native(service)?);
        let weigh = || native::Weighting::weigh(&plugin, &directory, &known, black_box(&same));
        let expected = weigh();
        let call = nanoseconds(time, || {
            let weights = self.failover.weigh(&self.mesh, service, &candidates)?;
            ensure!(weights == expected, "other weights than the same code compiled in gives");
            Ok(())
        });
        results.add(figure, OURS, call?);
        results.add(figure, NATIVE, nanoseconds(time, || Ok(weigh()))?);
        Ok(())
    }

    fn native_service(&self, service: &Service) -> native::Service {
        native::Service {
            name: service.name.to_string(),
            protocol: native::Protocol::Http,
            port: service.port,
            hosts: Vec::new(),
            mesh_failover: service.mesh_failover,
            labels: Vec::new(),
        }
    }

    /// The candidates as the SDK hands them to a plugin.
    fn native(&self, service: &Service) -> Result<Vec<native::Candidate>> {
        let candidate = |instance: &servos_mesh::Instance| {
            let address = instance.server();
            let key =
                servos_mesh::InstanceKey { service: service.name.clone(), server: address, port: instance.port() };
            let seen = self.mesh.instance(&key).with_context(|| format!("{key:?} is not observed"))?;
            let peer = self.mesh.table.server_by_address(address).with_context(|| format!("no server {address}"))?;
            Ok(native::Candidate {
                instance: native::Instance {
                    server: native::Server { name: self.mesh.table.name_of(peer).to_owned(), address: address.ipv4() },
                    port: instance.port(),
                    weight_hint: instance.weight(),
                    health: native::Health::Healthy,
                    link: native::Link::Idle,
                    round_trip: seen.round_trip,
                    health_age: Duration::ZERO,
                    flaps: seen.flaps,
                },
                current_weight: Some(instance.weight()),
            })
        };
        service.instances.iter().map(candidate).collect()
    }
}

/// Nanoseconds a call, of as many as fit into `time`.
pub(super) fn nanoseconds<T>(time: Duration, mut call: impl FnMut() -> Result<T>) -> Result<f64> {
    let mut calls = 0_u32;
    let began = Instant::now();
    loop {
        for _ in 0..BATCH {
            black_box(call()?);
        }
        calls = calls.saturating_add(BATCH);
        let taken = began.elapsed();
        if taken >= time {
            return Ok(taken.as_secs_f64() * 1e9 / f64::from(calls));
        }
    }
}
