//! Dead letters in a file: one JSON object a line, appended and synced.
//!
//! A letter that is removed stays in the file, with a line behind it that says so. So nothing is ever rewritten: a process
//! that appends letters meanwhile loses none, and a crash leaves the file as it was.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::letter::{DeadLetter, DeadLetterStore, FORMAT, LetterError, LetterKey, LetterPage};

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Removed(Removed),
    Letter(Box<DeadLetter>),
}

/// Marks the letter with this key and digest as removed; a letter that was written again since then is a different one.
#[derive(Serialize, Deserialize)]
struct Removed {
    #[serde(rename = "v")]
    format: u64,
    #[serde(flatten)]
    key: LetterKey,
    /// SHA-256 of the letter's JSON.
    removed: String,
}

/// Dead letters in one file.
#[derive(Debug, Clone)]
pub struct FileLetters {
    path: PathBuf,
    /// Writers of this process append one after the other; the lock is held on a blocking thread only.
    writing: Arc<Mutex<()>>,
}

// === impl FileLetters ===

impl FileLetters {
    /// Letters in `path`; the file is made by the first one.
    pub fn new(path: impl Into<PathBuf>) -> FileLetters {
        FileLetters { path: path.into(), writing: Arc::default() }
    }

    fn failed(&self, source: io::Error) -> LetterError {
        LetterError::File { path: self.path.display().to_string(), source }
    }

    async fn append(&self, lines: Vec<u8>) -> Result<(), LetterError> {
        let writing = Arc::clone(&self.writing);
        self.blocking(move |path| {
            let guard = writing.lock();
            let appended = append(path, &lines);
            drop(guard);
            appended
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, LetterError> {
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || work(&path)).await;
        done.map_err(io::Error::other).and_then(|result| result).map_err(|error| self.failed(error))
    }
}

#[async_trait]
impl DeadLetterStore for FileLetters {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), LetterError> {
        let mut lines = Vec::new();
        for letter in letters {
            lines.extend(json(letter)?);
            lines.push(b'\n');
        }
        self.append(lines).await
    }

    async fn remove(&self, letter: &DeadLetter) -> Result<bool, LetterError> {
        if self.get(&letter.key).await?.as_ref() != Some(letter) {
            return Ok(false);
        }
        let removed = Removed { format: FORMAT, key: letter.key.clone(), removed: digest(&json(letter)?) };
        let mut line = serde_json::to_vec(&removed).map_err(|_| LetterError::Unstorable(letter.key.clone()))?;
        line.push(b'\n');
        self.append(line).await?;
        Ok(true)
    }

    /// The file is read as a whole; a letter that comes twice is listed once, as it was written last.
    async fn list(&self, after: Option<&LetterKey>) -> Result<LetterPage, LetterError> {
        let (mut letters, malformed) = self.blocking(read).await?;
        if let Some(after) = after {
            letters = letters.split_off(after);
            letters.remove(after);
        }
        let letters: Result<Vec<_>, _> = letters.into_values().map(DeadLetter::checked).collect();
        Ok(LetterPage { letters: letters?, next: None, malformed })
    }

    async fn get(&self, key: &LetterKey) -> Result<Option<DeadLetter>, LetterError> {
        let (mut letters, _) = self.blocking(read).await?;
        letters.remove(key).map(DeadLetter::checked).transpose()
    }
}

fn json(letter: &DeadLetter) -> Result<Vec<u8>, LetterError> {
    serde_json::to_vec(letter).map_err(|_| LetterError::Unstorable(letter.key.clone()))
}

fn digest(json: &[u8]) -> String {
    hex::encode(Sha256::digest(json))
}

fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    // A crash in the middle of a line must not spoil the next letter too.
    if !ends_in_line_break(&mut file)? {
        file.write_all(b"\n")?;
    }
    file.write_all(lines)?;
    file.sync_data()
}

fn ends_in_line_break(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0; 1];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn read(path: &Path) -> io::Result<(BTreeMap<LetterKey, DeadLetter>, Vec<String>)> {
    let mut letters = BTreeMap::new();
    let mut malformed = Vec::new();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((letters, malformed)),
        file => file?,
    };
    for (at, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line?;
        // An editor may have left a byte order mark, or carriage returns.
        let line = line.strip_prefix(b"\xEF\xBB\xBF").filter(|_| at == 0).unwrap_or(&line).trim_ascii();
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Line>(line) {
            Ok(Line::Letter(letter)) => {
                letters.insert(letter.key.clone(), *letter);
            }
            Ok(Line::Removed(Removed { key, removed, .. })) => {
                let is_it = |letter: &DeadLetter| json(letter).is_ok_and(|json| digest(&json) == removed);
                if letters.get(&key).is_some_and(is_it) {
                    letters.remove(&key);
                }
            }
            Err(_) => malformed.push(format!("line {}", at + 1)),
        }
    }
    Ok((letters, malformed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::sample;

    #[tokio::test]
    async fn letters_are_appended_and_listed_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileLetters::new(folder.path().join("letters.ndjson"));
        assert_eq!(store.list(None).await.unwrap(), LetterPage::default());
        store.put(&[sample("2", 0), sample("1", 1)]).await.unwrap();
        store.put(&[DeadLetter { at: 9, ..sample("2", 0) }]).await.unwrap();
        let page = store.list(None).await.unwrap();
        let listed: Vec<_> = page.letters.iter().map(|letter| (letter.key.record.as_str(), letter.at)).collect();
        assert_eq!(listed, [("1", 1_795_359_681), ("2", 9)]);
        let page = store.list(Some(&sample("1", 1).key)).await.unwrap();
        assert_eq!(page.letters.len(), 1);
        assert!(store.get(&sample("1", 1).key).await.unwrap().is_some());
        assert!(store.get(&sample("3", 0).key).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn b4_a_letter_that_was_written_again_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.ndjson");
        let store = FileLetters::new(&path);
        store.put(&[sample("1", 0), sample("2", 0)]).await.unwrap();
        let again = DeadLetter { at: 9, ..sample("1", 0) };
        store.put(std::slice::from_ref(&again)).await.unwrap();
        assert!(!store.remove(&sample("1", 0)).await.unwrap());
        assert!(store.remove(&sample("2", 0)).await.unwrap());
        assert!(!store.remove(&sample("2", 0)).await.unwrap(), "it is gone already");
        assert_eq!(store.list(None).await.unwrap().letters, std::slice::from_ref(&again));
        // Another process wrote the letter again after it was looked at, and before the line that removes it.
        let removed = std::fs::read_to_string(&path).unwrap().lines().last().unwrap().to_owned();
        std::fs::write(&path, "").unwrap();
        store.put(&[sample("2", 0), DeadLetter { at: 9, ..sample("2", 0) }]).await.unwrap();
        append(&path, format!("{removed}\n").as_bytes()).unwrap();
        assert_eq!(store.list(None).await.unwrap().letters.len(), 1);
        assert!(store.remove(&DeadLetter { at: 9, ..sample("2", 0) }).await.unwrap());
        assert_eq!(store.list(None).await.unwrap(), LetterPage::default());
        store.put(&[sample("2", 0)]).await.unwrap();
        assert_eq!(store.list(None).await.unwrap().letters.len(), 1, "refused once more");
    }

    #[tokio::test]
    async fn a_torn_line_spoils_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.ndjson");
        std::fs::write(&path, b"{\"v\":1,\"stre").unwrap();
        let store = FileLetters::new(&path);
        store.put(&[sample("1", 0)]).await.unwrap();
        let page = store.list(None).await.unwrap();
        assert_eq!((page.letters.len(), page.malformed), (1, vec!["line 1".to_owned()]));
    }

    #[tokio::test]
    async fn what_an_editor_leaves_behind_is_no_letter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.ndjson");
        let store = FileLetters::new(&path);
        store.put(&[sample("1", 0), sample("2", 0)]).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap().replace('\n', "\r\n");
        std::fs::write(&path, format!("\u{feff}{text}\r\n")).unwrap();
        let page = store.list(None).await.unwrap();
        assert_eq!((page.letters.len(), page.malformed), (2, vec![]));
    }

    #[tokio::test]
    async fn newer_letters_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileLetters::new(folder.path().join("letters.ndjson"));
        store.put(&[DeadLetter { format: 2, ..sample("1", 0) }]).await.unwrap();
        let error = store.list(None).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "dead letter 2026-11-22T15:01:21.123|1|0 has format 2, but this version knows only formats up to 1"
        );
    }

    #[tokio::test]
    async fn a_missing_folder_is_said() {
        let store = FileLetters::new("/nowhere/at/all.ndjson");
        let error = store.put(&[sample("1", 0)]).await.unwrap_err();
        assert!(error.to_string().starts_with("dead letter file /nowhere/at/all.ndjson: "));
    }
}
