//! A policy file of the operator's: Keygate's own with a role more.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use keygate_model::policy::OWN_POLICY;

use crate::house::PASSWORD;

fn keygate(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
    command.current_dir(folder).args(args).env("KEYGATE_POLICY", "policy.toml");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keygate runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), PASSWORD.as_bytes())
        .expect("written");
    child.wait_with_output().expect("keygate ends")
}

#[test]
fn a_role_of_the_operators_is_a_role() {
    let folder = std::env::temp_dir().join(format!("keygate-policy-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder of its own");
    let policy = folder.join("policy.toml");
    let auditor = "[roles]\n\"auditor\" = [\"event:read\", \"token:read_self\", \"token:create\"]";
    fs::write(&policy, OWN_POLICY.replace("[roles]", auditor)).expect("a policy");
    let made = keygate(&folder, &["customer", "create", "--name", "Acme", "--json"]);
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("a customer");
    let id = made["id"].as_str().expect("an id");
    let add = |role: &str| {
        let login = format!("{role}@example.com");
        let args =
            ["--customer", id, "--login", &login, "--name", "Joan", "--role", role, "--password-stdin"];
        keygate(&folder, &[&["user", "create"][..], &args].concat())
    };
    assert!(add("auditor").status.success());
    let unknown = String::from_utf8_lossy(&add("pope").stderr).into_owned();
    assert!(
        unknown.contains("Role must be one of: auditor, billing, engineer, gate, superuser, user"),
        "{unknown}"
    );

    fs::write(&policy, OWN_POLICY.replace("\"token:read\" =", "\"token:red\" =")).expect("a policy");
    let wrong = add("auditor");
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && told.contains("policy.toml is not right"), "{told}");
    assert!(told.contains("lacks \"token:read\""), "{told}");
    fs::remove_dir_all(&folder).expect("removed");
}
