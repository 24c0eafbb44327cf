use super::*;

/// A connection with tables that nobody else sees: `turn`, for changes, and `things`, with a number each.
fn connection() -> Connection {
    let place = std::env::var("KEYGATE_TEST_POSTGRES")
        .expect("KEYGATE_TEST_POSTGRES is not set: ./dev test starts a server and sets it");
    let address = Address::parse(&format!("postgres://postgres@{place}/postgres")).unwrap();
    let db = Connection::open(&address).unwrap();
    db.run("CREATE TEMP TABLE turn (one INT); CREATE TEMP TABLE things (number BIGINT PRIMARY KEY)").unwrap();
    db
}

fn put(db: &Connection, number: i64) -> Result<()> {
    let insert = db.prepare("INSERT INTO things VALUES ($1)")?;
    db.put(&insert, &[Value::Int(number)])
}

fn things(db: &Connection) -> Vec<i64> {
    let select = db.prepare("SELECT number FROM things ORDER BY number").unwrap();
    let (mut rows, mut things) = (db.query(&select, &[]).unwrap(), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        things.push(row.get(0));
    }
    things
}

#[test]
fn what_was_said_and_failed_is_told_at_the_end_of_its_part_and_undoes_that_part_alone() {
    let db = connection();
    db.begin().unwrap();
    let mut ended = Vec::new();
    for numbers in [&[1, 2][..], &[3, 1], &[], &[4], &[2, 5], &[6]] {
        db.begin_part();
        numbers.iter().for_each(|number| put(&db, *number).unwrap());
        ended.push(db.end_part(true).is_ok());
    }
    db.commit().unwrap();
    assert_eq!(ended, [true, false, true, true, false, true]);
    assert_eq!(things(&db), [1, 2, 4, 6]);
    assert!(!db.is_busy());
}

#[test]
fn a_question_is_answered_with_the_first_that_failed_before_it() {
    let db = connection();
    db.begin().unwrap();
    db.begin_part();
    put(&db, 1).unwrap();
    put(&db, 1).unwrap();
    let select = db.prepare("SELECT number FROM things");
    let why = select.and_then(|select| db.query(&select, &[]).map(drop)).unwrap_err().to_string();
    assert!(why.contains("23505"), "{why}");
    db.end_part(false).unwrap();
    assert!(things(&db).is_empty());
    db.commit().unwrap();
}

#[test]
fn a_part_that_is_undone_leaves_nothing_and_neither_does_one_that_said_nothing() {
    let db = connection();
    db.begin().unwrap();
    for (number, for_good) in
        [(Some(1), false), (None, false), (Some(2), true), (None, true), (Some(3), false)]
    {
        db.begin_part();
        number.iter().for_each(|number| put(&db, *number).unwrap());
        db.end_part(for_good).unwrap();
    }
    db.commit().unwrap();
    assert_eq!(things(&db), [2]);
}

#[test]
fn a_transaction_that_has_failed_is_not_acknowledged() {
    let db = connection();
    for in_a_part in [true, false] {
        db.begin().unwrap();
        if in_a_part {
            db.begin_part();
            put(&db, 1).unwrap();
            db.end_part(true).unwrap();
        } else {
            db.run("INSERT INTO things VALUES (1)").unwrap();
        }
        // As if the head could not be written.
        db.run("INSERT INTO things VALUES (1)").unwrap_err();
        let error = db.commit().unwrap_err();
        assert!(matches!(&error, Error::Postgres(error) if is_undone(error)), "{error}");
        db.run("ROLLBACK").unwrap();
        assert!(things(&db).is_empty());
    }
}

#[test]
fn no_more_than_some_answers_are_owed() {
    let db = connection();
    db.begin().unwrap();
    db.begin_part();
    (0..1000).for_each(|number| put(&db, number).unwrap());
    db.end_part(true).unwrap();
    db.commit().unwrap();
    assert_eq!(things(&db).len(), 1000);
}
