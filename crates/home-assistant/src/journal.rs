//! The file of what was written and what it replaced.
//!
//! It is written before Home Assistant is. A lock on a second file keeps another process out: two
//! that write at the same time could keep each other's rows.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use statistics::{Hour, Joint, Row};
use thiserror::Error;

use crate::metadata::Metadata;
use crate::notes::{Journal, Kept, Noted};
use crate::running::Entity;

/// The largest file. If it grows larger, the oldest entries are dropped.
const LONGEST: usize = 4 * 1024 * 1024;

/// Why the file cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Another process uses it.
    #[error("another kamstrup2mqtt is writing statistics now")]
    InUse,
    /// It cannot be read or written.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// It is not a file of this program.
    #[error("{} is damaged", .0.display())]
    Damaged(PathBuf),
}

/// The file, as long as no other process may use it.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    entries: Vec<Entry>,
    /// The unique ids of Home Assistant's entities, by the ids that they have now.
    unique_ids: BTreeMap<String, String>,
    _lock: File,
}

/// One call that wrote rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The id of the entity when this was written.
    statistic_id: String,
    /// The id that it keeps when it is renamed. Earlier versions did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unique_id: Option<String>,
    unit: String,
    written: Vec<KeptRow>,
    replaced: Vec<KeptRow>,
    undone: bool,
    /// Whether all that was written is being taken back.
    #[serde(default, skip_serializing_if = "is_false")]
    undoing: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    joint: Option<KeptJoint>,
}

/// It is not stored then.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Where sums were joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptJoint {
    /// The oldest row that is written before it, if any is.
    oldest: Option<KeptRow>,
    /// The first row after it, as it was.
    live: KeptRow,
    by: String,
    /// Whether an adjustment was sent and was not seen yet.
    sent: bool,
    /// Whether the sums were seen joined. Earlier versions did not note that.
    #[serde(default)]
    done: bool,
    /// Whether it is being taken back.
    undoing: bool,
}

impl From<&Joint> for KeptJoint {
    fn from(joint: &Joint) -> Self {
        let Joint { oldest, live, by } = joint;
        let (oldest, live) = (oldest.as_ref().map(KeptRow::from), live.into());
        Self { oldest, live, by: by.to_string(), sent: false, done: false, undoing: false }
    }
}

impl KeptJoint {
    fn joint(&self) -> Option<Joint> {
        let oldest = match &self.oldest {
            Some(oldest) => Some(oldest.row()?),
            None => None,
        };
        let by = Decimal::from_str_exact(&self.by).ok()?;
        Some(Joint { oldest, live: self.live.row()?, by })
    }
}

impl Entry {
    fn noted(&self) -> Option<Noted> {
        let kept = self.joint.as_ref()?;
        let is_undone = self.undone || kept.undoing;
        let (is_sent, is_done) = (kept.sent, kept.done);
        Some(Noted { joint: kept.joint()?, is_sent, is_done, is_undone })
    }
}

/// Start of the hour, state and sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptRow(String, String, String);

impl From<&Row> for KeptRow {
    fn from(row: &Row) -> Self {
        Self(row.hour.start().to_string(), row.state.to_string(), row.sum.to_string())
    }
}

impl KeptRow {
    fn row(&self) -> Option<Row> {
        let Self(start, state, sum) = self;
        Some(Row {
            hour: Hour::beginning(start.parse().ok()?)?,
            state: Decimal::from_str_exact(state).ok()?,
            sum: Decimal::from_str_exact(sum).ok()?,
        })
    }
}

/// What one call has written, so that it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// Its number.
    pub number: usize,
    /// The id of the entity.
    pub statistic_id: String,
    /// The unit of the rows.
    pub unit: String,
    /// The rows.
    pub kept: Kept,
}

impl JournalFile {
    /// Opens or begins the file.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |error| JournalError::File { path: path.to_owned(), reason: error };
        let lock = open_lock(path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let entries = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
            Ok(file) => {
                let mut text = String::new();
                let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_mul(2);
                file.take(most).read_to_string(&mut text).map_err(failed)?;
                serde_json::from_str(&text).map_err(|_| JournalError::Damaged(path.to_owned()))?
            }
        };
        let unique_ids = BTreeMap::new();
        Ok(Self { path: path.to_owned(), entries, unique_ids, _lock: lock })
    }

    /// Follows entities that were renamed: Home Assistant renames their statistics, too. An entity
    /// that does not exist any more keeps the id that it had.
    pub fn follow(&mut self, entities: &[Entity]) {
        for entry in &mut self.entries {
            let is_it = |entity: &&Entity| match &entry.unique_id {
                Some(unique_id) => entity.unique_id == *unique_id,
                None => entity.entity_id == entry.statistic_id,
            };
            if let Some(entity) = entities.iter().find(is_it) {
                entry.statistic_id.clone_from(&entity.entity_id);
                entry.unique_id = Some(entity.unique_id.clone());
            }
        }
        let ids = |it: &Entity| (it.entity_id.clone(), it.unique_id.clone());
        self.unique_ids = entities.iter().map(ids).collect();
    }

    /// What can be taken back, newest first.
    #[must_use]
    pub fn to_undo(&self) -> Vec<Entered> {
        let entries = self.entries.iter().enumerate().rev().filter(|(_, entry)| !entry.undone);
        let entered = |(number, entry): (usize, &Entry)| {
            let rows = |rows: &[KeptRow]| rows.iter().map(KeptRow::row).collect::<Option<_>>();
            let joint = match &entry.joint {
                Some(joint) => Some(joint.joint()?),
                None => None,
            };
            let (written, replaced) = (rows(&entry.written)?, rows(&entry.replaced)?);
            let kept = Kept { written, replaced, joint };
            let Entry { statistic_id, unit, .. } = entry.clone();
            Some(Entered { number, statistic_id, unit, kept })
        };
        entries.filter_map(entered).collect()
    }

    /// Notes that everything is about to be taken back.
    pub fn begin_undo_of_all(&mut self) -> Result<(), JournalError> {
        for entry in &mut self.entries {
            entry.undoing = true;
        }
        self.save()
    }

    /// Whether something that was written into this series was taken back, or that was begun. Then
    /// nobody but the user may write into it.
    #[must_use]
    pub fn is_withdrawn(&self, metadata: &Metadata) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| {
            let is_joint_undone = entry.joint.as_ref().is_some_and(|joint| joint.undoing);
            entry.statistic_id == metadata.statistic_id()
                && (entry.undone || entry.undoing || is_joint_undone)
        })
    }

    /// Notes that this was taken back. Its hours are then left alone for good.
    pub fn note_undone(&mut self, number: usize) -> Result<(), JournalError> {
        if let Some(entry) = self.entries.get_mut(number) {
            entry.undone = true;
        }
        self.save()
    }

    /// The joint of this series at this hour.
    fn joint_mut(&mut self, metadata: &Metadata, at: Hour) -> Option<&mut KeptJoint> {
        let entry = self.entries.iter_mut().rev().find(|entry| {
            entry.statistic_id == metadata.statistic_id()
                && entry.noted().is_some_and(|noted| noted.joint.live.hour == at)
        });
        entry?.joint.as_mut()
    }

    /// The joints of this series, newest first.
    fn joints(&self, metadata: &Metadata) -> impl Iterator<Item = Noted> {
        let id = metadata.statistic_id().to_owned();
        let entries = self.entries.iter().rev().filter(move |entry| entry.statistic_id == id);
        entries.filter_map(Entry::noted)
    }

    /// Writes the file as a whole or not at all.
    fn save(&mut self) -> Result<(), JournalError> {
        let failed =
            |error: io::Error| JournalError::File { path: self.path.clone(), reason: error };
        let mut text = serde_json::to_vec(&self.entries).map_err(|error| failed(error.into()))?;
        while text.len() > LONGEST && self.entries.len() > 1 {
            // A joint is needed for good: without it, the same hours would be written again.
            let Some(oldest) = self.entries.iter().position(|it| it.joint.is_none()) else { break };
            self.entries.remove(oldest);
            text = serde_json::to_vec(&self.entries).map_err(|error| failed(error.into()))?;
        }
        let new = self.path.with_extension("new");
        let write = || {
            // An earlier write may have ended here.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&new)?;
            give_to_owner(&file, &self.path);
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(failed)
    }
}

/// Opens the file of the lock, or creates it. The folder may belong to another user than the one
/// who runs this. So a link that this user has put there is not followed, a pipe is not waited for,
/// and a file that exists keeps its owner.
fn open_lock(path: &Path) -> io::Result<File> {
    let lock = path.with_extension("lock");
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock) {
        Ok(file) => {
            give_to_owner(&file, path);
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let flags = flags.bits().cast_signed();
            OpenOptions::new().write(true).custom_flags(flags).open(&lock)
        }
        Err(error) => Err(error),
    }
}

/// The administrator may run the command, and the service another user. Then the service must be
/// able to use the file.
fn give_to_owner(file: &File, path: &Path) {
    let folder = path.parent().and_then(|folder| folder.metadata().ok());
    if let Some(folder) = folder {
        // Without the right to do this, the file belongs to the user who can use it.
        let _ = fchown(file, Some(folder.uid()), Some(folder.gid()));
    }
}

impl Journal for JournalFile {
    fn keep(&mut self, metadata: &Metadata, kept: &Kept) -> Result<(), String> {
        let Kept { written, replaced, joint } = kept;
        let entry = Entry {
            statistic_id: metadata.statistic_id().to_owned(),
            unique_id: self.unique_ids.get(metadata.statistic_id()).cloned(),
            unit: metadata.unit().to_owned(),
            written: written.iter().map(KeptRow::from).collect(),
            replaced: replaced.iter().map(KeptRow::from).collect(),
            undone: false,
            undoing: false,
            joint: joint.as_ref().map(KeptJoint::from),
        };
        // An import that Home Assistant has refused is tried again each hour.
        if self.entries.contains(&entry) {
            return Ok(());
        }
        self.entries.push(entry);
        self.save().map_err(|error| {
            self.entries.pop();
            error.to_string()
        })
    }

    fn begin(&mut self, metadata: &Metadata, joint: &Joint) -> Result<(), String> {
        let before = self.entries.clone();
        if joint.oldest.is_some() {
            let is_void = |entry: &Entry| {
                entry.statistic_id == metadata.statistic_id()
                    && entry.noted().is_some_and(|noted| {
                        let Joint { oldest, live, .. } = noted.joint;
                        !noted.is_undone && oldest.is_some() && live.hour <= joint.live.hour
                    })
            };
            self.entries.retain(|entry| !is_void(entry));
        }
        let kept = Kept { written: Vec::new(), replaced: Vec::new(), joint: Some(*joint) };
        let result = self.keep(metadata, &kept);
        if result.is_err() {
            self.entries = before;
        }
        result
    }

    fn note_sent(&mut self, metadata: &Metadata, at: Hour, is_sent: bool) -> Result<(), String> {
        if let Some(joint) = self.joint_mut(metadata, at) {
            joint.sent = is_sent;
        }
        self.save().map_err(|error| error.to_string())
    }

    fn note_done(&mut self, metadata: &Metadata, at: Hour) -> Result<(), String> {
        if let Some(joint) = self.joint_mut(metadata, at) {
            (joint.sent, joint.done) = (false, true);
        }
        self.save().map_err(|error| error.to_string())
    }

    fn begin_undo(&mut self, metadata: &Metadata, at: Hour) -> Result<(), String> {
        if let Some(joint) = self.joint_mut(metadata, at) {
            joint.undoing = true;
        }
        self.save().map_err(|error| error.to_string())
    }

    fn joint(&self, metadata: &Metadata, at: Hour) -> Option<Noted> {
        self.joints(metadata).find(|noted| noted.joint.live.hour == at)
    }

    fn before(&self, metadata: &Metadata) -> Vec<Noted> {
        self.joints(metadata).filter(|noted| noted.joint.oldest.is_some()).collect()
    }

    fn is_undone(&self, metadata: &Metadata, hour: Hour) -> bool {
        let start = hour.start().to_string();
        let mut entries = self.entries.iter().filter(|entry| entry.undone || entry.undoing);
        entries.any(|entry| {
            entry.statistic_id == metadata.statistic_id()
                && entry.written.iter().any(|row| row.0 == start)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The administrator's file got the owner of the folder, which is the user of the service.
    #[test]
    fn a_link_in_place_of_the_lock_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("statistics.json");
        let other = folder.path().join("other");
        fs::write(&other, "text").unwrap();
        for target in [&other, &folder.path().join("nothing")] {
            let lock = journal.with_extension("lock");
            symlink(target, &lock).unwrap();
            let error = JournalFile::open(&journal).unwrap_err();
            assert!(matches!(error, JournalError::File { .. }), "{error}");
            fs::remove_file(&lock).unwrap();
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        JournalFile::open(&journal).unwrap();
    }

    /// A file to which the service's user has made a hard link must keep its owner.
    #[test]
    fn a_lock_that_exists_keeps_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("statistics.json");
        drop(JournalFile::open(&journal).unwrap());
        let lock = journal.with_extension("lock");
        let own = folder.path().metadata().unwrap().uid();
        assert_eq!(lock.metadata().unwrap().uid(), own);
        // Only the administrator can give a file away.
        let Ok(()) = std::os::unix::fs::chown(&lock, Some(own + 1), None) else { return };
        JournalFile::open(&journal).unwrap();
        assert_eq!(lock.metadata().unwrap().uid(), own + 1);
    }
}
