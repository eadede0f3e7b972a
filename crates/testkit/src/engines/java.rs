//! Finding a JDK that is new enough, also one that is not the default.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A Java runtime on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jdk {
    /// The `java` program.
    pub java: PathBuf,
    /// The feature version: 17, 21, 25.
    pub major: u32,
}

/// The oldest runtime that is new enough: the nearer to what an engine was built for, the fewer surprises.
#[must_use]
pub fn find_jdk(minimum: u32) -> Option<Jdk> {
    static FOUND: OnceLock<Vec<Jdk>> = OnceLock::new();
    FOUND.get_or_init(installed_jdks).iter().filter(|jdk| jdk.major >= minimum).min_by_key(|jdk| jdk.major).cloned()
}

fn installed_jdks() -> Vec<Jdk> {
    let mut homes: Vec<PathBuf> = env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().collect();
    homes.extend(home_of_java_on_path());
    homes.extend(homes_in_jvm_folders());
    let mut found: Vec<Jdk> = homes.iter().filter_map(|home| jdk_at(home)).collect();
    found.dedup();
    found
}

fn home_of_java_on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let java = env::split_paths(&path).map(|folder| folder.join("java")).find(|java| java.is_file())?;
    let java = fs::canonicalize(java).ok()?;
    Some(java.parent()?.parent()?.to_path_buf())
}

fn homes_in_jvm_folders() -> Vec<PathBuf> {
    let mut folders = vec![
        PathBuf::from("/usr/lib/jvm"),
        PathBuf::from("/usr/java"),
        PathBuf::from("/opt/java"),
        PathBuf::from("/Library/Java/JavaVirtualMachines"),
        PathBuf::from("/opt/homebrew/opt"),
    ];
    if let Some(home) = env::var_os("HOME").map(PathBuf::from) {
        folders.push(home.join(".sdkman/candidates/java"));
        folders.push(home.join(".jdks"));
        folders.push(home.join("Library/Java/JavaVirtualMachines"));
    }
    let mut homes = Vec::new();
    for folder in folders {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            // macOS bundles and Homebrew keep the home one level down.
            homes.push(entry.path());
            homes.push(entry.path().join("Contents/Home"));
            homes.push(entry.path().join("libexec/openjdk.jdk/Contents/Home"));
        }
    }
    homes.sort();
    homes
}

fn jdk_at(home: &Path) -> Option<Jdk> {
    let java = home.join("bin/java");
    if !java.is_file() {
        return None;
    }
    let major = match fs::read_to_string(home.join("release")) {
        Ok(release) => major_in(&release),
        Err(_) => major_by_running(&java),
    }?;
    Some(Jdk { java, major })
}

fn major_by_running(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").output().ok()?;
    // `java -version` prints to standard error.
    major_in(&String::from_utf8_lossy(&output.stderr))
}

/// The feature version out of `JAVA_VERSION="17.0.15"`, `openjdk version "21" 2023-09-19` or `"1.8.0_402"`.
fn major_in(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.starts_with("JAVA_VERSION=") || line.contains(" version \""))?;
    let version = line.split('"').nth(1)?;
    let mut numbers = version.split(['.', '-', '+', '_']).map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_versions_are_read() {
        for (text, major) in [
            ("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"17.0.15\"\nOS_NAME=\"Linux\"", Some(17)),
            ("JAVA_VERSION=\"25\"", Some(25)),
            ("openjdk version \"21.0.4\" 2024-07-16\nOpenJDK Runtime", Some(21)),
            ("java version \"1.8.0_402\"", Some(8)),
            ("JAVA_VERSION=\"24-ea\"", Some(24)),
            ("no such thing", None),
        ] {
            assert_eq!(major_in(text), major, "{text}");
        }
    }
}
