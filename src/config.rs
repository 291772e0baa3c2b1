//! What a servidor is started with.
