//! The power-loss shim of `tests/fault`: built, and its shadows put back (its README has the rules).

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The files of a database that the shim shadows.
const SUFFIXES: [&str; 3] = ["", "-wal", "-journal"];

/// Compiles the shim into `dir`.
pub(crate) fn build(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fault/powerloss.c");
    let shim = dir.join("powerloss.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&shim).arg(source).args(["-ldl", "-lpthread"]);
    let status =
        cc.status().unwrap_or_else(|why| panic!("the C compiler cc cannot be run ({why}): run ./dev setup"));
    assert!(status.success(), "cc could not build the power-loss shim");
    shim
}

/// Gives a database that was made without the shim its first shadows.
pub(crate) fn adopt(db: &Path) {
    for suffix in SUFFIXES {
        let file = beside(db, suffix);
        if file.exists() {
            fs::copy(&file, beside(&file, ".durable")).unwrap();
        }
    }
}

/// What a power cut leaves: the synced bytes, and nothing else.
pub(crate) fn restore(db: &Path) {
    for suffix in SUFFIXES {
        let file = beside(db, suffix);
        let shadow = beside(&file, ".durable");
        if shadow.exists() {
            fs::copy(shadow, &file).unwrap();
        } else {
            remove(&file);
        }
    }
    remove(&beside(db, "-shm"));
}

/// The path with something added to its end.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => {
            panic!("{} cannot be removed: {why}", file.display())
        }
        _ => {}
    }
}
