//! Logins that are kept: `~/.config/keygate/credentials.toml`, for its owner's eyes only.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::address::Address;

/// The stored logins, by the server's address.
pub(in crate::cli) struct Credentials {
    file: PathBuf,
    logins: Logins,
}

#[derive(Default, Serialize, Deserialize)]
struct Logins {
    /// The server last logged in to.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    servers: BTreeMap<String, Login>,
}

/// A token that `keygate login` made. Not to be printed.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::cli) struct Login {
    pub(in crate::cli) login: String,
    pub(in crate::cli) token_id: String,
    pub(in crate::cli) token: String,
}

impl Credentials {
    /// Reads them. A file that others may read is refused, as ssh refuses such a key.
    pub(in crate::cli) fn load() -> anyhow::Result<Self> {
        let file = place()?;
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { file, logins: Logins::default() });
            }
            Err(why) => return Err(why).with_context(|| format!("{} cannot be read", file.display())),
        };
        let mode = fs::metadata(&file)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let file = file.display();
            bail!(
                "Others can read {file} (mode {mode:o}), and there are tokens in it; run: chmod 600 {file}"
            );
        }
        // The parser's own words quote the line, which may hold a token.
        let logins = toml::from_str(&text).map_err(|_| {
            anyhow::anyhow!("{} is not what `keygate login` writes; mend or remove it", file.display())
        })?;
        Ok(Self { file, logins })
    }

    /// The server last logged in to.
    pub(super) fn current(&self) -> Option<Address> {
        self.logins.current.as_deref().and_then(|text| text.parse().ok())
    }

    pub(in crate::cli) fn of(&self, server: &Address) -> Option<&Login> {
        self.logins.servers.get(server.as_str())
    }

    /// Keeps a login, and returns the one before it at the same server.
    pub(in crate::cli) fn keep(&mut self, server: &Address, login: Login) -> anyhow::Result<Option<Login>> {
        self.logins.current = Some(server.to_string());
        let before = self.logins.servers.insert(server.to_string(), login);
        self.save()?;
        Ok(before)
    }

    pub(in crate::cli) fn forget(&mut self, server: &Address) -> anyhow::Result<()> {
        self.logins.servers.remove(server.as_str());
        if self.logins.current.as_deref() == Some(server.as_str()) {
            self.logins.current = None;
        }
        self.save()
    }

    pub(in crate::cli) fn file(&self) -> &Path {
        &self.file
    }

    /// Writes a new file beside the old one and renames it, so that there is never half a file.
    fn save(&self) -> anyhow::Result<()> {
        let text = toml::to_string(&self.logins)?;
        let folder = self.file.parent().context("The file of credentials has no folder")?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let new = self.file.with_extension(format!("toml.{}", std::process::id()));
        let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
        written
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, &self.file))
            .inspect_err(|_| drop(fs::remove_file(&new)))
            .with_context(|| format!("{} cannot be written", self.file.display()))
    }
}

/// `$XDG_CONFIG_HOME/keygate/credentials.toml`, or the same in `~/.config`.
fn place() -> anyhow::Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let config = config.or_else(|| set("HOME").map(|home| home.join(".config")));
    let Some(config) = config else {
        bail!("There is no place for logins; set HOME or XDG_CONFIG_HOME, or use KEYGATE_TOKEN")
    };
    Ok(config.join("keygate/credentials.toml"))
}
