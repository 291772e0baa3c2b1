//! Lines out of a stream of bytes.
