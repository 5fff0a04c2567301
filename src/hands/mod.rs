//! The only room that changes the world, one file per outside system.
