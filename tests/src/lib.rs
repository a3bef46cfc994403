//! The Go fixtures and the oracle that the end-to-end tests compare with.
