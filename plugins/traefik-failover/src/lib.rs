//! Default traefik-failover plugin.
