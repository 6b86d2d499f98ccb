//! Tells what the process lacks from what a disk refuses, and keeps the kernel's number in errors that were explained.

use std::fmt;
use std::io;
use std::path::Path;

/// The process or the machine is out of descriptors or memory, or was interrupted: nothing was done, and the same may
/// succeed later. Never said of a write or a sync that was begun: what that left is not known.
pub fn is_shortage(error: &io::Error) -> bool {
    let is_marked = error.get_ref().is_some_and(|inner| inner.is::<Shortage>());
    // Only opening needs a descriptor, and what opens has changed nothing yet.
    is_marked || matches!(number(error), Some(libc::EMFILE | libc::ENFILE))
}

/// The same kind of error, with the operation and the path in front.
pub(super) fn explain(what: &str, path: &Path, error: io::Error) -> io::Error {
    let text = format!("{what} {}: {error}", path.display());
    io::Error::new(error.kind(), Explained { text, number: number(&error) })
}

/// Of an operation that leaves everything as it was when it fails.
pub(super) fn harmless(error: io::Error) -> io::Error {
    let passing = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::EINTR, libc::EAGAIN];
    match number(&error).is_some_and(|number| passing.contains(&number)) {
        true => io::Error::new(error.kind(), Shortage(error)),
        false => error,
    }
}

/// The kernel's.
pub(super) fn number(error: &io::Error) -> Option<i32> {
    let explained = || error.get_ref()?.downcast_ref::<Explained>()?.number;
    error.raw_os_error().or_else(explained)
}

#[derive(Debug)]
struct Explained {
    text: String,
    number: Option<i32>,
}

#[derive(Debug)]
struct Shortage(io::Error);

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Explained {}
impl std::error::Error for Shortage {}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(number: i32) -> io::Error {
        explain("cannot open", Path::new("/a"), io::Error::from_raw_os_error(number))
    }

    #[test]
    fn an_explained_error_keeps_its_number() {
        let error = explained(libc::EMFILE);
        assert_eq!(number(&error), Some(libc::EMFILE));
        assert!(is_shortage(&error) && error.to_string().starts_with("cannot open /a: "), "{error}");
        assert!(!is_shortage(&explained(libc::EIO)));
    }

    #[test]
    fn memory_may_be_short_only_where_nothing_was_begun() {
        assert!(!is_shortage(&explained(libc::ENOMEM)), "of a write, for all we know");
        assert!(is_shortage(&harmless(explained(libc::ENOMEM))));
        assert!(!is_shortage(&harmless(explained(libc::EIO))));
    }
}
