//! A file system in memory that fails when told to, loses what was not made durable, and tears
//! what was being written.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Fs, FsFile, Lock, Mode};

/// Disks lose and keep whole sectors.
const SECTOR: usize = 512;

/// How the file system goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies in the operation: a write is torn, nothing works any more.
    Kill,
    /// The disk is full from there on: a write is torn, cutting off works.
    Full,
    /// An operation fails once, without effect; a failed sync drops what was to be made durable.
    Once,
}

/// What survives the restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// The process only: everything written is there.
    Process,
    /// The machine: of what was not made durable, any sectors and names are lost.
    Machine(u64),
}

/// Files by path; what a machine loses and a process does not.
#[derive(Debug, Default)]
struct Model {
    files: BTreeMap<PathBuf, usize>,
    durable_files: BTreeMap<PathBuf, usize>,
    inodes: Vec<Inode>,
    is_locked: bool,
    fault: Option<(Fault, u64)>,
    /// Changing operations so far.
    operations: u64,
    is_dead: bool,
    is_full: bool,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
}

/// The file system. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyFs(Arc<Mutex<Model>>);

#[derive(Debug)]
struct FaultyFile {
    fs: FaultyFs,
    inode: usize,
}

#[derive(Debug)]
struct FaultyLock(FaultyFs);

impl FaultyFs {
    /// Fails at the operation with this number, counted from 0 over the file system's life.
    pub(crate) fn fail(&self, fault: Fault, operation: u64) {
        self.model().fault = Some((fault, operation));
    }

    /// Changing operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.model().operations
    }

    /// What is there after a restart, without faults.
    pub(crate) fn restart(&self, restart: Restart) -> Self {
        let model = self.model();
        let mut after = Model { files: model.files.clone(), inodes: model.inodes.clone(), ..Model::default() };
        if let Restart::Machine(seed) = restart {
            let mut random = Random(seed);
            for (path, inode) in &model.durable_files {
                if !model.files.contains_key(path) && random.is_heads() {
                    after.files.insert(path.clone(), *inode);
                }
            }
            after.files.retain(|path, inode| {
                let durable = model.durable_files.get(path);
                if durable != Some(inode) && random.is_heads() {
                    match durable {
                        Some(earlier) => *inode = *earlier,
                        None => return false,
                    }
                }
                true
            });
            for inode in &mut after.inodes {
                inode.content = lose(&inode.content, &inode.durable, &mut random);
            }
        }
        for inode in &mut after.inodes {
            inode.durable = inode.content.clone();
        }
        after.durable_files = after.files.clone();
        Self(Arc::new(Mutex::new(after)))
    }

    /// Changes bytes of a file, as a failing disk would.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut model = self.model();
        let inode = model.files[path];
        change(&mut model.inodes[inode].content);
    }

    /// Paths of all files.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.model().files.keys().cloned().collect()
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap()
    }

    /// Counts a changing operation; `Some` when it fails now.
    fn step(model: &mut Model) -> io::Result<Option<Fault>> {
        if model.is_dead {
            return Err(io::Error::other("the process is dead"));
        }
        let operation = model.operations;
        model.operations += 1;
        let fault = model.fault.filter(|(_, at)| *at == operation).map(|(fault, _)| fault);
        match fault {
            Some(Fault::Kill) => model.is_dead = true,
            Some(Fault::Full) => model.is_full = true,
            _ => {}
        }
        Ok(fault)
    }

    /// An operation that happens whole or not at all.
    fn change(&self, change: impl FnOnce(&mut Model) -> io::Result<()>) -> io::Result<()> {
        let mut model = self.model();
        match Self::step(&mut model)? {
            None => change(&mut model),
            Some(fault) => Err(io::Error::other(format!("injected: {fault:?}"))),
        }
    }
}

/// A file after a power failure: each sector that differs is old or new, and so is the length.
fn lose(content: &[u8], durable: &[u8], random: &mut Random) -> Vec<u8> {
    let mut after = if random.is_heads() { content.to_vec() } else { durable.to_vec() };
    let len = after.len();
    for (index, sector) in after.chunks_mut(SECTOR).enumerate() {
        let from = index * SECTOR;
        let source = if random.is_heads() { content } else { durable };
        for (at, byte) in sector.iter_mut().enumerate() {
            *byte = source.get(from + at).copied().unwrap_or(0);
        }
    }
    // What is durable in both is not lost.
    let same = content.iter().zip(durable).take_while(|(new, old)| new == old).count();
    after[..same.min(len)].copy_from_slice(&content[..same.min(len)]);
    if after.len() < same {
        after.extend_from_slice(&content[after.len()..same]);
    }
    after
}

impl Fs for FaultyFs {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.change(|_| Ok(()))
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let model = self.model();
        let in_dir = model.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(in_dir.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn open(&self, path: &Path, mode: Mode) -> io::Result<Box<dyn FsFile>> {
        if mode == Mode::Fresh {
            self.change(|model| {
                if model.is_full {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                model.inodes.push(Inode::default());
                let inode = model.inodes.len() - 1;
                model.files.insert(path.to_owned(), inode);
                Ok(())
            })?;
        }
        let inode = *self.model().files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(FaultyFile { fs: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|model| {
            let inode = model.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
            model.files.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(|model| model.files.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into()))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(|model| {
            model.files.retain(|path, _| path.parent() != Some(dir));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(|model| {
            model.durable_files.retain(|path, _| path.parent() != Some(dir));
            let files: Vec<_> = model.files.iter().filter(|(path, _)| path.parent() == Some(dir)).collect();
            let files: Vec<_> = files.into_iter().map(|(path, inode)| (path.clone(), *inode)).collect();
            model.durable_files.extend(files);
            Ok(())
        })
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Lock>> {
        let mut model = self.model();
        if std::mem::replace(&mut model.is_locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(FaultyLock(self.clone())))
    }
}

impl FsFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.fs.model().inodes[self.inode].content.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let model = self.fs.model();
        let from = model.inodes[self.inode].content.get(position as usize..).unwrap_or_default();
        let bytes = from.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut model = self.fs.model();
        let fault = FaultyFs::step(&mut model)?;
        let written = match fault {
            None if !model.is_full => bytes,
            Some(Fault::Once) => &[],
            // Torn somewhere, by the number of the operation.
            _ => &bytes[..(model.operations as usize * 7919) % (bytes.len() + 1)],
        };
        let content = &mut model.inodes[self.inode].content;
        let position = position as usize;
        content.resize(content.len().max(position + written.len()), 0);
        content[position..position + written.len()].copy_from_slice(written);
        match fault {
            None if !model.is_full => Ok(()),
            Some(Fault::Kill | Fault::Once) => Err(io::Error::other("injected: write")),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let inode = self.inode;
        self.fs.change(|model| {
            model.inodes[inode].content.truncate(len as usize);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut model = self.fs.model();
        let fault = FaultyFs::step(&mut model)?;
        let inode = &mut model.inodes[self.inode];
        match fault {
            None | Some(Fault::Full) => {
                inode.durable = inode.content.clone();
                Ok(())
            }
            Some(Fault::Kill | Fault::Once) => Err(io::Error::other("injected: sync")),
        }
    }
}

impl Lock for FaultyLock {}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.0.model().is_locked = false;
    }
}

/// Repeatable coin tosses.
struct Random(u64);

impl Random {
    fn is_heads(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}
