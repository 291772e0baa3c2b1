//! What `cliente` does.
