//! A text in the person's own editor: a file of their own, the editor as a child that has the terminal, and
//! the text again once they leave. Knows no cluster and no screen; who calls gives the terminal away first.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::app::Request;

/// What is used when neither `$VISUAL` nor `$EDITOR` is set, as crontab and git do.
const USUAL: &str = "vi";
/// Longest text that is read back: a ConfigMap holds 1 MiB at most.
const LONGEST: u64 = 1 << 20;

/// An editor at work. Dropping it ends the editor and removes the file.
#[derive(Debug)]
pub struct Editor {
    pub request: Request,
    name: String,
    /// Why it could not even be started.
    at_work: Result<(Child, Draft), String>,
}

impl Editor {
    /// Writes the text to a private file and starts the editor on it. Never fails: [`Editor::left`] says why.
    pub fn open(request: Request, editor: Option<&str>, name: &str, text: &str) -> Self {
        let command = editor.unwrap_or(USUAL).to_owned();
        let at_work = Draft::write(name, text)
            .map_err(|error| format!("no private file could be written: {error}"))
            .and_then(|draft| Ok((start(&command, &draft.file)?, draft)));
        Self { request, name: command, at_work }
    }

    /// Waits until the person leaves: the text, or None when the editor ended with an error, which is how
    /// editors say "no" (`:cq`). Errors are sentences.
    pub async fn left(&mut self) -> Result<Option<String>, String> {
        let (child, draft) = self.at_work.as_mut().map_err(|why| why.clone())?;
        let status = child.wait().await.map_err(|error| format!("the editor was lost: {error}"))?;
        match status.code() {
            Some(0) => draft.read().map(Some),
            // What a shell says of a program it cannot find or start.
            Some(126 | 127) => {
                Err(format!("the editor `{}` cannot be started: set $VISUAL or $EDITOR", self.name))
            }
            _ => Ok(None),
        }
    }
}

/// Through a shell, because `$VISUAL` may hold arguments; the file is an argument of its own.
fn start(command: &str, file: &Path) -> Result<Child, String> {
    Command::new("sh")
        .arg("-c")
        .arg(format!("{command} \"$@\""))
        .arg(command)
        .arg(file)
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("the editor `{command}` cannot be started: {error}"))
}

/// A file that only this person can read, in a folder that only this person can enter.
#[derive(Debug)]
struct Draft {
    folder: PathBuf,
    file: PathBuf,
}

impl Draft {
    fn write(name: &str, text: &str) -> io::Result<Self> {
        let folder = place().join(format!("covet-tui-{}", uuid::Uuid::now_v7()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let draft = Self { file: folder.join(harmless(name)), folder };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.file)?;
        file.write_all(text.as_bytes())?;
        Ok(draft)
    }

    fn read(&self) -> Result<String, String> {
        let unreadable = |error: io::Error| format!("the edited text cannot be read: {error}");
        if fs::metadata(&self.file).map_err(unreadable)?.len() > LONGEST {
            return Err("the edited text is longer than a ConfigMap can hold (1 MiB)".into());
        }
        fs::read_to_string(&self.file).map_err(unreadable)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // With whatever the editor left beside it: swap files, backups.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Memory rather than disk, where there is a folder for it.
fn place() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
        .unwrap_or_else(std::env::temp_dir)
}

/// The key as a file name, so that an editor knows `settings.yaml` when it sees it.
fn harmless(name: &str) -> String {
    let kept: String = name
        .chars()
        .map(
            |character| {
                if character.is_ascii_alphanumeric() || "._-".contains(character) { character } else { '_' }
            },
        )
        .collect();
    let kept = kept.trim_start_matches(['.', '-']);
    if kept.is_empty() { "value".into() } else { kept.chars().take(100).collect() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    async fn edit(command: &str, text: &str) -> Result<Option<String>, String> {
        Editor::open(Request(1), Some(command), "app.yaml", text).left().await
    }

    #[tokio::test]
    async fn what_the_editor_leaves_is_what_comes_back() {
        assert_eq!(edit("sed -i s/old/new/", "old\ntext\n").await, Ok(Some("new\ntext\n".into())));
        assert_eq!(edit("false", "old").await, Ok(None));
        let missing = edit("no-such-editor --wait", "old").await;
        assert!(missing.as_ref().is_err_and(|why| why.contains("no-such-editor")), "{missing:?}");
    }

    #[tokio::test]
    async fn the_file_is_private_and_does_not_stay() {
        let mut editor = Editor::open(Request(1), Some("true"), "../.ssh/id", "text");
        let (_, draft) = editor.at_work.as_ref().expect("it starts");
        let (folder, file) = (draft.folder.clone(), draft.file.clone());
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        assert_eq!(file.parent(), Some(&*folder));
        editor.left().await.expect("it ends").expect("it was saved");
        drop(editor);
        assert!(!folder.exists());
    }
}
