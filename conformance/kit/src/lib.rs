//! Proves a plugin: what every plugin of a world must do, run against a component file.
