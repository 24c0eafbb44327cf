#!/usr/bin/env python3
"""Shows that the shim tells synced commits from unsynced ones: `tests/fault/selftest.py [ROUNDS]`.

Writers run under the shim and print a commit's number once SQLite has said it is done; they are killed with -9 and
their files are restored from the shadows. What must survive must, and what a power cut takes must be gone: a shim
that loses nothing would prove nothing.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        shim = build(scratch)
        for mode in ("wal", "delete"):
            for sync in ("full", "normal", "off"):
                lost = [kill_round(scratch, shim, mode, sync) for _ in range(rounds)]
                print(f"{mode:6} {sync:6} lost of acknowledged: " + ", ".join(f"{l}/{a}" for l, a in lost))
                check(mode, sync, [commits for commits, _ in lost])
        control(scratch, shim)
    print("ok")


def check(mode, sync, lost):
    if sync == "full":
        assert not any(lost), "a synced commit was lost"
    elif sync == "off":
        assert all(lost), "unsynced commits survived"
    elif mode == "wal":
        assert any(lost), "NORMAL does not sync the log at commit, yet nothing was lost"


def control(scratch, shim):
    """Without the restore, kill -9 loses nothing even with synchronous=OFF: it is the shadows that count."""
    db, acknowledged = killed_writer(scratch, shim, "wal", "off")
    assert acknowledged <= rows(db), "kill -9 alone lost commits"
    print("control: kill -9 without the restore loses nothing")


def kill_round(scratch, shim, mode, sync):
    db, acknowledged = killed_writer(scratch, shim, mode, sync)
    restore(db)
    if sync != "off":
        with closing(sqlite3.connect(db)) as reader:
            assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return len(acknowledged - rows(db)), len(acknowledged)


def killed_writer(scratch, shim, mode, sync):
    """A database under writers that were killed, and the commits they acknowledged."""
    db = Path(tempfile.mkdtemp(dir=scratch)) / "a.db"
    env = {**os.environ, "LD_PRELOAD": str(shim)}
    command = [sys.executable, "-c", WRITER, str(db), mode, sync]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as writer:
        first = writer.stdout.readline()
        time.sleep(random.uniform(0.05, 0.5))
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
    lines = (first + rest).split(b"\n")[:-1]  # a line without its end was not said
    assert lines, "the writer committed nothing"
    return db, {int(line) for line in lines}


def restore(db):
    """What the disk would hold: each file its shadow, or nothing; no shared memory."""
    for name in (db.name, db.name + "-wal", db.name + "-journal"):
        file, shadow = db.with_name(name), db.with_name(name + ".durable")
        if shadow.exists():
            shutil.copyfile(shadow, file)
        else:
            file.unlink(missing_ok=True)
    db.with_name(db.name + "-shm").unlink(missing_ok=True)


def rows(db):
    with closing(sqlite3.connect(db)) as reader:
        try:
            return {n for (n,) in reader.execute("SELECT n FROM t")}
        except sqlite3.OperationalError:
            return set()  # no table: all is lost


def build(scratch):
    shim = scratch / "powerloss.so"
    source = HERE / "powerloss.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", shim, source, "-ldl", "-lpthread"], check=True)
    return shim


WRITER = """
import os, sqlite3, sys
path, mode, sync = sys.argv[1:]
db = sqlite3.connect(path, isolation_level=None)
db.execute(f"PRAGMA journal_mode={mode}")
db.execute(f"PRAGMA synchronous={sync}")
db.execute(f"PRAGMA wal_autocheckpoint={20 if sync == 'full' else 0}")
db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, filler TEXT)")
n = 0
while True:
    n += 1
    db.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * (n * 37 % 3000)))
    os.write(1, b"%d\\n" % n)
"""

if __name__ == "__main__":
    main()
