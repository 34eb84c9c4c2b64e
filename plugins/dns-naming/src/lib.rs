//! Default dns-naming plugin.
