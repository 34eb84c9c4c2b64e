//! The agent: polls the mesh state, plans, applies; command line, status socket, metrics.
