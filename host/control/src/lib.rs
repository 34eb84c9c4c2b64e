//! The control plane: organisations, servers and resources become MeshState, served over HTTP.
