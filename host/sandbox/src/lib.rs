//! Loads plugins, limits them, swaps them, calls them; trusts none of their answers.
