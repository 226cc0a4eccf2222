//! A file of secrets: read by its owner only, replaced whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Longer ones are something else.
const BYTES_MAX: u64 = 1024 * 1024;
/// Permissions of others than the owner.
const OTHERS: u32 = 0o077;

/// The text of a file, which is wiped when it is dropped; `None` where there is no file. Refuses one that others than its owner
/// can read or write, and says what to do.
pub fn read(file: &Path) -> io::Result<Option<Zeroizing<String>>> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Of what was opened, not of what the name leads to now.
    let about = opened.metadata()?;
    let mode = about.mode() & 0o777;
    if mode & OTHERS != 0 {
        let what = format!(
            "others can use it (mode {mode:04o}); run: chmod 600 {}",
            file.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    if about.len() > BYTES_MAX {
        let what = format!("has {} bytes and is no file of secrets", about.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    // With room for all of it, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(about.len() as usize + 1));
    opened.take(about.len()).read_to_end(&mut bytes)?;
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(io::Error::new(io::ErrorKind::InvalidData, "is no text"))
        }
    }
}

/// A file that nobody else who asks for the lock changes meanwhile. The lock ends with it, or with its process.
#[derive(Debug)]
pub struct Locked {
    file: PathBuf,
    /// Locked: the file itself is another one after each change.
    folder: File,
}

impl Locked {
    /// Waits until nobody else has it; makes the folder where there is none.
    pub fn wait(file: &Path) -> io::Result<Self> {
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        let folder = File::open(folder)?;
        folder.lock()?;
        let file = file.to_owned();
        Ok(Self { file, folder })
    }

    /// As [`read`].
    pub fn read(&self) -> io::Result<Option<Zeroizing<String>>> {
        read(&self.file)
    }

    /// Puts a text in the place of what is there, for the owner only. After `Ok` it is on disk; after an error, or a crash, the
    /// file is the old one or the new one.
    pub fn replace(&self, text: &str) -> io::Result<()> {
        let new = self.beside();
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // Somebody died here before, or nobody did.
            _ => {}
        }
        let written = write(&new, text).and_then(|()| fs::rename(&new, &self.file));
        if let Err(error) = written {
            // What cannot be removed is removed before the next change.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        step("renamed");
        self.folder.sync_all()?;
        step("synced");
        Ok(())
    }

    fn beside(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.file.file_name().unwrap_or_default());
        name.push(".new");
        self.file.with_file_name(name)
    }
}

fn write(new: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(new)?;
    step("created");
    let (first, rest) = text.as_bytes().split_at(text.len() / 2);
    file.write_all(first)?;
    step("half written");
    file.write_all(rest)?;
    step("written");
    file.sync_all()?;
    step("flushed");
    Ok(())
}

/// Where the tests let the process die.
#[cfg(not(test))]
fn step(_: &str) {}

#[cfg(test)]
use tests::step;

#[cfg(test)]
mod tests {
    use std::{
        env,
        os::unix::{fs::PermissionsExt, process::ExitStatusExt},
        process::Command,
    };

    use super::*;

    /// Tells the copy of this program that is to die where it does so.
    const DIES_AT: &str = "FORESHIFT_TEST_DIES_AT";
    const FILE: &str = "FORESHIFT_TEST_FILE";
    const SIGABRT: i32 = 6;

    pub(super) fn step(name: &str) {
        if env::var(DIES_AT).is_ok_and(|at| at == name) {
            std::process::abort();
        }
    }

    #[test]
    fn a_process_that_dies_leaves_the_old_file_or_the_new_one() {
        // In the copy of this program that is to die.
        if let Some(file) = env::var_os(FILE) {
            let replaced = Locked::wait(Path::new(&file)).and_then(|file| file.replace("the new text"));
            panic!("it was to die: {replaced:?}");
        }
        for (step, left) in [
            ("created", "the old text"),
            ("half written", "the old text"),
            ("written", "the old text"),
            ("flushed", "the old text"),
            ("renamed", "the new text"),
            ("synced", "the new text"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("keys");
            Locked::wait(&file).unwrap().replace("the old text").unwrap();
            let mut copy = Command::new(env::current_exe().unwrap());
            copy.args([
                "--exact",
                "file::tests::a_process_that_dies_leaves_the_old_file_or_the_new_one",
            ]);
            let ended = copy.env(DIES_AT, step).env(FILE, &file).output().unwrap();
            assert_eq!(ended.status.signal(), Some(SIGABRT), "{step}: it was to die");
            assert_eq!(read(&file).unwrap().unwrap().as_str(), left, "{step}");
            // And the next one is not in its way.
            Locked::wait(&file).unwrap().replace("another").unwrap();
            assert_eq!(read(&file).unwrap().unwrap().as_str(), "another", "{step}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{step}");
        }
    }

    #[test]
    fn only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/er/keys");
        assert!(read(&file).unwrap().is_none());
        Locked::wait(&file).unwrap().replace("secret").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660, 0o644, 0o602, 0o601] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&file).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{mode:o}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(read(&file).unwrap().unwrap().as_str(), "secret");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        Locked::wait(&file).unwrap().replace("").unwrap();
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(read(&file).is_err());
        fs::write(&file, vec![b'a'; BYTES_MAX as usize + 1]).unwrap();
        assert!(read(&file).is_err());
    }
}
