//! How views are written on a command line.

use super::mount::{Content, Entry, Kept, Missing, Mount, Type, Without};
use crate::error::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Mount {
    /// Reads `SRC[:DST][:ro|:rw][,optional|,create]`, as docker's `-v` has it.
    ///
    /// # Errors
    /// For any other form, and a source that is empty.
    pub fn parse_volume(text: &OsStr) -> Result<Self> {
        let (words, missing) = match text.as_bytes() {
            [
                words @ ..,
                b',',
                b'o',
                b'p',
                b't',
                b'i',
                b'o',
                b'n',
                b'a',
                b'l',
            ] => (words, Missing::Optional),
            [words @ .., b',', b'c', b'r', b'e', b'a', b't', b'e'] => (words, Missing::Created),
            words => (words, Missing::Refused),
        };
        let mut fields: Vec<&[u8]> = words.split(|&byte| byte == b':').collect();
        let read_only = match fields.last() {
            Some(&b"ro") => Some(true),
            Some(&b"rw") => Some(false),
            _ => None,
        };
        if read_only.is_some() {
            fields.pop();
        }
        let (source, target) = match fields[..] {
            [source] => (path(source), None),
            [source, target] => (path(source), Some(path(target))),
            _ => {
                return Err(Error::usage(format!(
                    "volume {text:?}: expected SRC[:DST][:ro][,optional|,create]"
                ))
                .with_hint("a path with a colon in it is written as --mount type=bind,source=SRC,target=DST"));
            }
        };
        if source.as_os_str().is_empty() {
            return Err(Error::usage(format!(
                "volume {text:?}: the source is empty"
            )));
        }
        if target.as_ref().is_some_and(|it| it.as_os_str().is_empty()) {
            return Err(Error::usage(format!(
                "volume {text:?}: the destination is empty"
            )));
        }
        Ok(Mount::Bind {
            source,
            target,
            read_only: read_only.unwrap_or(false),
            without: Without::default(),
            missing,
        })
    }

    /// Reads `DST[:size=N,mode=M]`, as docker's `--tmpfs` has it.
    ///
    /// # Errors
    /// For an option that is neither of the two.
    pub fn parse_tmpfs(text: &OsStr) -> Result<Self> {
        let bytes = text.as_bytes();
        let colon = bytes
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(bytes.len());
        let (target, options) = bytes.split_at(colon);
        let (mut size, mut mode) = (None, None);
        for option in options
            .split(|&byte| byte == b':' || byte == b',')
            .filter(|option| !option.is_empty())
        {
            match option.split_at_checked(5) {
                Some((b"size=", value)) => size = Some(word(value)),
                Some((b"mode=", value)) => mode = Some(word(value)),
                _ => {
                    let option = OsStr::from_bytes(option);
                    return Err(Error::usage(format!(
                        "tmpfs {text:?}: unknown option {option:?}; size=N and mode=M are known"
                    )));
                }
            }
        }
        Ok(Mount::Tmpfs {
            target: path(target),
            size,
            mode,
        })
    }

    /// Reads `LOWER[:LOWER...],DST[,upper=DIR]`.
    ///
    /// # Errors
    /// For any other form.
    pub fn parse_overlay(text: &OsStr) -> Result<Self> {
        let wrong = || {
            Error::usage(format!(
                "overlay {text:?}: expected LOWER[:LOWER...],DST[,upper=DIR]"
            ))
        };
        let fields: Vec<&[u8]> = text.as_bytes().split(|&byte| byte == b',').collect();
        let (lower, target, upper) = match fields[..] {
            [lower, target] => (lower, target, None),
            [lower, target, upper] => (
                lower,
                target,
                Some(path(upper.strip_prefix(b"upper=").ok_or_else(wrong)?)),
            ),
            _ => return Err(wrong()),
        };
        let lower: Vec<PathBuf> = lower.split(|&byte| byte == b':').map(path).collect();
        let is_empty = |path: &PathBuf| path.as_os_str().is_empty();
        if lower.iter().chain(&upper).any(is_empty) || target.is_empty() {
            return Err(wrong());
        }
        Ok(Mount::Overlay {
            lower,
            target: path(target),
            read_only: false,
            upper,
            work: None,
            optional: false,
            volatile: false,
        })
    }

    /// Reads `DST[:MODE]=SRC`, where SRC is a path, `-` for standard input, or `@FD`.
    ///
    /// # Errors
    /// For any other form.
    pub fn parse_file(text: &OsStr) -> Result<Self> {
        let wrong = || {
            Error::usage(format!(
                "file {text:?}: expected DST[:MODE]=SRC, where SRC is a path, - or @FD"
            ))
        };
        let bytes = text.as_bytes();
        let equals = bytes
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or_else(wrong)?;
        let (place, source) = (&bytes[..equals], &bytes[equals + 1..]);
        let (target, mode) = match place.iter().rposition(|&byte| byte == b':') {
            Some(colon) => (&place[..colon], Some(word(&place[colon + 1..]))),
            None => (place, None),
        };
        Ok(Mount::File {
            target: path(target),
            content: Content::parse(&path(source)).ok_or_else(wrong)?,
            mode,
            kept: Kept::Either,
        })
    }

    /// Reads `type=TYPE,KEY=VALUE,...`, as docker's `--mount` has it.
    ///
    /// # Errors
    /// For a key that is not known, a value that a key does not take, and keys that do not belong to the type.
    pub fn parse_mount(text: &OsStr) -> Result<Self> {
        let wrong = |why: String| Error::usage(format!("mount {text:?}: {why}"));
        let mut entry = Entry::default();
        for option in text.as_bytes().split(|&byte| byte == b',') {
            let mut parts = option.splitn(2, |&byte| byte == b'=');
            let (key, value) = (parts.next().unwrap_or_default(), parts.next());
            entry.set(key, value).map_err(wrong)?;
        }
        // docker's own default is a volume, which is nothing that is here.
        Mount::try_from(entry).map_err(|error| wrong(error.to_string()))
    }

    /// A file, directory or device of the host at the same place inside.
    pub fn same(path: &Path, read_only: bool) -> Self {
        Mount::Bind {
            source: path.into(),
            target: None,
            read_only,
            without: Without::default(),
            missing: Missing::Refused,
        }
    }
}

impl Entry {
    /// Sets a key of `--mount`. The error says why not.
    fn set(&mut self, key: &[u8], value: Option<&[u8]>) -> std::result::Result<(), String> {
        let name = String::from_utf8_lossy(key);
        let given = || value.filter(|value| !value.is_empty());
        let needed = || given().ok_or_else(|| format!("{name} needs a value"));
        match key {
            b"type" => once(&mut self.r#type, kind(needed()?)?, &name)?,
            b"source" | b"src" => once(&mut self.source, path(needed()?), &name)?,
            b"target" | b"destination" | b"dst" => once(&mut self.target, path(needed()?), &name)?,
            b"lower" => self
                .lower
                .extend(needed()?.split(|&byte| byte == b':').map(path)),
            b"upper" => once(&mut self.upper, path(needed()?), &name)?,
            b"work" => once(&mut self.work, path(needed()?), &name)?,
            b"to" => once(&mut self.to, path(needed()?), &name)?,
            b"size" | b"tmpfs-size" => once(&mut self.size, word(needed()?), &name)?,
            b"mode" | b"tmpfs-mode" => once(&mut self.mode, word(needed()?), &name)?,
            b"text" => {
                let text = String::from_utf8(value.unwrap_or_default().to_vec());
                once(
                    &mut self.text,
                    text.map_err(|_| "the text is not UTF-8".to_string())?,
                    &name,
                )?;
            }
            b"readonly" | b"read-only" | b"ro" => {
                once(&mut self.read_only, truth(&name, value)?, &name)?
            }
            b"nodev" | b"no-devices" => once(&mut self.no_devices, truth(&name, value)?, &name)?,
            b"nosuid" | b"no-setuid" => once(&mut self.no_setuid, truth(&name, value)?, &name)?,
            b"recursive" => once(&mut self.recursive, truth(&name, value)?, &name)?,
            b"mounted" => once(&mut self.mounted, truth(&name, value)?, &name)?,
            b"rw" => once(&mut self.read_only, !truth(&name, value)?, &name)?,
            b"optional" => once(&mut self.optional, truth(&name, value)?, &name)?,
            b"volatile" => once(&mut self.volatile, truth(&name, value)?, &name)?,
            b"create" => once(&mut self.create, truth(&name, value)?, &name)?,
            _ => return Err(format!("unknown key {name:?}")),
        }
        Ok(())
    }
}

/// Sets what a key says, which says one thing.
fn once<T>(place: &mut Option<T>, value: T, name: &str) -> std::result::Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is given twice")),
    }
}

fn kind(value: &[u8]) -> std::result::Result<Type, String> {
    Ok(match value {
        b"bind" => Type::Bind,
        b"tmpfs" => Type::Tmpfs,
        b"overlay" => Type::Overlay,
        b"file" => Type::File,
        b"directory" => Type::Directory,
        b"chmod" => Type::Chmod,
        b"remount" => Type::Remount,
        b"seal" => Type::Seal,
        b"mask" => Type::Mask,
        b"symlink" => Type::Symlink,
        b"proc" => Type::Proc,
        b"dev" => Type::Dev,
        b"mqueue" => Type::Mqueue,
        b"devpts" => Type::Devpts,
        b"sysfs" => Type::Sysfs,
        _ => return Err(format!("unknown type {:?}", String::from_utf8_lossy(value))),
    })
}

/// A switch, alone or with `=true` or `=false`.
fn truth(name: &str, value: Option<&[u8]>) -> std::result::Result<bool, String> {
    match value {
        None | Some(b"true" | b"1") => Ok(true),
        Some(b"false" | b"0") => Ok(false),
        Some(_) => Err(format!("{name} is true or false")),
    }
}

fn word(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(word(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Kernel;

    fn bind(source: &str, target: Option<&str>, read_only: bool, missing: Missing) -> Mount {
        Mount::Bind {
            source: source.into(),
            target: target.map(PathBuf::from),
            read_only,
            without: Without::default(),
            missing,
        }
    }

    #[test]
    fn a_volume_is_source_destination_and_mode() {
        let refused = Missing::Refused;
        for (text, mount) in [
            ("/a", bind("/a", None, false, refused)),
            ("/a:ro", bind("/a", None, true, refused)),
            ("/a:/b", bind("/a", Some("/b"), false, refused)),
            ("/a:/b:ro", bind("/a", Some("/b"), true, refused)),
            ("/a:/b:rw", bind("/a", Some("/b"), false, refused)),
            (".:relative", bind(".", Some("relative"), false, refused)),
            ("/a,optional", bind("/a", None, false, Missing::Optional)),
            ("/a:ro,create", bind("/a", None, true, Missing::Created)),
            ("/a,b:/c,d", bind("/a,b", Some("/c,d"), false, refused)),
        ] {
            assert_eq!(
                Mount::parse_volume(OsStr::new(text)).unwrap(),
                mount,
                "{text}"
            );
        }
        for text in [
            "",
            ":/b",
            "ro",
            "/a:/b:ro:x",
            "/a:/b:/c",
            "/a:",
            "/a::ro",
            ",optional",
        ] {
            assert!(Mount::parse_volume(OsStr::new(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_tmpfs_is_a_destination_and_options() {
        let text = |text: &str| Some(OsString::from(text));
        for (words, size, mode) in [
            ("/t", None, None),
            ("/t:size=1m", text("1m"), None),
            ("/t:mode=700", None, text("700")),
            ("/t:size=50%,mode=0755", text("50%"), text("0755")),
        ] {
            let mount = Mount::parse_tmpfs(OsStr::new(words)).unwrap();
            assert_eq!(
                mount,
                Mount::Tmpfs {
                    target: "/t".into(),
                    size,
                    mode
                },
                "{words}"
            );
        }
        assert!(Mount::parse_tmpfs(OsStr::new("/t:uid=0")).is_err());
    }

    #[test]
    fn an_overlay_is_lower_directories_destination_and_upper() {
        let overlay = |lower: &[&str], upper: Option<&str>| Mount::Overlay {
            lower: lower.iter().map(PathBuf::from).collect(),
            target: "/d".into(),
            read_only: false,
            upper: upper.map(PathBuf::from),
            work: None,
            optional: false,
            volatile: false,
        };
        for (text, mount) in [
            ("/a,/d", overlay(&["/a"], None)),
            ("/a:b,/d", overlay(&["/a", "b"], None)),
            ("/a,/d,upper=u", overlay(&["/a"], Some("u"))),
        ] {
            assert_eq!(Mount::parse_overlay(OsStr::new(text)).unwrap(), mount);
        }
        for text in [
            "",
            "/a",
            "/a,",
            ",/d",
            "/a::/b,/d",
            "/a,/d,upper=",
            "/a,/d,u",
            "/a,/d,upper=u,x",
        ] {
            assert!(Mount::parse_overlay(OsStr::new(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_file_is_a_destination_and_where_its_content_is() {
        let file = |target: &str, mode: Option<&str>, content| Mount::File {
            target: target.into(),
            content,
            mode: mode.map(Into::into),
            kept: Kept::Either,
        };
        for (text, mount) in [
            ("/f=/s", file("/f", None, Content::Path("/s".into()))),
            ("/f:600=-", file("/f", Some("600"), Content::Stdin)),
            ("/f=@7", file("/f", None, Content::Descriptor(7))),
            ("/f=a=b", file("/f", None, Content::Path("a=b".into()))),
        ] {
            assert_eq!(Mount::parse_file(OsStr::new(text)).unwrap(), mount);
        }
        for text in ["", "/f", "/f=", "/f=@", "/f=@-1", "/f=@x"] {
            assert!(Mount::parse_file(OsStr::new(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_mount_is_keys_and_values_in_dockers_form() {
        for (text, mount) in [
            (
                "type=bind,source=/a,target=/b,readonly",
                bind("/a", Some("/b"), true, Missing::Refused),
            ),
            (
                "type=bind,src=/a:b,dst=/b,ro=false,optional",
                bind("/a:b", Some("/b"), false, Missing::Optional),
            ),
            (
                "type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=700",
                Mount::parse_tmpfs(OsStr::new("/t:size=1m,mode=700")).unwrap(),
            ),
            (
                "type=overlay,lower=/a:/b,target=/d,upper=/u",
                Mount::parse_overlay(OsStr::new("/a:/b,/d,upper=/u")).unwrap(),
            ),
            (
                "type=overlay,lower=/a,target=/d,lower=b",
                Mount::parse_overlay(OsStr::new("/a:b,/d")).unwrap(),
            ),
            (
                "type=file,target=/f,text=a=b",
                Mount::File {
                    target: "/f".into(),
                    content: Content::Text("a=b".into()),
                    mode: None,
                    kept: Kept::Either,
                },
            ),
            (
                "type=proc,target=/p",
                Mount::Kernel {
                    kind: Kernel::Proc,
                    target: "/p".into(),
                },
            ),
        ] {
            let read = Mount::parse_mount(OsStr::new(text)).unwrap();
            assert_eq!(read, mount, "{text}");
            assert_eq!(Mount::try_from(Entry::from(read.clone())).unwrap(), read);
        }
        for (text, why) in [
            ("", "unknown key \"\""),
            ("source=/a", "needs a type"),
            ("type=bind", "a bind has source"),
            ("type=volume,source=a,target=/b", "unknown type \"volume\""),
            ("type=bind,source=", "source needs a value"),
            ("type=bind,source=/a,size=1", "a bind has source"),
            ("type=bind,source=/a,optional,create", "optional or create"),
            ("type=bind,source=/a,ro=maybe", "ro is true or false"),
            ("type=tmpfs,target=/t,uid=0", "unknown key \"uid\""),
            ("type=overlay,target=/d", "an overlay has lower"),
            ("type=bind,source=/a,src=/b,target=/x", "src is given twice"),
            ("type=bind,source=/a,ro,rw", "rw is given twice"),
        ] {
            let error = Mount::parse_mount(OsStr::new(text))
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_mount_of_every_type_can_be_written_and_read_again() {
        let target = || PathBuf::from("/t");
        let without = |devices, setuid| Without { devices, setuid };
        let file = |kept| Mount::File {
            target: target(),
            content: Content::Descriptor(7),
            mode: None,
            kept,
        };
        for (text, mount) in [
            (
                "type=bind,source=/s,target=/t,nodev,no-setuid=true",
                Mount::Bind {
                    source: "/s".into(),
                    target: Some(target()),
                    read_only: false,
                    without: without(true, true),
                    missing: Missing::Refused,
                },
            ),
            (
                "type=overlay,lower=/a:/b,target=/t,ro",
                Mount::Overlay {
                    lower: vec!["/a".into(), "/b".into()],
                    target: target(),
                    read_only: true,
                    upper: None,
                    work: None,
                    optional: false,
                    volatile: false,
                },
            ),
            ("type=file,target=/t,source=@7", file(Kept::Either)),
            (
                "type=file,target=/t,source=@7,mounted=false",
                file(Kept::Written),
            ),
            (
                "type=file,target=/t,source=@7,mounted",
                file(Kept::Mounted { read_only: false }),
            ),
            (
                "type=file,target=/t,source=@7,mounted,ro",
                file(Kept::Mounted { read_only: true }),
            ),
            (
                "type=directory,target=/t",
                Mount::Directory {
                    target: target(),
                    mode: None,
                },
            ),
            (
                "type=directory,target=/t,mode=700",
                Mount::Directory {
                    target: target(),
                    mode: Some("700".into()),
                },
            ),
            (
                "type=chmod,target=/t,mode=1777",
                Mount::Chmod {
                    target: target(),
                    mode: "1777".into(),
                },
            ),
            (
                "type=remount,target=/t,nosuid,recursive",
                Mount::Remount {
                    target: target(),
                    read_only: false,
                    without: without(false, true),
                    recursive: true,
                },
            ),
            (
                "type=remount,target=/t,ro,no-devices",
                Mount::Remount {
                    target: target(),
                    read_only: true,
                    without: without(true, false),
                    recursive: false,
                },
            ),
            ("type=seal,target=/t", Mount::Seal { target: target() }),
        ] {
            let read = Mount::parse_mount(OsStr::new(text)).unwrap();
            assert_eq!(read, mount, "{text}");
            assert_eq!(Mount::try_from(Entry::from(mount.clone())).unwrap(), mount);
        }
    }

    #[test]
    fn keys_of_another_type_are_refused_by_those_that_it_has() {
        for (text, why) in [
            ("type=directory,target=/t,ro", "a directory has target"),
            ("type=directory", "a directory has target"),
            ("type=chmod,target=/t", "a chmod has target and mode"),
            ("type=remount,target=/t,mode=700", "a remount has target"),
            ("type=seal,target=/t,ro", "a seal has target"),
            ("type=tmpfs,target=/t,nodev", "a tmpfs has target"),
            ("type=bind,source=/s,mounted", "a bind has source"),
            ("type=bind,source=/s,recursive", "a bind has source"),
            ("type=file,target=/t,text=x,ro", "a file has target"),
            (
                "type=file,target=/t,text=x,mounted=false,ro",
                "a file has target",
            ),
            ("type=file,target=/t,text=x,nodev", "a file has target"),
        ] {
            let error = Mount::parse_mount(OsStr::new(text)).unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_pass() {
        let mount = Mount::parse_volume(OsStr::from_bytes(b"/\xff:/\xfe")).unwrap();
        assert_eq!(
            mount,
            Mount::Bind {
                source: OsStr::from_bytes(b"/\xff").into(),
                target: Some(OsStr::from_bytes(b"/\xfe").into()),
                read_only: false,
                without: Without::default(),
                missing: Missing::Refused,
            }
        );
    }
}
