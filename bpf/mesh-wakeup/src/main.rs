//! The mesh wakeup filter, on the egress of wg0: what is for nobody ends here, and the agent sleeps on.
//!
//! Packets begin with their IP header (wg0 is a layer 3 device). Two bitmaps over 100.64.0.0/10 decide: `KNOWN` and
//! `ACTIVE`; `PENDING` keeps a burst of packets
//! to one peer from raising more than one event.

#![no_std]
#![no_main]

mod shared;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::{classifier, map};
use aya_ebpf::maps::{Array, LruHashMap, PerCpuArray, RingBuf};
use aya_ebpf::programs::TcContext;

use shared::{ACTIVE, ADDRESSES, BASE, COUNTERS, FOREIGN, PENDING, RING_BYTES, RING_FULL, UNKNOWN, WOKE, WORDS};

#[map(name = "KNOWN")]
static KNOWN_MAP: Array<u64> = Array::with_max_entries(WORDS, 0);

#[map(name = "ACTIVE")]
static ACTIVE_MAP: Array<u64> = Array::with_max_entries(WORDS, 0);

#[map(name = "PENDING")]
static PENDING_MAP: LruHashMap<u32, u8> = LruHashMap::with_max_entries(PENDING, 0);

#[map(name = "COUNTERS")]
static COUNTER_MAP: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS, 0);

#[map(name = "WAKES")]
static WAKE_RING: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// On to the next program, or out (`TC_ACT_UNSPEC`, the same number as `TCX_NEXT`).
const PASS: i32 = -1;
/// Ends here (`TC_ACT_SHOT`, the same number as `TCX_DROP`).
const DROP: i32 = 2;

/// The egress hook.
#[classifier]
pub fn mesh_wakeup(ctx: TcContext) -> i32 {
    match destination(&ctx) {
        Some(index) => decide(index),
        None => {
            count(FOREIGN);
            DROP
        }
    }
}

/// Index of an IPv4 destination that a server of the mesh can have.
#[inline(always)]
fn destination(ctx: &TcContext) -> Option<u32> {
    let version: u8 = ctx.load(0).ok()?;
    if version >> 4 != 4 {
        return None;
    }
    let destination: [u8; 4] = ctx.load(16).ok()?;
    let index = u32::from_be_bytes(destination).wrapping_sub(BASE);
    // The first and the last address are never given to a server.
    (index != 0 && index < ADDRESSES - 1).then_some(index)
}

#[inline(always)]
fn decide(index: u32) -> i32 {
    if !is_set(&KNOWN_MAP, index) {
        count(UNKNOWN);
        return DROP;
    }
    if is_set(&ACTIVE_MAP, index) {
        count(ACTIVE);
        return PASS;
    }
    count(WOKE);
    wake(index);
    PASS
}

/// One event an address, until the agent has seen to it.
#[inline(always)]
fn wake(index: u32) {
    // Looked up first: inserting into a full map gives up the oldest entry before it finds that this one is there.
    // SAFETY: nothing is read through it, so that the agent may remove it meanwhile.
    if unsafe { PENDING_MAP.get(index) }.is_some() {
        return;
    }
    // Inserting is atomic: of packets on several CPUs at once, one raises the event.
    if PENDING_MAP.insert(index, 1, BPF_NOEXIST as u64).is_err() {
        return;
    }
    if WAKE_RING.output(index, 0).is_err() {
        // The next packet tries again. An entry that is gone already is as good.
        let _ = PENDING_MAP.remove(index);
        count(RING_FULL);
    }
}

#[inline(always)]
fn is_set(map: &Array<u64>, index: u32) -> bool {
    map.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
}

#[inline(always)]
fn count(verdict: u32) {
    if let Some(counter) = COUNTER_MAP.get_ptr_mut(verdict) {
        // SAFETY: the value is this CPU's own, and packets leave with bottom halves disabled: none interrupts another.
        unsafe { *counter += 1 };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lends the helpers that this program uses to programs under the GPL alone.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
