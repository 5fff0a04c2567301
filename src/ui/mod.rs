//! App in, cells out: one panel, one file. Draws and decides nothing.
