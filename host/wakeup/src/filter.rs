//! The filter as the agent holds it: attached to an interface, told who is known and who has a session.

use std::io;

use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::tc::{NlOptions, TcAttachOptions, TcError, qdisc_add_clsact, qdisc_detach_program};
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttachType};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfError};
use serde::Serialize;
use servos_mesh::{MeshAddress, PeerTable};

use crate::bitmap::Bitmap;
use crate::shared;
use crate::wakes::Wakes;

/// The program's name in the object.
const PROGRAM: &str = "mesh_wakeup";

/// What the kernel says of something that is there already (`errno(3)`).
const EEXIST: i32 = 17;

/// What became of the packets that left by the mesh interface, since the filter was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// To a peer with a session: straight on.
    pub active: u64,
    /// To a known peer without session: on, with a wake event unless one was pending.
    pub woke: u64,
    /// To an address of the mesh that is nobody's: dropped in the kernel.
    pub unknown: u64,
    /// To anything else, IPv6 among it: dropped in the kernel.
    pub foreign: u64,
    /// Wake events that found the ring full.
    pub ring_full: u64,
}

/// Where the filter hangs on its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Linux 6.6 and later: a link that goes with its holder.
    Tcx,
    /// Before: a `clsact` queueing discipline, which is made where it is missing and stays.
    Clsact,
}

impl Hook {
    /// The better one that this kernel has.
    pub fn of_this_kernel() -> Self {
        match KernelVersion::current() {
            Ok(version) if version < KernelVersion::new(6, 6, 0) => Self::Clsact,
            _ => Self::Tcx,
        }
    }
}

/// The attached filter. Detached when dropped.
pub struct WakeupFilter {
    /// Owns the program and its link.
    _program: Ebpf,
    known_map: Array<MapData, u64>,
    active_map: Array<MapData, u64>,
    pending: HashMap<MapData, u32, u8>,
    counters: PerCpuArray<MapData, u64>,
    known: Bitmap,
    active: Bitmap,
    wakes: Option<RingBuf<MapData>>,
}

impl WakeupFilter {
    /// Loads `object` (an eBPF object with BTF), fills in who is known, and attaches it to the egress of `interface`.
    ///
    /// # Errors
    ///
    /// [`WakeupError::Unavailable`] where eBPF is not to be had, [`WakeupError::Attach`] for an interface that is not
    /// there; with both, no packet is touched.
    pub fn attach(object: &[u8], interface: &str, table: &PeerTable) -> Result<Self, WakeupError> {
        Self::attach_by(Hook::of_this_kernel(), object, interface, table)
    }

    /// Takes away the filter of an agent that was killed, which goes by what was known then. [`Self::attach`] does so itself;
    /// for whoever attaches none. By TCX a filter goes with its process.
    ///
    /// # Errors
    ///
    /// [`WakeupError::Attach`] with what the kernel says.
    pub fn remove_left(interface: &str) -> Result<(), WakeupError> {
        let failed = |error: TcError| Box::new(ProgramError::from(error));
        remove_left(interface)
            .map_err(|error| WakeupError::Attach { interface: interface.to_owned(), source: failed(error) })
    }

    /// Like [`Self::attach`], on a hook of the caller's choice.
    ///
    /// # Errors
    ///
    /// As those of [`Self::attach`].
    pub fn attach_by(hook: Hook, object: &[u8], interface: &str, table: &PeerTable) -> Result<Self, WakeupError> {
        let mut program = Ebpf::load(object).map_err(|error| WakeupError::Unavailable(Box::new(error)))?;
        let map = |program: &mut Ebpf, name: &'static str| program.take_map(name).ok_or(WakeupError::Object(name));
        let array = |map| Array::try_from(map).map_err(WakeupError::Map);
        let mut filter = Self {
            known_map: array(map(&mut program, "KNOWN")?)?,
            active_map: array(map(&mut program, "ACTIVE")?)?,
            pending: HashMap::try_from(map(&mut program, "PENDING")?).map_err(WakeupError::Map)?,
            counters: PerCpuArray::try_from(map(&mut program, "COUNTERS")?).map_err(WakeupError::Map)?,
            wakes: Some(RingBuf::try_from(map(&mut program, "WAKES")?).map_err(WakeupError::Map)?),
            known: Bitmap::new(),
            active: Bitmap::new(),
            _program: program,
        };
        // Before the first packet passes it: the filter must never drop what the tunnel would carry.
        filter.set_known(table)?;
        filter.attach_program(hook, interface)?;
        Ok(filter)
    }

    /// Who is a peer. Writes only the words that changed. Who is no peer any more has no session and no pending wake
    /// event either, so that whoever gets the address next starts afresh.
    ///
    /// # Errors
    ///
    /// [`WakeupError::Map`]
    pub fn set_known(&mut self, table: &PeerTable) -> Result<(), WakeupError> {
        let mut next = Bitmap::new();
        for peer in table.peers() {
            next.set(peer.address(), true);
        }
        for (index, word) in self.known.changes(&next) {
            self.known_map.set(index, word, 0).map_err(WakeupError::Map)?;
        }
        let still_active = self.active.intersection(&next);
        for (index, word) in self.active.changes(&still_active) {
            self.active_map.set(index, word, 0).map_err(WakeupError::Map)?;
        }
        self.active = still_active;
        self.known = next;
        self.forget_events_of_the_unknown()
    }

    /// The same where only `changed` may differ from what was set before: costs these alone.
    ///
    /// # Errors
    ///
    /// [`WakeupError::Map`]; the same changes may be given again.
    pub fn follow(&mut self, table: &PeerTable, changed: impl Iterator<Item = MeshAddress>) -> Result<(), WakeupError> {
        for address in changed {
            let known = table.peer_by_address(address).is_some();
            if known != self.known.contains(address.index()) {
                // What the kernel did not take is not known here either, so that it is tried again.
                if let Err(problem) = self.change_known(address, known) {
                    self.known.set(address, !known);
                    return Err(problem);
                }
            }
        }
        Ok(())
    }

    fn change_known(&mut self, address: MeshAddress, known: bool) -> Result<(), WakeupError> {
        self.known.set(address, known);
        let (index, word) = self.known.word_of(address);
        self.known_map.set(index, word, 0).map_err(WakeupError::Map)?;
        if known { Ok(()) } else { self.set_active(address, false) }
    }

    /// Whether a peer has a session. Either way its pending wake event is seen to.
    ///
    /// # Errors
    ///
    /// [`WakeupError::Map`]
    pub fn set_active(&mut self, address: MeshAddress, active: bool) -> Result<(), WakeupError> {
        self.active.set(address, active);
        let (index, word) = self.active.word_of(address);
        self.active_map.set(index, word, 0).map_err(WakeupError::Map)?;
        self.forget_event(address.index())
    }

    /// Summed over all CPUs.
    ///
    /// # Errors
    ///
    /// [`WakeupError::Map`]
    pub fn counters(&self) -> Result<Counters, WakeupError> {
        let sum = |verdict: u32| -> Result<u64, WakeupError> {
            Ok(self.counters.get(&verdict, 0).map_err(WakeupError::Map)?.iter().sum())
        };
        Ok(Counters {
            active: sum(shared::ACTIVE)?,
            woke: sum(shared::WOKE)?,
            unknown: sum(shared::UNKNOWN)?,
            foreign: sum(shared::FOREIGN)?,
            ring_full: sum(shared::RING_FULL)?,
        })
    }

    /// The wake events; there is one reader, so this answers once. Within a tokio runtime.
    ///
    /// # Errors
    ///
    /// What the system said when the ring was registered.
    pub fn take_wakes(&mut self) -> io::Result<Option<Wakes>> {
        self.wakes.take().map(Wakes::new).transpose()
    }

    fn forget_events_of_the_unknown(&mut self) -> Result<(), WakeupError> {
        let pending: Vec<u32> = self.pending.keys().collect::<Result<_, _>>().map_err(WakeupError::Map)?;
        let unknown = pending.into_iter().filter(|index| !self.known.contains(*index)).collect::<Vec<_>>();
        unknown.into_iter().try_for_each(|index| self.forget_event(index))
    }

    fn forget_event(&mut self, index: u32) -> Result<(), WakeupError> {
        match self.pending.remove(&index) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(WakeupError::Map(error)),
        }
    }

    fn attach_program(&mut self, hook: Hook, interface: &str) -> Result<(), WakeupError> {
        let program: &mut SchedClassifier = self
            ._program
            .program_mut(PROGRAM)
            .ok_or(WakeupError::Object(PROGRAM))?
            .try_into()
            .map_err(|error: ProgramError| WakeupError::Unavailable(Box::new(error)))?;
        program.load().map_err(|error| WakeupError::Unavailable(Box::new(error)))?;
        let failed =
            |source: ProgramError| WakeupError::Attach { interface: interface.to_owned(), source: Box::new(source) };
        let options = match hook {
            Hook::Tcx => TcAttachOptions::TcxOrder(LinkOrder::default()),
            Hook::Clsact => {
                add_clsact(interface).and_then(|()| remove_left(interface)).map_err(|error| failed(error.into()))?;
                TcAttachOptions::Netlink(NlOptions::default())
            }
        };
        program.attach_with_options(interface, TcAttachType::Egress, options).map_err(failed)?;
        Ok(())
    }
}

fn remove_left(interface: &str) -> Result<(), TcError> {
    match qdisc_detach_program(interface, TcAttachType::Egress, PROGRAM) {
        Err(TcError::IoError(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        detached => detached,
    }
}

/// Somebody else's may be there already, which does as well.
fn add_clsact(interface: &str) -> Result<(), TcError> {
    match qdisc_add_clsact(interface) {
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(EEXIST) => Ok(()),
        added => added,
    }
}

/// Why there is no filter, or why it does not follow.
#[derive(Debug, thiserror::Error)]
pub enum WakeupError {
    /// The kernel does not take the program.
    #[error("eBPF is not to be had here: {}", remedy(.0.as_ref()))]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The program is loaded and cannot be attached.
    #[error("the wakeup filter cannot be attached to {interface}: is it up?")]
    Attach {
        /// The interface.
        interface: String,
        /// What the kernel said.
        #[source]
        source: Box<ProgramError>,
    },
    /// The object is not the filter's.
    #[error("the eBPF object has no {0}: run `cargo xtask build`")]
    Object(&'static str),
    /// A map does not take or give a value.
    #[error("a map of the wakeup filter cannot be used")]
    Map(#[source] MapError),
}

/// What the operator can do about it.
fn remedy(reason: &(dyn std::error::Error + 'static)) -> &'static str {
    let mut causes = std::iter::successors(Some(reason), |error| error.source());
    match causes.find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind) {
        Some(io::ErrorKind::PermissionDenied) => "give the agent CAP_BPF and CAP_NET_ADMIN, or run it as root",
        Some(io::ErrorKind::Unsupported) => "this kernel was built without BPF (CONFIG_BPF_SYSCALL)",
        // Before 5.11 maps count against RLIMIT_MEMLOCK, before 5.8 there is no ring buffer.
        _ => "it needs Linux 5.11 or later, and the object that `cargo xtask build` makes",
    }
}

impl From<EbpfError> for WakeupError {
    fn from(error: EbpfError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}
