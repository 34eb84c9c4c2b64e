//! ufw around the policy plugins, with guard rails.
