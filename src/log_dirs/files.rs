//! Small files before the shards run: read whole, replaced whole, both by blocking calls.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// A checkpoint of a hundred thousand partitions with the longest names is below it.
const BYTES_MAX: u64 = 64 << 20;

/// None when the file is not there.
pub fn read(dir: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(dir.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is larger than {BYTES_MAX} bytes")));
    }
    Ok(Some(bytes))
}

/// After a crash at any moment the name holds the old bytes or the new ones; durable when this returns.
pub fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = dir.join(format!("{name}.tmp"));
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(aside, dir.join(name))?;
    sync(dir)
}

/// Durable when this returns, so that the file does not come back after a loss of power.
pub fn remove(dir: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(dir.join(name)) {
        Ok(()) => sync(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the names in `dir` durable.
pub fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
