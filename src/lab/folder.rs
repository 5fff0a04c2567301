//! A private folder for the files of one lab: only its owner may look in, and it goes when the lab goes.

use std::fs::{self, DirBuilder, DirEntry, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};

const PREFIX: &str = "covet-lab-";
/// What is younger may belong to a process that cannot be seen from here, e.g. in another container.
const FORGOTTEN: Duration = Duration::from_hours(24);

/// The folder; dropping it removes it with everything in it, and the files written outside.
pub struct Folder {
    path: PathBuf,
    outside: Vec<PathBuf>,
}

impl Folder {
    /// # Errors
    /// When the system's folder for temporary files cannot be written.
    pub fn new() -> io::Result<Self> {
        let name = format!("{PREFIX}{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        if let Ok(now) = fs::metadata(&path).and_then(|made| made.modified()) {
            tidy(&std::env::temp_dir(), now);
        }
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

/// Removes the folders that labs left which were killed. `now` is the file system's.
fn tidy(place: &Path, now: SystemTime) {
    let forgotten = |entry: &DirEntry| {
        let name = entry.file_name();
        let of = name.to_str()?.strip_prefix(PREFIX)?.split_once('-')?.0;
        let process = Pid::from_raw(of.parse().ok()?)?;
        let folder =
            entry.metadata().ok().filter(|found| found.is_dir() && found.uid() == geteuid().as_raw())?;
        let old = now.duration_since(folder.modified().ok()?).is_ok_and(|age| age > FORGOTTEN);
        (old && test_kill_process(process) == Err(Errno::SRCH)).then_some(())
    };
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if forgotten(&entry).is_some() {
            let _ = fs::remove_dir_all(entry.path());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_labs_left_goes_after_a_day_and_nothing_else() {
        let place = std::env::temp_dir().join(format!("tidy-{}", std::process::id()));
        let ended = {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            child.wait().unwrap();
            child.id()
        };
        let (left, young, alive, other) = (
            place.join(format!("{PREFIX}{ended}-0a")),
            place.join(format!("{PREFIX}{ended}-0b")),
            place.join(format!("{PREFIX}{}-0a", std::process::id())),
            place.join(format!("other-{ended}-0a")),
        );
        for folder in [&left, &young, &alive, &other] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join("kubeconfig"), "").unwrap();
        }
        for folder in [&left, &alive, &other] {
            let long_ago = SystemTime::now() - FORGOTTEN * 2;
            fs::File::open(folder).unwrap().set_modified(long_ago).unwrap();
        }
        tidy(&place, SystemTime::now());
        assert!(!left.exists() && young.exists() && alive.exists() && other.exists());
        fs::remove_dir_all(&place).unwrap();
    }
}
