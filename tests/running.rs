//! Containers that have a name: how they are started, listed, watched, stopped and cleared away, with real programs.

#[path = "running/attach.rs"]
mod attach;
#[path = "running/crowd.rs"]
mod crowd;
#[path = "running/detached.rs"]
mod detached;
#[path = "running/ending.rs"]
mod ending;
#[path = "running/names.rs"]
mod names;
#[path = "running/pause.rs"]
mod pause;
#[path = "running/place.rs"]
mod place;
#[path = "support/place.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod places;
#[path = "support/processes.rs"]
mod processes;
#[path = "support/pty.rs"]
mod pty;
#[path = "running/restart.rs"]
mod restart;
#[path = "support/runtime.rs"]
mod runtime;
mod support;
#[path = "running/verbs.rs"]
mod verbs;
