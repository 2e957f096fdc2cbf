//! bwrap's command line: each case runs with the peer's binary (`BWRAP`, else /usr/bin/bwrap) and with ours, and both have to do
//! what is written here. A peer that is too old for an option, or for what became of one, is left out of that case.

#[path = "bwrap/arguments.rs"]
mod arguments;
#[path = "bwrap/binds.rs"]
mod binds;
#[path = "bwrap/commands.rs"]
mod commands;
#[path = "bwrap/descriptors.rs"]
mod descriptors;
#[path = "bwrap/devices.rs"]
mod devices;
#[path = "bwrap/fds.rs"]
mod fds;
#[path = "bwrap/files.rs"]
mod files;
#[path = "bwrap/filters.rs"]
mod filters;
#[path = "bwrap/life.rs"]
mod life;
#[path = "bwrap/live.rs"]
mod live;
#[path = "bwrap/missing.rs"]
mod missing;
#[path = "bwrap/namespaces.rs"]
mod namespaces;
#[path = "bwrap/ours.rs"]
mod ours;
#[path = "bwrap/overlays.rs"]
mod overlays;
#[path = "bwrap/programs.rs"]
mod programs;
#[path = "support/pty.rs"]
mod pty;
#[path = "bwrap/refusals.rs"]
mod refusals;
#[path = "bwrap/reports.rs"]
mod reports;
mod support;
#[path = "bwrap/user_namespaces.rs"]
mod user_namespaces;
#[path = "bwrap/views.rs"]
mod views;
