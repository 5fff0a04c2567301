//! A private folder for the files of one lab: only its owner may look in, and it goes when the lab goes.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder; dropping it removes it with everything in it, and the files written outside.
pub struct Folder {
    path: PathBuf,
    outside: Vec<PathBuf>,
}

impl Folder {
    /// # Errors
    /// When the system's folder for temporary files cannot be written.
    pub fn new() -> io::Result<Self> {
        let name = format!("covet-lab-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, outside: Vec::new() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of that name and gives its path.
    ///
    /// # Errors
    /// When the disk is full or the folder is gone.
    pub fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        write_private(&path, text)?;
        Ok(path)
    }

    /// Writes a file where somebody wants it; it goes with the folder.
    ///
    /// # Errors
    /// When the path cannot be written.
    pub fn write_outside(&mut self, path: &Path, text: &str) -> io::Result<()> {
        write_private(path, text)?;
        self.outside.push(path.to_owned());
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Somebody may have tidied up before us.
        let _ = fs::remove_dir_all(&self.path);
        for file in &self.outside {
            let _ = fs::remove_file(file);
        }
    }
}

/// Writes a file only its owner can read, replacing one that is there.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Err(why) = fs::remove_file(path)
        && why.kind() != io::ErrorKind::NotFound
    {
        return Err(why);
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
