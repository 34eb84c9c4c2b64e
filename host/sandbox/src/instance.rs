//! One instance of a plugin in its own store: started, configured, called within limits. After a fault it is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use nix::time::{ClockId, clock_gettime};
use servos_mesh::Snapshot;
use wasmtime::{PoolConcurrencyLimitError, Store, StoreContextMut, Trap, UpdateDeadline};

use crate::component::{Exports, Linked};
use crate::deadline::Deadline;
use crate::fault::{Fault, shown};
use crate::guest_state::GuestState;
use crate::life::Life;
use crate::limits::{HANDLES, START_DEADLINE, TRANSFER_BYTES};
use crate::manifest::Manifest;
use crate::plugin_log::PluginLog;
use crate::ticker::Ticker;

/// A guest that is ready to be called.
pub(crate) struct Instance {
    store: Store<GuestState>,
    exports: Exports,
    memory_mib: u32,
    life: Life,
}

/// Why an instance does not start.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The pool of all plugins has no slot left: not the plugin's fault.
    PoolFull,
    /// The plugin's fault.
    Fault(Fault),
}

impl Instance {
    /// Makes a store, instantiates the component in it, and configures it.
    pub fn start(
        linked: &Linked,
        manifest: &Manifest,
        log: &Arc<PluginLog>,
        ticker: &Ticker,
    ) -> Result<Self, StartError> {
        let memory_mib = manifest.memory_mib;
        let deadline = Deadline::new(START_DEADLINE, Moment::now());
        let mut store = Store::new(linked.instance.engine(), GuestState::new(memory_mib, log, deadline));
        store.limiter(|state| &mut state.ceiling);
        store.set_hostcall_fuel(TRANSFER_BYTES);
        store.set_max_component_handles(HANDLES);
        store.epoch_deadline_callback(tick);
        store.set_epoch_deadline(1);
        let _running = ticker.running();
        let started = linked.instance.instantiate(&mut store).and_then(|instance| {
            let exports = linked.exports(&mut store, &instance)?;
            let configured = match &exports {
                Exports::Naming(guest) => guest.call_configure(&mut store, &manifest.settings)?,
                Exports::Weighting(guest) => guest.call_configure(&mut store, &manifest.settings)?,
                Exports::Policy(guest) => guest.call_configure(&mut store, &manifest.settings)?,
            };
            Ok((exports, configured))
        });
        match started {
            Ok((exports, Ok(()))) => {
                Ok(Self { store, exports, memory_mib, life: Life::new(manifest.instances, Moment::now()) })
            }
            Ok((_, Err(reason))) => Err(StartError::Fault(Fault::Settings(shown(&reason)))),
            Err(error) if error.is::<PoolConcurrencyLimitError>() => Err(StartError::PoolFull),
            Err(error) => Err(StartError::Fault(fault(&error, &mut store, memory_mib, START_DEADLINE))),
        }
    }

    /// Calls the guest, which sees `snapshot` for as long as the call takes.
    pub fn call<T>(
        &mut self,
        ticker: &Ticker,
        deadline: Duration,
        snapshot: Option<&Arc<Snapshot>>,
        function: impl FnOnce(&Exports, &mut Store<GuestState>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.life.spend();
        let _running = ticker.running();
        self.store.set_epoch_deadline(1);
        let state = self.store.data_mut();
        state.ceiling.take_denied_memory();
        state.snapshot = snapshot.cloned();
        state.deadline = Deadline::new(deadline, Moment::now());
        let result = function(&self.exports, &mut self.store);
        self.store.data_mut().snapshot = None;
        result.map_err(|error| fault(&error, &mut self.store, self.memory_mib, deadline))
    }

    /// Bytes of its memories.
    pub fn memory_held(&self) -> usize {
        self.store.data().ceiling.memory_held()
    }

    /// Whether it has served its time.
    pub fn is_spent(&self) -> bool {
        self.life.is_over(Moment::now())
    }
}

/// Called in a guest that runs when the epoch rises.
fn tick(mut store: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
    let processor = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_err(wasmtime::Error::from)?;
    Ok(match store.data_mut().deadline.is_over(Moment::now(), processor.into()) {
        true => UpdateDeadline::Interrupt,
        false => UpdateDeadline::Continue(1),
    })
}

fn fault(error: &wasmtime::Error, store: &mut Store<GuestState>, mib: u32, deadline: Duration) -> Fault {
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return Fault::Deadline(deadline);
    }
    if store.data_mut().ceiling.take_denied_memory() {
        return Fault::Memory { mib };
    }
    Fault::Trap(match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => shown(&error.root_cause().to_string()),
    })
}
