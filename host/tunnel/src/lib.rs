//! The WireGuard interface: a sans-I/O device core, and the userspace backend around it.
