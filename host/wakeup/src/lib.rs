//! Loads and feeds the mesh wakeup filter, the eBPF program on the egress of wg0.
