//! Probes of failover instances, and Traefik's dynamic configuration around the weighting plugins.
