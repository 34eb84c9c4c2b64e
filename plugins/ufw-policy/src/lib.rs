//! Default ufw-policy plugin.
