//! Owns the questions asked of the machine before the shards start, and what to do about a bad answer.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fmt;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// What the machine offers.
#[derive(Clone, Debug)]
pub struct Report {
    pub kernel: String,
    pub cpus: usize,
    /// RLIMIT_NOFILE after raising it.
    pub open_files: u64,
}

/// Why the shards can't start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartupFault {
    #[error(
        "the kernel is {found}, io_uring as used here needs {KERNEL_MIN_MAJOR}.{KERNEL_MIN_MINOR} or newer: upgrade it"
    )]
    KernelTooOld { found: String },
    #[error("this kernel has no io_uring: use one built with CONFIG_IO_URING")]
    NoIoUring,
    #[error(
        "io_uring is forbidden: set the sysctl kernel.io_uring_disabled to 0; in a container also allow the system \
         calls io_uring_setup, io_uring_enter and io_uring_register (Docker: --security-opt seccomp=unconfined)"
    )]
    IoUringForbidden,
    #[error("cannot set up io_uring: {0}; see `dmesg` and the limits of this process")]
    IoUringFailed(io::Error),
    #[error("cannot read the limits of this process: {0}")]
    Limits(io::Error),
    #[error("{asked} shards can't be pinned to {cpus} cpus: lower num.shards or turn pinning off")]
    TooFewCpus { asked: u16, cpus: usize },
    #[error("cannot start an executor: {0}; see the limits on open files and threads of this process")]
    Executor(io::Error),
}

/// Asks the machine, raising what limits may be raised on the way.
pub fn checks() -> Result<Report, StartupFault> {
    let kernel = kernel()?;
    io_uring()?;
    let open_files = raise(Resource::RLIMIT_NOFILE, OPEN_FILES_WANTED).map_err(StartupFault::Limits)?;
    make_room_for_descriptors(open_files);
    Ok(Report { kernel, cpus: cpus(), open_files })
}

/// How many files this process may have open.
pub fn open_files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft)
}

/// How many cpus this process may run on.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {}, {} cpus, io_uring works, open files {}", self.kernel, self.cpus, self.open_files)
    }
}

const KERNEL_MIN_MAJOR: u32 = 5;
const KERNEL_MIN_MINOR: u32 = 13;

const OPEN_FILES_WANTED: u64 = 1 << 20;
/// Half a megabyte of the kernel's memory.
const DESCRIPTORS_EXPECTED: u64 = 1 << 16;

fn kernel() -> Result<String, StartupFault> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    match version(&release) {
        Some(version) if version < (KERNEL_MIN_MAJOR, KERNEL_MIN_MINOR) => {
            Err(StartupFault::KernelTooOld { found: release })
        }
        // An unreadable version is no reason to refuse: the ring itself is tried next.
        _ => Ok(release),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Raises the soft limit to `wanted` or the hard limit, and the hard one too for root. Returns the soft limit.
fn raise(resource: Resource, wanted: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(resource)?;
    if soft >= wanted {
        return Ok(soft);
    }
    if hard < wanted && setrlimit(resource, wanted, wanted).is_ok() {
        return Ok(wanted);
    }
    let raised = hard.min(wanted);
    if raised > soft && setrlimit(resource, raised, hard).is_ok() {
        return Ok(raised);
    }
    Ok(soft)
}

/// Has the kernel enlarge its table of this process's descriptors now. Later, with threads that share it, each doubling
/// of it takes milliseconds of the accept(2) or open(2) that finds it full.
fn make_room_for_descriptors(open_files: u64) {
    let last = RawFd::try_from(open_files.min(DESCRIPTORS_EXPECTED).saturating_sub(1)).unwrap_or(0);
    // Without it everything works, and slower at times.
    let _ = fcntl(std::io::stderr(), FcntlArg::F_DUPFD_CLOEXEC(last)).map(|descriptor| {
        // SAFETY: the kernel has just opened it for us.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    });
}

/// Sets up a small ring and drops it.
fn io_uring() -> Result<(), StartupFault> {
    // struct io_uring_params is 120 bytes; all zero asks for the defaults.
    let mut params = [0u64; 15];
    // SAFETY: the kernel reads and writes the 120 bytes of `params`, which outlives the call, and nothing else.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_setup, 2, params.as_mut_ptr()) };
    if result >= 0 {
        // SAFETY: a result that is not negative is a new descriptor that nobody else owns; it is closed here.
        drop(unsafe { OwnedFd::from_raw_fd(result as RawFd) });
        return Ok(());
    }
    Err(match Errno::last() {
        Errno::ENOSYS => StartupFault::NoIoUring,
        Errno::EPERM | Errno::EACCES => StartupFault::IoUringForbidden,
        errno => StartupFault::IoUringFailed(errno.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions_are_compared_by_number() {
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version("5.4.0"), Some((5, 4)));
        assert_eq!(version("weird"), None);
    }

    #[test]
    fn this_machine_passes() {
        let report = checks().unwrap();
        assert!(report.to_string().contains(&report.kernel));
    }

    #[test]
    fn every_fault_says_what_to_do() {
        let fault = StartupFault::KernelTooOld { found: "5.4".to_owned() };
        assert!(fault.to_string().contains("upgrade"));
        assert!(StartupFault::IoUringForbidden.to_string().contains("kernel.io_uring_disabled"));
    }
}
