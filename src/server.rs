//! Listener and sessions.
