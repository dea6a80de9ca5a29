//! A wall written down: TOML, checked before anything starts.
