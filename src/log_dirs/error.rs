//! Why a log directory cannot be used; every message ends with what to do about it.

use odradek_shards::runtime::lock::LockFault;
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum LogDirError {
    #[error(
        "log directory {}: {source}; make it readable and writable for this user, or set log.dirs to another directory",
        path.display()
    )]
    Unusable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Locked(#[from] LockFault),
    #[error(
        "{}/meta.properties: node.id is {stored}, but this node is {configured}; set node.id={stored} if the data moved \
         with its node, or point log.dirs to an empty directory for a new node",
        path.display()
    )]
    OtherNode { path: PathBuf, stored: i32, configured: i32 },
    #[error(
        "{}/meta.properties: cluster.id is {stored}, but {}/meta.properties says {other}; directories of two clusters \
         cannot be mixed: take one of them out of log.dirs",
        path.display(), other_path.display()
    )]
    OtherCluster { path: PathBuf, stored: String, other_path: PathBuf, other: String },
    #[error(
        "{}/meta.properties: directory.id is that of {} too; one is a copy of the other: take it out of log.dirs, or \
         delete its directory.id line and what it holds",
        path.display(), other_path.display()
    )]
    SameDirectoryId { path: PathBuf, other_path: PathBuf },
    #[error(
        "{}/meta.properties: {fault}; restore the file from a backup, or empty the directory to start it anew",
        path.display()
    )]
    Malformed { path: PathBuf, fault: MetaFault },
    #[error("none of log.dirs can be used; the lines above say why, and what to do")]
    AllUnusable,
    #[error("{0} It holds the metadata log, without which the broker does not run")]
    Metadata(Box<LogDirError>),
    #[error(
        "{} holds logs but no meta.properties, so nobody can tell whose they are; restore the file, or set log.dirs to \
         an empty directory",
        path.display()
    )]
    Ownerless { path: PathBuf },
}

impl LogDirError {
    /// The other directories can be used without this one. Not so where going on could mix up whose data is whose.
    pub fn is_of_one_directory(&self) -> bool {
        matches!(self, Self::Unusable { .. } | Self::Malformed { .. } | Self::Ownerless { .. })
    }
}

/// What is wrong with the text of a meta.properties file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MetaFault {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{key}={value} is no {expected}")]
    NotA { key: &'static str, value: String, expected: &'static str },
    #[error("version={0} is of a release that kept its metadata in ZooKeeper, which Kafka 4 cannot read either")]
    OldVersion(i32),
    #[error("version={0} is of a later release")]
    NewVersion(i32),
}
