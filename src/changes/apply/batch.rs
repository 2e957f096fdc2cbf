//! What is renamed and deleted together, after one sync.

use super::super::descent::c_name;
use super::super::list::{Change, look};
use super::super::remove::remove;
use super::super::state::{FileType, State};
use super::super::store::failed;
use super::leftovers::Note;
use super::place::Placed;
use super::{Job, Piece, Refusal};
use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, RenameFlags, renameat, renameat_with, syncfs, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::path::Path;

/// A batch ends with so many files,
const FILES: usize = 32 * 1024;
/// or so many bytes, which is what the disk needs to have free besides the new files themselves.
const BYTES: u64 = 512 << 20;

/// Changes that wait for the sync.
#[derive(Default)]
pub struct Batch<'a> {
    waiting: Vec<Waiting<'a>>,
    bytes: u64,
}

struct Waiting<'a> {
    change: Change<'a>,
    name: CString,
    temporary: CString,
}

impl<'a> Batch<'a> {
    /// The new file is in `temporary`.
    pub fn replace(&mut self, change: Change<'a>, name: CString, temporary: CString, new: &State) {
        self.bytes += new.size;
        self.waiting.push(Waiting {
            change,
            name,
            temporary,
        });
    }

    /// To be deleted; a directory needs a name of its own for the time that it takes.
    pub fn delete(
        &mut self,
        change: Change<'a>,
        note: &mut Note<'_>,
        piece: usize,
        root: &Path,
    ) -> rustix::io::Result<()> {
        let name = c_name(change.path.file_name().unwrap_or_default())?;
        let path = change.path.strip_prefix(root).unwrap_or(change.path);
        let directory = path.parent().unwrap_or(path);
        let temporary = match change.inside {
            Some(_) => note.name_in(piece, directory)?,
            None => CString::default(),
        };
        self.waiting.push(Waiting {
            change,
            name,
            temporary,
        });
        Ok(())
    }

    /// Whether it is time to commit.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= FILES || self.bytes >= BYTES
    }
}

impl<'a> Job<'a> {
    /// Syncs, then gives every file of the batch its name.
    pub(super) fn commit(&mut self, piece: &mut Piece<'a>) {
        let batch = std::mem::take(&mut piece.batch);
        if batch.waiting.is_empty() {
            return;
        }
        let synced = syncfs(&piece.sync);
        for waiting in batch.waiting {
            let change = waiting.change;
            let done = synced
                .and_then(|()| piece.go(change))
                .and_then(|()| waiting.happen(piece));
            if done.is_ok() {
                self.result.applied += 1;
                if parts_names(change) {
                    self.result.parted.push(change.path.to_path_buf());
                }
                continue;
            }
            waiting.give_up(piece);
            self.result.refused.push(match done {
                Err(Errno::BUSY | Errno::EXIST) => Refusal::Conflict {
                    path: change.path.to_path_buf(),
                    reason: "was changed on the host just now",
                },
                result => Refusal::Failed(failed(
                    "apply",
                    change.path,
                    result.err().unwrap_or(Errno::IO),
                )),
            });
        }
    }
}

/// Whether a new file takes one of several names that the old one has. An overlay copies a file under the name by which it is
/// written to, so the command did not see the others change.
fn parts_names(change: Change<'_>) -> bool {
    let (Some(before), Some(after)) = (change.before, change.after) else {
        return false;
    };
    let files = [before, after]
        .iter()
        .all(|it| it.file_type == FileType::File);
    files && before.links > after.links
}

impl Waiting<'_> {
    fn happen(&self, piece: &mut Piece<'_>) -> rustix::io::Result<()> {
        let at = piece.host.current();
        let Waiting {
            change,
            name,
            temporary,
        } = self;
        expect(at, name, change.before)?;
        let Some(after) = change.after else {
            return match change.inside {
                None => unlinkat(at, name, AtFlags::empty()),
                Some(_) => {
                    renameat(at, name, at, temporary)?;
                    remove(at, temporary)
                }
            };
        };
        match change.inside {
            None => take_place(at, temporary, name, change.before.is_none())?,
            Some(_) => exchange(at, temporary, name)?,
        }
        if let Some(placed) = piece.placed.get_mut(&after.inode) {
            placed.renamed(temporary, name);
        }
        Ok(())
    }

    /// Takes back what was prepared.
    fn give_up(&self, piece: &mut Piece<'_>) {
        if let Some(after) = self.change.after {
            let at = piece.host.current();
            let _ = unlinkat(at, &self.temporary, AtFlags::empty());
            let lost = |placed: &Placed| placed.name() == self.temporary.as_c_str();
            if piece.placed.get(&after.inode).is_some_and(lost) {
                piece.placed.remove(&after.inode);
            }
        }
    }
}

/// Makes sure that the host still has at `name` what was seen of it.
///
/// # Errors
/// EBUSY when it has not.
pub fn expect(at: BorrowedFd<'_>, name: &CStr, seen: Option<&State>) -> rustix::io::Result<()> {
    match (look(at, name)?, seen) {
        (None, None) => Ok(()),
        (Some(now), Some(seen)) if now.same_file(seen) => Ok(()),
        _ => Err(Errno::BUSY),
    }
}

/// Renames a file over the old one. Where none is expected, none is replaced.
fn take_place(
    at: BorrowedFd<'_>,
    temporary: &CStr,
    name: &CStr,
    is_new: bool,
) -> rustix::io::Result<()> {
    if is_new {
        match renameat_with(at, temporary, at, name, RenameFlags::NOREPLACE) {
            // Not every file system can do that.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            result => return result,
        }
    }
    renameat(at, temporary, at, name)?;
    // Where both names were links to one file, rename(2) has left both.
    match unlinkat(at, temporary, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// Puts `temporary` in place of `name`, one of which is a directory, and removes what was there.
pub fn exchange(at: BorrowedFd<'_>, temporary: &CStr, name: &CStr) -> rustix::io::Result<()> {
    match renameat_with(at, temporary, at, name, RenameFlags::EXCHANGE) {
        // Where the file system has no exchange, there is a moment without either.
        Err(Errno::INVAL | Errno::NOSYS) => {
            let old = [temporary.to_bytes(), b"-old"].concat();
            let old = CString::new(old).map_err(|_| Errno::INVAL)?;
            renameat(at, name, at, &old)?;
            renameat(at, temporary, at, name)?;
            remove(at, &old)
        }
        Ok(()) => remove(at, temporary),
        Err(errno) => Err(errno),
    }
}
