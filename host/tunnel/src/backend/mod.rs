//! What moves bytes between the device core and the kernel.

pub(crate) mod userspace;
