//! rootlet: start a container as an ordinary user. This is the only place that prints an error.
#![forbid(unsafe_code)]

/// A line on standard error. Unlike `eprintln!` it does not panic where that cannot be written: nobody can be told then.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: rootlet::sys::alloc::Bump = rootlet::sys::alloc::Bump::new();

fn main() -> ExitCode {
    match cli::main() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            say!("rootlet: {error}");
            let known = error.downcast_ref::<rootlet::Error>();
            if let Some(hint) = known.and_then(|error| error.hint.as_ref()) {
                say!("hint: {hint}");
            }
            ExitCode::from(known.map_or(125, rootlet::Error::exit_status))
        }
    }
}
