//! The figures: their names, their units, and what is aimed at.

use crate::bench::figure::Aim::{AtLeast, AtMost, TimesAtLeast, TimesAtMost};
use crate::bench::figure::{Aim, figure};
pub(super) use crate::bench::figure::{Figure, OURS};

/// Names of the other devices, and of the floor below them.
pub(super) const DEBIAN: &str = "wireguard-go (Debian)";
pub(super) const CURRENT: &str = "wireguard-go (current)";
pub(super) const BORINGTUN: &str = "boringtun";
pub(super) const GOTATUN: &str = "gotatun";
pub(super) const SEALING: &str = "sealing alone";

/// Whom ours is held against, in the order of the table.
pub(super) const PEERS: [&str; 5] = [DEBIAN, CURRENT, BORINGTUN, GOTATUN, SEALING];

const FASTER: &[Aim] = &[TimesAtLeast(DEBIAN, 8.0), TimesAtLeast(CURRENT, 2.0), TimesAtLeast(BORINGTUN, 5.0)];
const CHEAPER: &[Aim] = &[TimesAtMost(DEBIAN, 0.125), TimesAtMost(CURRENT, 0.4), TimesAtMost(SEALING, 2.0)];
const SOONER: &[Aim] = &[TimesAtMost(CURRENT, 1.0), TimesAtMost(BORINGTUN, 1.0)];

pub(super) const STREAM_THERE: Figure = figure("stream-there", "one TCP stream, there", "Gbit/s", FASTER);
pub(super) const STREAM_BACK: Figure = figure("stream-back", "one TCP stream, back", "Gbit/s", FASTER);
pub(super) const CPU_SENDER: Figure = figure("cpu-sender", "CPU of the sending side", "core-s/Gbit", CHEAPER);
pub(super) const CPU_RECEIVER: Figure = figure("cpu-receiver", "CPU of the receiving side", "core-s/Gbit", CHEAPER);
pub(super) const PACKETS: Figure = figure(
    "packets",
    "UDP packets of 64 bytes, loss under 0.1 %",
    "packets/s",
    &[TimesAtLeast(DEBIAN, 3.0), TimesAtLeast(CURRENT, 1.5)],
);
pub(super) const ECHO_IDLE_P50: Figure = figure("echo-idle-p50", "UDP echo, idle tunnel, p50", "µs", SOONER);
pub(super) const ECHO_IDLE_P99: Figure = figure("echo-idle-p99", "UDP echo, idle tunnel, p99", "µs", SOONER);
pub(super) const ECHO_LOADED_P50: Figure = figure("echo-loaded-p50", "UDP echo beside a TCP stream, p50", "µs", SOONER);
pub(super) const ECHO_LOADED_P99: Figure = figure("echo-loaded-p99", "UDP echo beside a TCP stream, p99", "µs", SOONER);
pub(super) const RESIDENT: Figure = figure("resident", "resident memory after the TCP streams", "MB", &[AtMost(20.0)]);
pub(super) const FIRST_PACKET: Figure =
    figure("first-packet", "first packet to an idle peer, beyond a round trip", "ms", &[AtMost(2.0)]);
pub(super) const FLOOD_SHARE: Figure =
    figure("flood-share", "TCP throughput kept in a flood of initiations", "share", &[AtLeast(0.9)]);
pub(super) const FLOOD_RATE: Figure = figure("flood-rate", "initiations in that flood", "a second", &[]);
pub(super) const FLOOD_BUFFERS: Figure =
    figure("flood-buffers", "memory that grew in the first quarter of that flood", "MB", &[]);
pub(super) const FLOOD_GROWTH: Figure =
    figure("flood-growth", "memory that grew from there to its end", "MB", &[AtMost(0.1)]);
pub(super) const BYTES_A_PEER: Figure =
    figure("bytes-a-peer", "resident memory a known peer, 4,194,302 known", "bytes", &[AtMost(80.0)]);
pub(super) const KIB_A_SESSION: Figure =
    figure("kib-a-session", "resident memory a session, of 100", "KiB", &[AtMost(16.0)]);
pub(super) const START: Figure =
    figure("start", "from mapped file to first packet answered, 4,194,302 known", "s", &[AtMost(0.5)]);
pub(super) const IDLE_CPU: Figure =
    figure("idle-cpu", "CPU of an idle tunnel, 4,194,302 known, 1,000 quiet sessions", "% of a core", &[AtMost(0.2)]);
pub(super) const APPLY: Figure =
    figure("apply", "100 changes among 4,194,302 peers put in force", "ms", &[AtMost(5.0)]);
pub(super) const APPLY_LOST: Figure = figure("apply-lost", "packets lost meanwhile", "packets", &[AtMost(0.0)]);
pub(super) const APPLY_LATE: Figure =
    figure("apply-late", "worst echo meanwhile, beyond the worst before", "ms", &[AtMost(1.0)]);

pub(super) const APPLY_WHOLE: Figure = figure("apply-whole", "the same, had it come as a whole state", "ms", &[]);

/// All figures, in the order of the table.
pub(super) const FIGURES: [Figure; 23] = [
    STREAM_THERE,
    STREAM_BACK,
    CPU_SENDER,
    CPU_RECEIVER,
    PACKETS,
    ECHO_IDLE_P50,
    ECHO_IDLE_P99,
    ECHO_LOADED_P50,
    ECHO_LOADED_P99,
    FIRST_PACKET,
    RESIDENT,
    FLOOD_SHARE,
    FLOOD_RATE,
    FLOOD_BUFFERS,
    FLOOD_GROWTH,
    BYTES_A_PEER,
    KIB_A_SESSION,
    START,
    IDLE_CPU,
    APPLY,
    APPLY_LOST,
    APPLY_LATE,
    APPLY_WHOLE,
];
