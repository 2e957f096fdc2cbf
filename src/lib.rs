//! rootlet starts a container as an ordinary user: no sudo, no daemon, no setuid helper, no newuidmap.
//!
//! Data goes one way: a front writes a [`Spec`] (what), [`Plan::new`] makes a [`Plan`] of it (how; pure), and
//! [`parent::launch`] does it.
//!
//! ```
//! use rootlet::{Facts, Outcome, Plan, Spec, parent};
//!
//! # fn main() -> rootlet::error::Result<()> {
//! let spec = Spec { command: vec!["true".into()], ..Spec::default() };
//! let plan = Plan::new(&spec, &Facts::gather(&spec)?)?;
//! let outcome = parent::launch(&plan, false, &mut ())?.wait(&mut ())?;
//! assert_eq!(outcome, Outcome::Exited(0));
//! # Ok(())
//! # }
//! ```
//!
//! A container that is launched from a thread other than the first lives on when that thread ends (one without init, see
//! [`Spec::init`], does not); it ends when [`parent::Running`] is dropped, and with the process, whatever ends that.

pub mod changes;
pub mod child;
pub mod container;
pub mod doctor;
pub mod error;
pub mod front;
pub mod host;
pub mod namespaces;
pub mod parent;
pub mod plan;
pub mod preset;
pub mod seccomp;
pub mod spec;
pub mod state;
pub mod sys;

pub use container::{Container, Running};
pub use error::Error;
pub use host::Facts;
pub use parent::{Event, Observer, Outcome};
pub use plan::Plan;
pub use spec::Spec;
