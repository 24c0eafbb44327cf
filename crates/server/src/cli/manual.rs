//! `keygate completions`, `keygate man`: what packages install beside the binary.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, output};

#[derive(Args)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

#[derive(Args)]
pub(super) struct Man {
    /// Where to write the pages; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "keygate", &mut script);
        output::line(String::from_utf8(script)?.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

impl Man {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let dir = self.dir.display();
        fs::create_dir_all(&self.dir).with_context(|| format!("{dir} cannot be made"))?;
        clap_mangen::generate_to(Cli::command(), &self.dir)
            .with_context(|| format!("The pages cannot be written to {dir}"))?;
        output::note(format_args!("The pages are in {dir}; read one with: man {dir}/keygate.1"));
        Ok(ExitCode::SUCCESS)
    }
}
