//! TOML in, Playbooks out; Finding in, Plan out: the next step and why.
