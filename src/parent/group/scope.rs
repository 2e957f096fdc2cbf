//! A scope of systemd's: a control group that this process may divide.

use super::bus::{Bus, Trouble};
use super::message::{Call, Message, Writer};
use super::{PREFIX, unique};
use crate::host::cgroup::{Cgroups, Own};
use std::path::Path;
use std::time::Duration;

/// How long systemd may take: it answers in a few milliseconds, unless the machine is very busy.
const TIME: Duration = Duration::from_secs(5);

/// Has the systemd that listens on the bus at `socket` move this process into a scope of its own. It clears the scope up
/// when the last process in it has ended, whatever ends it.
pub fn join(socket: &Path) -> Result<(), Cgroups> {
    let unit = format!("{PREFIX}{}.scope", unique());
    let uid = rustix::process::geteuid().as_raw();
    let result =
        ask(socket, uid, &unit, TIME).map_err(|trouble| Cgroups::Refused(trouble.to_string()))?;
    let own = Own::find()?.path;
    match result == "done" && own.ends_with(&unit) {
        true => Ok(()),
        false => Err(Cgroups::Refused(format!(
            "the job's result is {result:?}, and this process is in {}",
            own.display()
        ))),
    }
}

/// Asks for the scope `unit`, and waits until systemd has made it; returns the result of its job, `done` if all is well.
fn ask(socket: &Path, uid: u32, unit: &str, time: Duration) -> Result<String, Trouble> {
    let mut bus = Bus::connect(socket, uid, time)?;
    bus.listen("type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'")?;
    let signals = bus.call(&request(unit))?;
    if let Some(result) = signals.iter().find_map(|signal| result(signal, unit)) {
        return Ok(result);
    }
    loop {
        if let Some(result) = result(&bus.next()?, unit) {
            return Ok(result);
        }
    }
}

/// The call StartTransientUnit (org.freedesktop.systemd1(5)).
fn request(unit: &str) -> Call<'_> {
    let mut body = Writer::default();
    body.string(unit);
    body.string("fail");
    body.list(8, |list| {
        property(list, "Description", "s", |value| {
            value.string("a container of rootlet's")
        });
        // 0 is whoever sends this: so the number is right from within another PID namespace too.
        property(list, "PIDs", "au", |value| {
            value.list(4, |pids| pids.number(0))
        });
        property(list, "Delegate", "b", |value| value.number(1));
        property(list, "CollectMode", "s", |value| {
            value.string("inactive-or-failed")
        });
    });
    // Units that it needs: none.
    body.list(8, |_| {});
    Call {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "StartTransientUnit",
        signature: "ssa(sv)a(sa(sv))",
        body,
    }
}

fn property(list: &mut Writer, name: &str, kind: &str, value: impl FnOnce(&mut Writer)) {
    list.structure();
    list.string(name);
    list.signature(kind);
    value(list);
}

/// The result in a JobRemoved signal (id, job, unit, result), if it is about `unit`.
fn result(message: &Message, unit: &str) -> Option<String> {
    match message.strings()[..] {
        [_job, about, result] if message.member == "JobRemoved" && about == unit => {
            Some(result.to_string())
        }
        _ => None,
    }
}
