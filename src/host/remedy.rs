//! WHO can open a gate that is shut, and with which words.

use super::cause::Cause;
use super::cgroup::Cgroups;
use super::place::{Ci, Container, Place};
use serde::Serialize;

/// What can be done about a [`Cause`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// Who has to do it.
    pub who: &'static str,
    /// What it is.
    pub what: String,
    /// Lines to paste.
    pub lines: Vec<String>,
}

fn remedy(who: &'static str, what: impl Into<String>, lines: &[&str]) -> Remedy {
    Remedy {
        who,
        what: what.into(),
        lines: lines.iter().map(|line| line.to_string()).collect(),
    }
}

const YOU: &str = "you";
const SUDO: &str = "you, with sudo";
const ADMIN: &str = "the machine's administrator";

/// Where AppArmor keeps its profiles.
const PROFILE: &str = "/etc/apparmor.d/rootlet";

impl Cause {
    /// What can be done about it here.
    pub fn remedies(&self, place: &Place) -> Vec<Remedy> {
        let program = place.program.display();
        match self {
            Cause::Filter | Cause::FilterKills | Cause::Hidden { .. } => of_container(place),
            Cause::SecurityModule { .. } if place.container.is_some() || place.ci.is_some() => {
                of_container(place)
            }
            Cause::SecurityModule { label } => {
                let label = label.as_deref().unwrap_or("this process");
                vec![remedy(
                    ADMIN,
                    format!(
                        "let {label} make user namespaces and mounts: its policy is in the way"
                    ),
                    &["sudo ausearch -m AVC -ts recent || sudo dmesg | grep -i apparmor"],
                )]
            }
            Cause::Chroot => vec![remedy(
                YOU,
                "enter the tree as a root of its own instead of by chroot(1), from outside of it",
                &["rootlet run --rootfs DIR"],
            )],
            Cause::UnmappedId { uid } => vec![remedy(
                "whoever starts this container",
                format!("start it as a user that it maps, or map {uid}"),
                &["docker run --user 1000 ..."],
            )],
            Cause::UnmappedGroup { gid } => vec![remedy(
                "whoever starts this container",
                format!("start it as a group that it maps, or map {gid}"),
                &["docker run --user 1000:1000 ..."],
            )],
            Cause::RootWithoutSetfcap => vec![
                remedy(
                    "whoever starts this container",
                    "start it as another user than root",
                    &["docker run --user 1000 ..."],
                ),
                remedy(
                    "whoever starts this container",
                    "or leave root that capability",
                    &["docker run --cap-drop ALL --cap-add SETFCAP ..."],
                ),
            ],
            Cause::UsernsCloneOff => vec![remedy(
                SUDO,
                "allow user namespaces, for now and for good",
                &[
                    "sudo sysctl -w kernel.unprivileged_userns_clone=1",
                    "echo kernel.unprivileged_userns_clone=1 | sudo tee /etc/sysctl.d/99-userns.conf",
                ],
            )],
            Cause::AppArmorUserns => vec![
                remedy(
                    SUDO,
                    format!("allow user namespaces to {program}"),
                    &[
                        &format!("{program} doctor --apparmor-profile | sudo tee {PROFILE}"),
                        &format!("sudo apparmor_parser -r {PROFILE}"),
                    ],
                ),
                remedy(
                    SUDO,
                    "or to every program, until the next boot (a GitHub runner lets you)",
                    &["sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"],
                ),
            ],
            Cause::Limit { file } => {
                let name = file.trim_start_matches("/proc/sys/").replace('/', ".");
                let value = format!("{name}=15000");
                vec![remedy(
                    "whoever rules this user namespace: root here, or the administrator",
                    "raise the limit (where it is a rule of hardening, that rule has to go)",
                    &[
                        &format!("sudo sysctl -w {value}"),
                        &format!("echo {value} | sudo tee /etc/sysctl.d/99-userns.conf"),
                    ],
                )]
            }
            Cause::OuterLimit { file } => vec![remedy(
                ADMIN,
                "look at the limits outside of this container, and at how deep containers are nested",
                &[&format!("cat {file}")],
            )],
            Cause::KernelLacks { what } => vec![remedy(
                ADMIN,
                format!("run a kernel with {what}, as distributions have"),
                &[],
            )],
            Cause::OldKernel { since } => {
                vec![remedy(ADMIN, format!("run Linux {since} or newer"), &[])]
            }
            Cause::Wsl1 => vec![remedy(
                YOU,
                "change to WSL 2, in Windows",
                &["wsl --set-version DISTRIBUTION 2"],
            )],
            Cause::Processes { limit: Some(_) } => vec![remedy(
                YOU,
                "raise the limit of processes, up to the hard one",
                &["ulimit -u $(ulimit -Hu)"],
            )],
            Cause::Processes { limit: None } => vec![remedy(
                ADMIN,
                "raise the limit of processes of this user or of this control group",
                &["ulimit -u; cat /sys/fs/cgroup/pids.max"],
            )],
            Cause::OpenFiles { .. } => vec![remedy(
                YOU,
                "raise the limit of open files, up to the hard one",
                &["ulimit -n $(ulimit -Hn)"],
            )],
            Cause::Keys => vec![remedy(
                SUDO,
                "raise the limit, or end what holds them (they are listed in /proc/keys)",
                &["sudo sysctl -w kernel.keys.maxkeys=2000"],
            )],
            Cause::ForeignProc => vec![remedy(
                "whoever set this place up",
                "mount a /proc of this PID namespace: the id maps of a user namespace are written there",
                &["bwrap ... --proc /proc ...", "mount -t proc proc /proc"],
            )],
            Cause::NoProc | Cause::ReadOnlyProc => vec![remedy(
                "whoever set this place up",
                "mount /proc, writable: the id maps of a user namespace are written there",
                &["mount -t proc proc /proc"],
            )],
            Cause::Landlock => vec![remedy(
                YOU,
                "restrict files by Landlock alone, which works inside another such sandbox",
                &["rootlet run --no-namespaces --read-only -v . -- COMMAND"],
            )],
            Cause::LandlockOff => vec![remedy(
                ADMIN,
                "name it among the security modules of the kernel's command line",
                &["lsm=landlock,lockdown,yama,integrity,apparmor,bpf"],
            )],
            Cause::Initramfs => vec![remedy(
                YOU,
                "keep the host's root, with views on it; --rootfs and --root empty need another, or Linux 7.0",
                &["rootlet run -v DIR:/mnt"],
            )],
            Cause::NoDevice { path } => vec![remedy(
                ADMIN,
                format!("make {path}, or give it to the container"),
                &[
                    "sudo modprobe tun",
                    &format!("docker run --device {path} IMAGE"),
                ][usize::from(!path.ends_with("tun"))..],
            )],
            Cause::ClosedDevice { path } => vec![remedy(
                ADMIN,
                format!("let everybody open {path}, as distributions do"),
                &[&format!("sudo chmod 666 {path}")],
            )],
            Cause::NotForOverlays { .. } => vec![remedy(
                YOU,
                "keep the changes on another file system: a volume, or memory",
                &["rootlet try --keep /dev/shm/changes -- COMMAND"],
            )],
            Cause::NoDelegation { cgroups } => vec![cgroups.remedy()],
            Cause::Unknown => Vec::new(),
        }
    }

    /// What can be done, in the few words of a hint: the first line of the first remedy. None where it depends on what
    /// sort of container this is, and that is not known.
    pub fn short_remedy(&self, place: &Place) -> Option<String> {
        let is_containers = matches!(
            self,
            Cause::Filter | Cause::FilterKills | Cause::Hidden { .. }
        );
        if is_containers && place.container.is_none() && place.ci.is_none() {
            return None;
        }
        let remedies = self.remedies(place);
        let first = remedies.first()?;
        Some(match &first.lines[..] {
            [line] => format!("{}: `{line}`", first.what),
            _ => first.what.clone(),
        })
    }
}

const DOCKER: [&str; 1] = [
    "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined IMAGE",
];
const PODMAN: [&str; 1] = [
    "podman run --security-opt seccomp=unconfined --security-opt unmask=ALL --security-opt label=disable IMAGE",
];
const KUBERNETES: [&str; 6] = [
    "spec:",
    "  hostUsers: false",
    "  containers:",
    "  - securityContext:",
    "      procMount: Unmasked",
    "      seccompProfile: {type: Unconfined}",
];
const GITHUB: [&str; 5] = [
    "container:",
    "  options: >-",
    "    --security-opt seccomp=unconfined",
    "    --security-opt apparmor=unconfined",
    "    --security-opt systempaths=unconfined",
];
const GITLAB: [&str; 3] = [
    "[runners.docker]",
    "  security_opt = [\"seccomp=unconfined\", \"apparmor=unconfined\", \"systempaths=unconfined\"]",
    "# in the runner's config.toml; or use its shell or VM executor",
];
const CIRCLECI: [&str; 2] = ["machine:", "  image: ubuntu-2404:current"];
const LXC: [&str; 2] = [
    "lxc config set NAME security.nesting true",
    "pct set ID --features nesting=1",
];
const UNIT: [&str; 5] = [
    "[Service]",
    "RestrictNamespaces=no",
    "SystemCallFilter=",
    "ProtectProc=default",
    "ProtectKernelTunables=no",
];

impl Remedy {
    /// All in one line.
    pub fn in_line(&self) -> String {
        match self.lines.is_empty() {
            true => self.what.clone(),
            false => format!("{}: `{}`", self.what, self.lines.join("`, `")),
        }
    }
}

impl Cgroups {
    /// The remedy, and what there is without one.
    pub fn hint(&self) -> String {
        let remedy = self.remedy().in_line();
        format!(
            "{remedy}; or --limits try goes on without limits, --limits rlimit with limits of each process"
        )
    }

    /// What gives one a control group, or the controllers that it lacks.
    pub fn remedy(&self) -> Remedy {
        match self {
            Cgroups::Lacks { .. } => remedy(
                ADMIN,
                "let users' systemd have every controller, and log in anew",
                &[
                    "sudo systemctl edit user@.service",
                    "[Service]",
                    "Delegate=cpu cpuset io memory pids",
                ],
            ),
            Cgroups::NoControllers(_) => remedy(
                ADMIN,
                "boot with version 2 of control groups alone, on the kernel's command line",
                &["systemd.unified_cgroup_hierarchy=1"],
            ),
            Cgroups::NotMounted | Cgroups::Hidden => remedy(
                "whoever set this place up",
                "mount it, and make its directory the user's",
                &["mount -t cgroup2 cgroup2 /sys/fs/cgroup"],
            ),
            _ => remedy(
                YOU,
                "start rootlet in a scope of your own systemd (with cgroup v2 and a login session)",
                &["systemd-run --user --scope -p Delegate=yes rootlet run"],
            ),
        }
    }
}

/// What opens a container. Where it is not known which one this is, all that it may be.
fn of_container(place: &Place) -> Vec<Remedy> {
    let author = "whoever starts this container";
    let docker = remedy(author, "with Docker", &DOCKER);
    let podman = remedy(author, "with Podman", &PODMAN);
    let pod = remedy("the pod's author", "in Kubernetes", &KUBERNETES);
    let unit = remedy(ADMIN, "in the service's unit (systemctl edit)", &UNIT);
    let ci = place.ci.map(|ci| match ci {
        Ci::GitHub => remedy(
            "the workflow's author",
            "in the job, on GitHub Actions",
            &GITHUB,
        ),
        Ci::GitLab => remedy("the runner's administrator", "on GitLab", &GITLAB),
        Ci::CircleCi => remedy(
            "the job's author",
            "use the machine executor, on CircleCI",
            &CIRCLECI,
        ),
    });
    let mut remedies: Vec<Remedy> = ci.into_iter().collect();
    match place.container {
        Some(Container::Podman) => remedies.push(podman),
        Some(Container::Kubernetes) => remedies.push(pod),
        Some(Container::Lxc) => remedies.push(remedy(ADMIN, "with LXD, Incus or Proxmox", &LXC)),
        Some(Container::Service) => remedies.push(unit),
        Some(Container::Flatpak) => remedies.push(remedy(
            YOU,
            "start it outside of the Flatpak sandbox",
            &["flatpak-spawn --host rootlet run"],
        )),
        Some(Container::Docker) if place.ci.is_none() => remedies.push(docker),
        Some(_) => {}
        None if place.ci.is_some() => {}
        None => remedies.extend([docker, podman, pod, unit]),
    }
    remedies.push(remedy(
        YOU,
        "or do without namespaces: files are restricted all the same",
        &["rootlet run --no-namespaces --read-only -v . -- COMMAND"],
    ));
    remedies
}

#[cfg(test)]
mod tests {
    use super::super::cause::tests::open_place;
    use super::*;

    #[test]
    fn a_container_that_is_known_gets_its_own_words() {
        let said = |container, ci| {
            let place = Place {
                container,
                ci,
                ..open_place()
            };
            let remedies = Cause::Filter.remedies(&place);
            remedies
                .iter()
                .map(|it| it.what.clone())
                .collect::<Vec<_>>()
        };
        let rest = "or do without namespaces: files are restricted all the same";
        assert_eq!(said(Some(Container::Podman), None), ["with Podman", rest]);
        assert_eq!(
            said(Some(Container::Kubernetes), None),
            ["in Kubernetes", rest]
        );
        assert_eq!(
            said(Some(Container::Docker), Some(Ci::GitHub)),
            ["in the job, on GitHub Actions", rest]
        );
        assert_eq!(said(None, None).len(), 5);
    }

    #[test]
    fn an_apparmor_profile_is_for_this_very_program() {
        let lines = &Cause::AppArmorUserns.remedies(&open_place())[0].lines;
        assert_eq!(
            lines[0],
            "/usr/bin/rootlet doctor --apparmor-profile | sudo tee /etc/apparmor.d/rootlet"
        );
    }
}
