//! Owns a real directory: reached through its descriptor, so that a rename of it or of its parents changes nothing.

use super::explain;
use super::file::File;
use super::probe::probe;
use crate::runtime::directory::too_long;
use crate::runtime::executor::blocking;
use crate::runtime::{Entry, OpenMode, Removed, ring};
use crate::types::Timestamp;
use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Creates the path, opens it and probes it. The error names the path and the remedy.
pub(in crate::runtime) async fn open_log_dir(path: &Path) -> io::Result<Directory> {
    let wanted = path.to_owned();
    let opened = blocking(move || -> io::Result<_> {
        fs::create_dir_all(&wanted)?;
        let path = fs::canonicalize(&wanted)?;
        Ok((open_descriptor(&path)?, path))
    });
    let (descriptor, path) = opened.await.map_err(|error| cannot_open(path, error))?;
    let alignment = probe(&path).await?;
    Ok(Directory { path, descriptor: Arc::new(descriptor), alignment })
}

pub(in crate::runtime) struct Directory {
    /// Where it was when opened.
    path: PathBuf,
    descriptor: Arc<fs::File>,
    alignment: usize,
}

impl Directory {
    pub(in crate::runtime) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::runtime) async fn create_dir(&self, name: &str) -> io::Result<Self> {
        let created = self.run("create", name, |path| match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
        created.await?;
        self.open_dir(name).await
    }

    pub(in crate::runtime) async fn open_dir(&self, name: &str) -> io::Result<Self> {
        let descriptor = self.run("open", name, |path| open_descriptor(&path)).await?;
        Ok(Self { path: self.path.join(name), descriptor: Arc::new(descriptor), alignment: self.alignment })
    }

    pub(in crate::runtime) async fn list(&self) -> io::Result<Vec<Entry>> {
        self.run("list", "", |path| fs::read_dir(path)?.filter_map(|entry| entry.map(describe).transpose()).collect())
            .await
    }

    pub(in crate::runtime) async fn exists(&self, name: &str) -> io::Result<bool> {
        self.run("look for", name, |path| match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }

    pub(in crate::runtime) async fn open_file(&self, name: &str, mode: OpenMode) -> io::Result<File> {
        let flags = match mode {
            OpenMode::Read => libc::O_RDONLY,
            OpenMode::Write { create, synced } => {
                libc::O_RDWR | if create { libc::O_CREAT } else { 0 } | if synced { libc::O_DSYNC } else { 0 }
            }
        };
        let path = self.path.join(name);
        let opened = match CString::new(self.at(name).into_os_string().into_vec()) {
            Ok(at) => ring::open(at, flags | libc::O_DIRECT, NEW_FILE_MODE).await,
            Err(_) => Err(io::ErrorKind::InvalidFilename.into()),
        };
        let file = opened.and_then(|descriptor| File::new(descriptor, path.clone(), self.alignment));
        file.map_err(|error| explain("cannot open", &path, error))
    }

    pub(in crate::runtime) async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let to = self.at(to);
        self.run("rename", from, move |from| fs::rename(from, to)).await
    }

    pub(in crate::runtime) async fn remove_file(&self, name: &str) -> io::Result<()> {
        self.run("remove", name, fs::remove_file).await
    }

    pub(in crate::runtime) async fn remove_some(&self, name: &str, bytes_max: u64) -> io::Result<Removed> {
        self.run("remove", name, move |path| remove_some(&path, bytes_max)).await
    }

    pub(in crate::runtime) async fn remove_dir_all(&self, name: &str) -> io::Result<()> {
        self.run("remove", name, fs::remove_dir_all).await
    }

    pub(in crate::runtime) async fn modified(&self, name: &str) -> io::Result<Timestamp> {
        self.run("look at", name, |path| {
            let since = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
        })
        .await
    }

    pub(in crate::runtime) async fn set_modified(&self, name: &str, time: Timestamp) -> io::Result<()> {
        let since = Duration::from_millis(u64::try_from(time.0).unwrap_or(0));
        self.run("touch", name, move |path| fs::File::open(path)?.set_modified(UNIX_EPOCH + since)).await
    }

    pub(in crate::runtime) async fn sync(&self) -> io::Result<()> {
        let descriptor = self.descriptor.clone();
        self.run("sync", "", move |_| descriptor.sync_all()).await
    }

    pub(in crate::runtime) async fn sync_file_system(&self) -> io::Result<()> {
        let descriptor = self.descriptor.clone();
        self.run("sync the file system of", "", move |_| nix::unistd::syncfs(&*descriptor).map_err(io::Error::from))
            .await
    }

    pub(in crate::runtime) async fn read_whole(&self, name: &str, max: usize) -> io::Result<Vec<u8>> {
        let shown = self.path.join(name);
        self.run("read", name, move |path| {
            let file = fs::File::open(path)?;
            let mut bytes = Vec::new();
            let len = (&file).take(max as u64 + 1).read_to_end(&mut bytes)?;
            match len <= max {
                true => Ok(bytes),
                false => Err(too_long(&shown, file.metadata()?.len(), max)),
            }
        })
        .await
    }

    pub(in crate::runtime) async fn put_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.to_vec();
        self.run("write", name, move |path| fs::write(path, &bytes)).await
    }

    pub(in crate::runtime) async fn write_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (aside, bytes) = (self.at(&format!("{name}.tmp")), bytes.to_vec());
        let descriptor = self.descriptor.clone();
        self.run("write", name, move |path| {
            let mut file = fs::File::create(&aside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&aside, path)?;
            descriptor.sync_all()
        })
        .await
    }

    /// Runs `work` on the path of `name` on the blocking thread; an empty name is the directory itself.
    async fn run<T: Send + 'static>(
        &self,
        what: &str,
        name: &str,
        work: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let path = self.at(name);
        let held = self.descriptor.clone();
        let result = blocking(move || {
            let result = work(path);
            drop(held);
            result
        });
        result.await.map_err(|error| explain(&format!("cannot {what}"), &self.path.join(name), error))
    }

    /// A path through the open descriptor.
    fn at(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd())).join(name)
    }
}

const NEW_FILE_MODE: libc::mode_t = 0o644;

fn open_descriptor(path: &Path) -> io::Result<fs::File> {
    let descriptor = fs::File::open(path)?;
    match descriptor.metadata()?.is_dir() {
        true => Ok(descriptor),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}

fn remove_some(path: &Path, bytes_max: u64) -> io::Result<Removed> {
    let found = fs::symlink_metadata(path)?;
    // Whoever made a second name, as a backup does, wants to keep what is in the file.
    if found.is_file() && found.nlink() == 1 && found.len() > bytes_max {
        let cut = fs::File::options().write(true).open(path).and_then(|file| file.set_len(found.len() - bytes_max));
        if cut.is_ok() {
            return Ok(Removed { bytes: bytes_max, is_gone: false });
        }
    }
    fs::remove_file(path)?;
    Ok(Removed { bytes: found.len(), is_gone: true })
}

/// `None` for a name that is not UTF-8 or that vanished while the directory was read.
fn describe(entry: fs::DirEntry) -> Option<Entry> {
    let name = entry.file_name().into_string().ok()?;
    let metadata = entry.metadata().ok()?;
    Some(Entry { name, is_dir: metadata.is_dir(), len: metadata.len() })
}

fn cannot_open(path: &Path, error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "give the user that runs odradek access to it, or set log.dirs elsewhere",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "a file is in the way: set log.dirs elsewhere",
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system read-write, or set log.dirs elsewhere",
        _ => "check the path in log.dirs",
    };
    let explained = explain("cannot open log directory", path, error);
    io::Error::new(explained.kind(), format!("{explained}; {remedy}"))
}
