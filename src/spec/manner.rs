//! How a container lives, and what its set-up may touch, where another tool's users expect it in another way.

use serde::{Deserialize, Serialize};

/// What becomes of the processes inside when the command ends, or the launcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lives {
    /// They end.
    #[default]
    Tied,
    /// They go on. The launcher ends with the command; init, where there is one, with the last of them.
    Own,
}

/// What becomes of a signal that is sent to the launcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signals {
    /// The command gets it.
    #[default]
    Passed,
    /// It has its effect on the launcher.
    Own,
}

/// The session keyring of the command (session-keyring(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keyring {
    /// A new one.
    #[default]
    New,
    /// The caller's.
    Host,
}

/// Whether further user namespaces can be made inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nesting {
    /// As the host allows it.
    #[default]
    Allowed,
    /// No: the limit of the container's own user namespace is set to the one in which the command is.
    Disabled,
    /// It is an error if they can: somebody else has seen to it, who made the user namespace that is joined.
    Refused,
}

/// Where mount points, directories, links and files that views need may be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Places {
    /// In memory of the container's own: nothing is made on the host.
    #[default]
    Memory,
    /// Anywhere, with the directories above them: in a view of the host that can be written they are made on the host, and
    /// stay there. A view may then be laid at `/`, and several at one place.
    Anywhere,
}

/// Whether what is mounted on the host later appears inside (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Propagation {
    /// No.
    #[default]
    Private,
    /// Yes, where the host shares its mounts, and without what was taken from the mounts around it.
    Slave,
}
