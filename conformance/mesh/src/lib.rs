//! The mesh end to end: a laboratory of servers in namespaces, and the tests that run in it.
