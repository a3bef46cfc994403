//! Tests of the walk against memory images laid out as Go lays out its maps.
//!
//! `image` is the memory, `target` the world around it, `values` and `descriptors`
//! make keys and types, `operations` map types and operations;
//! `classic` and `swiss` hold a textbook search each, which knows nothing of
//! memory, and compare it with the walk; `compare` does so for keys; `hostile`
//! walks memory that no Go program ever had; `verify` compares a walk with
//! what the runtime did.

mod bits;
mod chains;
mod classic;
mod compare;
mod descriptors;
mod dice;
mod hash;
mod hostile;
mod image;
mod operations;
mod swiss;
mod target;
mod types;
mod undecided;
mod values;
mod verify;
