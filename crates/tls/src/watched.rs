//! Something made from files, and made anew when they change.
//!
//! By content, not by time of change: a secret that an orchestrator swaps by a symbolic link keeps its times, and a
//! file that is written twice within a tick of the clock must not be missed. The files are small.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;

use crate::{
    Error, Warning,
    files::{File, Fingerprint, Named, fingerprint},
};

/// Makes it from the files, which come in the order in which they are named.
pub(crate) type Make<T> = dyn Fn(&[File], SystemTime) -> Result<(T, Vec<Warning>), Error> + Send + Sync;

/// Made from files; readers take what is current without waiting.
pub struct Watched<T> {
    files: Vec<Named>,
    make: Box<Make<T>>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// What was made at the start.
#[derive(Debug)]
pub struct Opened<T> {
    /// To be used, and looked at again.
    pub watched: Watched<T>,
    /// What will be wrong one day.
    pub warnings: Vec<Warning>,
}

struct Seen {
    /// What the current one was made of.
    used: Fingerprint,
    /// What could not be used when it was looked at last.
    bad: Option<Fingerprint>,
    /// What was complained about.
    told: Option<Fingerprint>,
}

/// What a look at the files brought.
#[derive(Debug)]
pub enum Change {
    /// Nothing new, or nothing new to say.
    None,
    /// They changed, and what was made of them is current now.
    Renewed(Vec<Warning>),
    /// They changed to something that cannot be used. The old one stays current.
    Failed(Error),
}

impl<T> Watched<T> {
    pub(crate) fn open(files: Vec<Named>, make: Box<Make<T>>, now: SystemTime) -> Result<Opened<T>, Error> {
        let read: Vec<File> = files.iter().map(File::read).collect();
        let (made, warnings) = make(&read, now)?;
        let watched = Self {
            files,
            make,
            current: ArcSwap::from_pointee(made),
            seen: Mutex::new(Seen {
                used: fingerprint(&read),
                bad: None,
                told: None,
            }),
        };
        Ok(Opened { watched, warnings })
    }

    /// What is current.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Looks at the files again, as is done about once a second. A failure is told once, and only when the second look finds
    /// the same: between writing a certificate and writing its key the two do not fit.
    ///
    /// Reads files, so it may block.
    pub fn look(&self, now: SystemTime) -> Change {
        self.renew(now, false)
    }

    /// Looks at the files now because somebody asked; any failure is told.
    pub fn reload(&self, now: SystemTime) -> Change {
        self.renew(now, true)
    }

    fn renew(&self, now: SystemTime, asked: bool) -> Change {
        // Held while reading, so that a slow reading never replaces what a later one brought.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let read: Vec<File> = self.files.iter().map(File::read).collect();
        let found = fingerprint(&read);
        if found == seen.used {
            seen.bad = None;
            seen.told = None;
            return Change::None;
        }
        if !asked && seen.told == Some(found) {
            return Change::None;
        }
        match (self.make)(&read, now) {
            Ok((made, warnings)) => {
                self.current.store(Arc::new(made));
                *seen = Seen {
                    used: found,
                    bad: None,
                    told: None,
                };
                Change::Renewed(warnings)
            }
            Err(_) if !asked && seen.bad.replace(found) != Some(found) => Change::None,
            Err(error) => {
                seen.bad = Some(found);
                seen.told = Some(found);
                Change::Failed(error)
            }
        }
    }
}
