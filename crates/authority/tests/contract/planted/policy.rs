use keygate_authority::{Fault, policy::Row};
use keygate_gate::Client;
use keygate_model::{Ask, Host, Method, Path, PolicyId, Position, Record, Subject, Verdict, decide::Deny};

use super::{intruder, named, tamper, x};
use crate::house::{House, at, noon, said};

/// A policy that lets everybody in at one path.
fn text(name: &str, path: &str) -> String {
    format!(
        "name = \"{name}\"\nhosts = [\"{name}.test\"]\ncustomers = \"all\"\n[routes]\n\"GET {path}\" = {{ public = true }}\n"
    )
}

async fn apply(house: &House, text: &str) -> Result<Row, Fault> {
    let id = PolicyId::from_bytes(house.ground.draw());
    house.authority.apply_policy(&at(noon()), id, text.to_owned()).await
}

/// Whether the gate lets anybody in there.
fn is_open(house: &House, name: &str, path: &str) -> bool {
    let host = format!("{name}.test");
    let ask = Ask {
        host: Some(Host::parse(&host).expect("a host")),
        method: Method::Get,
        path: Path::new(path),
        secret: Err(Deny::Missing),
        at_least: Position(0),
    };
    matches!(house.gate.authorize(&ask, Client { ip: None, user_agent: "" }, noon()), Verdict::Allow(_))
}

#[tokio::test]
async fn no_column_of_a_policy_can_be_edited() {
    let house = House::new();
    let wide = text("zzz", "/admin").replace('\'', "''");
    let edits = [
        format!("text = '{wide}'"),
        "text = replace(text, '/health', '/{*rest}')".to_owned(),
        "text = ''".to_owned(),
        "retired = 'scope global'".to_owned(),
        "name = name || 'x'".to_owned(),
        "created_at = created_at - 1".to_owned(),
        "updated_at = updated_at + 1".to_owned(),
        "position = position + 1".to_owned(),
        "mac = zeroblob(32)".to_owned(),
        "id = zeroblob(16)".to_owned(),
    ];
    let mut victims = Vec::new();
    for nth in 0..edits.len() {
        victims.push(apply(&house, &text(&format!("api{nth}"), "/health")).await.expect("a policy"));
    }
    for (edit, victim) in edits.iter().zip(&victims) {
        tamper(&house, &format!("UPDATE policies SET {edit} WHERE id = {}", x(&victim.id.to_bytes())));
    }
    let found = named(&house).await;
    let house = house.reopen();
    for (edit, victim) in edits.iter().zip(&victims) {
        assert!(!is_open(&house, &victim.name, "/health"), "{edit}: what is not believed lets nobody in");
        for path in ["/admin", "/", "/x"] {
            assert!(!is_open(&house, &victim.name, path) && !is_open(&house, "zzz", path), "{edit}");
        }
        assert!(found.contains(&("policy", victim.id.to_string())), "{edit}: {found:?}");
    }
    assert!(house.authority.policies().await.expect("policies").is_empty(), "nor is it shown");
}

#[tokio::test]
async fn planted_copied_set_back_and_removed_policies_let_nobody_in() {
    let house = House::new();
    let (kept, removed) =
        (apply(&house, &text("kept", "/old")).await, apply(&house, &text("gone", "/old")).await);
    let (kept, removed) = (kept.expect("a policy"), removed.expect("a policy"));
    let db = intruder(&house);
    db.execute_batch("CREATE TEMP TABLE before AS SELECT * FROM policies").expect("a copy");
    apply(&house, &text("kept", "/new")).await.expect("changed");
    assert!(is_open(&house, "kept", "/new") && !is_open(&house, "kept", "/old"));
    house.authority.remove_policy(&at(noon()), "gone").await.expect("taken back");
    assert!(!is_open(&house, "gone", "/old"));
    // A running gate hears of nothing: no event tells of it.
    db.execute_batch(
        "DELETE FROM main.policies; INSERT INTO main.policies SELECT * FROM temp.before;
         UPDATE temp.before SET id = zeroblob(16), name = 'copy' WHERE name = 'kept';
         INSERT INTO main.policies SELECT * FROM temp.before WHERE name = 'copy'",
    )
    .expect("the intruder's SQL");
    assert!(is_open(&house, "kept", "/new") && !is_open(&house, "gone", "/old"));
    // Nor when something else makes it read policies again.
    apply(&house, &text("other", "/other")).await.expect("a policy");
    assert!(
        !is_open(&house, "kept", "/old")
            && !is_open(&house, "gone", "/old")
            && is_open(&house, "other", "/other")
    );
    let house = house.reopen();
    for (name, path) in [("kept", "/old"), ("kept", "/new"), ("gone", "/old"), ("copy", "/old")] {
        assert!(!is_open(&house, name, path), "{name} {path}");
    }
    assert!(is_open(&house, "other", "/other"), "what is believed goes on");
    let subject = Subject::Policy(kept.id);
    assert_eq!(house.told.last_about(subject), Some(Record::Broken(subject)));
    let found = named(&house).await;
    for id in [kept.id, removed.id, PolicyId::from_bits(0)] {
        assert!(found.contains(&("policy", id.to_string())), "{id}: {found:?}");
    }
}

#[tokio::test]
async fn a_policy_set_back_together_with_its_events_closes_the_gate() {
    for sql in [
        // The row as it was, and no event that says otherwise.
        "DELETE FROM policies; INSERT INTO policies SELECT * FROM temp.before;
         DELETE FROM events WHERE position > (SELECT max(position) FROM temp.events_before)",
        // The head too.
        "DELETE FROM policies; INSERT INTO policies SELECT * FROM temp.before;
         DELETE FROM events WHERE position > (SELECT max(position) FROM temp.events_before);
         UPDATE head SET position = (SELECT max(position) FROM temp.events_before)",
        // Gone without a trace.
        "DELETE FROM policies; DELETE FROM events WHERE subject_kind = 'policy'",
    ] {
        let house = House::new();
        apply(&house, &text("kept", "/old")).await.expect("a policy");
        let db = intruder(&house);
        db.execute_batch(
            "CREATE TEMP TABLE before AS SELECT * FROM policies; CREATE TEMP TABLE events_before AS SELECT * FROM events",
        )
        .expect("copies");
        apply(&house, &text("kept", "/new")).await.expect("changed");
        db.execute_batch(sql).expect("the intruder's SQL");
        let house = house.reopen();
        assert!(!house.gate.is_open(), "{sql}");
        for path in ["/old", "/new"] {
            assert!(!is_open(&house, "kept", path), "{sql}");
        }
    }
}

/// A row that is gone is not there to be believed; its event still tells that there was one.
#[tokio::test]
async fn a_removed_row_takes_its_policy_and_no_other() {
    let house = House::new();
    let gone = apply(&house, &text("gone", "/x")).await.expect("a policy");
    apply(&house, &text("stays", "/x")).await.expect("a policy");
    tamper(&house, "DELETE FROM policies WHERE name = 'gone'");
    assert!(named(&house).await.contains(&("policy", gone.id.to_string())));
    let house = house.reopen();
    assert!(!is_open(&house, "gone", "/x") && is_open(&house, "stays", "/x"));
    assert_eq!(said(house.authority.remove_policy(&at(noon()), "gone").await), "missing policy");
    // Its name is free again, under another id.
    let anew = apply(&house, &text("gone", "/y")).await.expect("a policy");
    assert!(anew.id != gone.id && is_open(&house, "gone", "/y"));
}
