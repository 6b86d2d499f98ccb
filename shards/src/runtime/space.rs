//! Owns the question how much room a volume has.

use super::blocking;
use nix::sys::statvfs::statvfs;
use std::io;
use std::path::PathBuf;

/// A volume, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    pub total_bytes: u64,
    /// Free to a process without privileges.
    pub usable_bytes: u64,
}

/// Of the volume that holds `path`. Asks the real disk, in a simulation too.
pub async fn space(path: PathBuf) -> io::Result<Space> {
    let volume = blocking(move || statvfs(&path)).await?;
    let bytes = |fragments: u64| fragments.saturating_mul(volume.fragment_size());
    Ok(Space { total_bytes: bytes(volume.blocks()), usable_bytes: bytes(volume.blocks_available()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::simulation::simulate;

    #[test]
    fn a_volume_has_no_more_room_than_it_is_large() {
        simulate(1, async {
            let space = space(std::env::temp_dir()).await.expect("the directory is there");
            assert!(space.total_bytes > 0 && space.usable_bytes <= space.total_bytes);
            assert!(super::space("/no/such/volume".into()).await.is_err());
        });
    }
}
