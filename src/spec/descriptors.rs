//! Descriptors of the caller's that a container is made with, rather than given.

use serde::{Deserialize, Serialize};

/// What the caller's descriptors are for, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Descriptors {
    /// Whether the command gets all that the caller has open, but for those that are named here.
    #[serde(skip_serializing_if = "super::is_default")]
    pub inherit: bool,
    /// Held by init for as long as there are processes inside, so that whoever has the other end sees when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<i32>,
    /// The command waits until there is something to read, or the other end is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaited: Option<i32>,
    /// Somebody else writes the id maps, and says so by a byte, or by closing the other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_maps: Option<i32>,
    /// A user namespace that is joined, and none made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_namespace: Option<i32>,
    /// A user namespace inside that one, which the command joins when all is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_user_namespace: Option<i32>,
    /// A PID namespace that is joined; where one is to be made, it is made in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<i32>,
}
