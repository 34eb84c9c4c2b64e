//! The DNS server around the naming plugins, and the host's resolver settings.
