//! A file that is only read: what is written to it stays in memory.
//!
//! redb's own check of a file mends what it can, in place. Over this, it says what it found, and the file is as it was.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::FileExt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

const PAGE: u64 = 4096;

#[derive(Debug)]
pub(super) struct Overlay {
    file: fs::File,
    file_len: u64,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    pages: HashMap<u64, Box<[u8; PAGE as usize]>>,
}

impl Overlay {
    pub(super) fn over(file: fs::File) -> io::Result<Self> {
        let file_len = file.metadata()?.len();
        let written = Written {
            len: file_len,
            pages: HashMap::new(),
        };
        Ok(Self {
            file,
            file_len,
            written: written.into(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file has there; zeros beyond its end.
    fn underneath(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let has = self.file_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (inside, beyond) = out.split_at_mut(has);
        beyond.fill(0);
        self.file.read_exact_at(inside, offset)
    }
}

/// Parts of a range by page: the page, where it begins in it, where it lies in the range.
fn pages(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE) as usize;
        let part = done..len.min(done + PAGE as usize - within);
        done = part.end;
        (!part.is_empty()).then_some((at / PAGE, within, part))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.lock();
        if offset + out.len() as u64 > written.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.underneath(offset, out)?;
        if written.pages.is_empty() {
            return Ok(());
        }
        for (page, within, part) in pages(offset, out.len()) {
            if let Some(page) = written.pages.get(&page) {
                let len = part.len();
                out[part].copy_from_slice(&page[within..within + len]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.lock().len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.lock();
        for (page, within, part) in pages(offset, data.len()) {
            let bytes = match written.pages.entry(page) {
                std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
                std::collections::hash_map::Entry::Vacant(empty) => {
                    let mut bytes = Box::new([0; PAGE as usize]);
                    self.underneath(page * PAGE, &mut bytes[..])?;
                    empty.insert(bytes)
                }
            };
            bytes[within..within + part.len()].copy_from_slice(&data[part]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_file_stays_as_it_was() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        file.write_all(&bytes).unwrap();
        let overlay = Overlay::over(file.reopen().unwrap()).unwrap();
        overlay.write(4_090, &[9; 20]).unwrap();
        overlay.set_len(20_000).unwrap();
        overlay.write(19_990, &[7; 10]).unwrap();
        let mut expected = bytes.clone();
        expected.resize(20_000, 0);
        expected[4_090..4_110].fill(9);
        expected[19_990..].fill(7);
        let mut found = vec![1; 20_000];
        overlay.read(0, &mut found).unwrap();
        assert!(found == expected);
        assert!(overlay.read(19_999, &mut [0; 2]).is_err());
        assert!(std::fs::read(file.path()).unwrap() == bytes);
    }
}
