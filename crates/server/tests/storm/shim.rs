//! The shims of `tests/fault`, built.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Compiles one into a folder.
pub(crate) fn build(name: &str, into: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/fault/{name}.c"));
    let shim = into.join(format!("{name}.so"));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"]).arg(&shim).arg(source);
    let status =
        cc.status().unwrap_or_else(|why| panic!("the C compiler cc cannot be run ({why}): run ./dev setup"));
    assert!(status.success(), "cc could not build {name}");
    shim
}
