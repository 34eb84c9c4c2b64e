//! The instances of one plugin: a few, so that questions run side by side, and never more.

use std::time::{Duration, Instant as Moment};

use parking_lot::{Condvar, Mutex};

use crate::fault::Fault;
use crate::instance::{Instance, StartError};

/// Idle instances of a plugin, and how many there are in all.
pub(crate) struct InstancePool {
    slots: Mutex<Slots>,
    freed: Condvar,
    size: usize,
}

struct Slots {
    idle: Vec<Instance>,
    /// Idle, lent and starting.
    live: usize,
}

/// An instance on loan. Dropped: it is thrown away.
pub(crate) struct Lease<'a> {
    pool: &'a InstancePool,
    instance: Option<Instance>,
}

/// Why there is no instance.
pub(crate) enum TakeError {
    /// All are busy, or there is no room for one.
    Busy,
    /// A new one does not start.
    Fault(Fault),
}

impl InstancePool {
    /// A pool that will hold at most `size` instances, with one that is idle.
    pub fn new(size: usize, first: Instance) -> Self {
        Self { slots: Mutex::new(Slots { idle: vec![first], live: 1 }), freed: Condvar::new(), size }
    }

    /// An idle instance; else a new one; else the next that is given back within `patience`.
    pub fn take(
        &self,
        patience: Duration,
        start: impl FnOnce() -> Result<Instance, StartError>,
    ) -> Result<Lease<'_>, TakeError> {
        let deadline = Moment::now() + patience;
        let mut slots = self.slots.lock();
        let mut room = true;
        let mut start = Some(start);
        loop {
            if let Some(instance) = slots.idle.pop() {
                let lease = Lease { pool: self, instance: Some(instance) };
                if lease.instance.as_ref().is_some_and(|instance| !instance.is_spent()) {
                    return Ok(lease);
                }
                // It grew old while nobody asked.
                drop(slots);
                drop(lease);
                slots = self.slots.lock();
                continue;
            }
            if room
                && slots.live < self.size
                && let Some(start) = start.take()
            {
                slots.live += 1;
                drop(slots);
                // Counted out again if it does not start.
                let mut lease = Lease { pool: self, instance: None };
                match start() {
                    Ok(instance) => {
                        lease.instance = Some(instance);
                        return Ok(lease);
                    }
                    Err(StartError::Fault(fault)) => return Err(TakeError::Fault(fault)),
                    Err(StartError::PoolFull) => room = false,
                }
                drop(lease);
                slots = self.slots.lock();
                continue;
            }
            if slots.live == 0 || self.freed.wait_until(&mut slots, deadline).timed_out() {
                return Err(TakeError::Busy);
            }
        }
    }
}

impl Lease<'_> {
    /// The instance.
    pub fn instance(&mut self) -> &mut Instance {
        self.instance.as_mut().expect("a lease that is handed out holds an instance until it is given back")
    }

    /// Gives a sound instance back.
    pub fn give_back(mut self) {
        if let Some(instance) = self.instance.take_if(|instance| !instance.is_spent()) {
            let mut slots = self.pool.slots.lock();
            slots.idle.push(instance);
            // `drop` counts this lease out.
            slots.live += 1;
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // Its memory is free before another is started in its place.
        drop(self.instance.take());
        self.pool.slots.lock().live -= 1;
        self.pool.freed.notify_one();
    }
}
