//! What is refused, and what it says.

use super::*;
use crate::model::manifest::{Bad, Origin, Progress};
use crate::model::observed::Worker;

fn build(number: u32) -> BuildName {
    BuildName::from_number(number)
}

fn migration(name: &str, whys: &[Option<&str>]) -> Migration {
    let operation = |why: &Option<&str>| Operation {
        op: "RunSQL".into(),
        model: None,
        field: None,
        describe: "Raw SQL operation".into(),
        class: if why.is_some() { Class::Destructive } else { Class::Additive },
        why: why.map(str::to_owned),
    };
    let operations = whys.iter().map(operation).collect();
    Migration { database: "default".into(), migration: name.into(), operations }
}

#[test]
fn only_destructive_migrations_stop_and_only_while_older_code_is_in_use() {
    let additive = migration("shop.0002_note", &[None, None]);
    let destructive = migration("shop.0003_drop", &[None, Some("it may do anything")]);
    let (a, b, c) = (build(0), build(1), build(2));
    for (migrations, users, allow, refused) in [
        (vec![], vec![a], false, false),
        (vec![additive.clone()], vec![a, b], false, false),
        (vec![additive.clone(), destructive.clone()], vec![a, b], false, true),
        (vec![destructive.clone()], vec![a, b], true, false),
        (vec![destructive.clone()], vec![], false, false),
    ] {
        let judged = may_apply(c, &migrations, users.clone(), allow);
        let stop = Stop::Destructive { name: c, users, migrations };
        assert_eq!(judged, if refused { Err(stop) } else { Ok(()) });
    }
    assert_eq!(may_go_on(c, &[]), Ok(()));
    assert!(may_go_on(c, std::slice::from_ref(&additive)).is_err());
}

#[test]
fn a_stop_shows_every_operation() {
    let migrations =
        vec![migration("shop.0002_note", &[None]), migration("shop.0003_drop", &[Some("it may do anything")])];
    let stop = Stop::Destructive { name: build(2), users: vec![build(0), build(1)], migrations };
    assert_eq!(stop.what(), "build c brings destructive migrations");
    assert_eq!(
        stop.cause(),
        "nothing is applied, as older code is in use: a, b\n\
         default shop.0002_note additive\n  Raw SQL operation\n\
         default shop.0003_drop destructive\n  Raw SQL operation: it may do anything"
    );
    assert!(stop.next().contains("builds migrate c --allow-destructive"));
}

#[test]
fn whatever_has_a_name_or_workers_is_in_use() {
    let observed = |number, workers: Option<Vec<Worker>>| {
        let manifest = Manifest { state: Progress::Complete, ..Manifest::begin(build(number), 0, Origin::default()) };
        Build {
            name: build(number),
            manifest: Some(manifest),
            vassal_link: workers.is_some(),
            zerg_link: workers.is_some(),
            draining: false,
            listening: workers.is_some(),
            workers,
        }
    };
    let works = || Some(vec![Worker::default()]);
    let builds =
        [observed(0, works()), observed(1, None), observed(2, works()), observed(3, works()), observed(4, None)];
    let names = Names { live: Some(build(0)), stage: Some(build(1)) };
    assert_eq!(users(build(3), &names, None, &builds), [build(0), build(1), build(2)]);
    assert_eq!(users(build(0), &names, Some(build(4)), &builds), [build(1), build(2), build(3), build(4)]);
    let bad = builds.map(|build| {
        let bad = Some(Bad { at: 1, reason: "slow".into() });
        Build { manifest: build.manifest.map(|manifest| Manifest { bad, ..manifest }), ..build }
    });
    assert_eq!(users(build(3), &names, None, &bad), [build(0)]);
}

#[test]
fn a_build_that_does_not_know_what_was_dropped_is_not_live_again() {
    let made = |number, created, known: Option<&[&str]>, applied: &[(&str, Class, u64)]| {
        let of = |&(name, class, at): &(&str, Class, u64)| Applied {
            database: "default".into(),
            migration: name.into(),
            class,
            at,
        };
        let known: Option<Vec<String>> = known.map(|known| known.iter().map(|&name| name.into()).collect());
        let migrations =
            known.map(|known| Record { leaves: Vec::new(), known, applied: applied.iter().map(of).collect() });
        Manifest { migrations, ..Manifest::begin(build(number), created, Origin::default()) }
    };
    use Class::{Additive, Destructive};
    let others = [
        made(2, 20, Some(&["shop.1", "shop.2", "shop.3"]), &[("shop.2", Additive, 21), ("shop.3", Destructive, 22)]),
        made(3, 30, None, &[]),
    ];
    for (target, returns) in [
        (made(0, 10, Some(&["shop.1"]), &[]), false),
        (made(0, 10, Some(&["shop.1", "shop.2", "shop.3"]), &[]), true),
        (made(0, 10, None, &[]), false),
        (made(0, 22, None, &[]), false),
        (made(0, 23, None, &[]), true),
        (made(2, 20, None, &[]), true),
    ] {
        let judged = may_return(&target, &others);
        let lost = Stop::Lost { name: target.name, migrations: vec![(build(2), "shop.3".into())] };
        assert_eq!(judged, if returns { Ok(()) } else { Err(lost) }, "{target:?}");
    }
}

#[test]
fn what_no_build_tells_of_is_asked_for() {
    let made = |number, record: Option<(&[&str], &[&str])>| {
        let of = |name: &&str| Applied {
            database: "default".into(),
            migration: name.to_string(),
            class: Class::Additive,
            at: 1,
        };
        let migrations = record.map(|(known, applied)| Record {
            leaves: Vec::new(),
            known: known.iter().map(|&name| name.into()).collect(),
            applied: applied.iter().map(of).collect(),
        });
        Manifest { migrations, ..Manifest::begin(build(number), 0, Origin::default()) }
    };
    let target = made(0, Some((&["shop.1"], &[])));
    let live = made(2, Some((&["shop.1", "shop.2", "shop.3"], &[])));
    let third = made(1, Some((&["shop.1", "shop.2"], &["shop.2"])));
    assert_eq!(unrecorded(&target, &live, &[target.clone(), live.clone()]), ["shop.2", "shop.3"]);
    assert_eq!(unrecorded(&target, &live, &[third, live.clone()]), ["shop.3"]);
    // Nobody has asked one of the two.
    assert!(unrecorded(&made(0, None), &live, &[]).is_empty());
    assert!(unrecorded(&target, &made(2, None), &[]).is_empty());

    let (additive, destructive) = (migration("shop.2", &[None]), migration("shop.3", &[None, Some("it")]));
    assert_eq!(survives(build(0), build(2), std::slice::from_ref(&additive)), Ok(()));
    let lost = Stop::Lost { name: build(0), migrations: vec![(build(2), "shop.3".into())] };
    assert_eq!(survives(build(0), build(2), &[additive, destructive]), Err(lost));
}

#[test]
fn a_record_keeps_what_was_applied_before() {
    let answer = |name: &str, applied: bool| Answer {
        django: true,
        leaves: vec![name.into()],
        known: vec![name.into()],
        unapplied: vec![migration(name, &[Some("it")])],
        applied: if applied { vec![("default".into(), name.into())] } else { Vec::new() },
        earlier: Vec::new(),
        failure: None,
    };
    let first = Record::after(None, &answer("shop.1", true), 5);
    let second = Record::after(Some(first), &answer("shop.2", false), 6);
    let applied =
        |name: &str, at| Applied { database: "default".into(), migration: name.into(), class: Class::Destructive, at };
    assert_eq!(second.applied, [applied("shop.1", 5)]);
    let third = Record::after(Some(second), &answer("shop.2", true), 7);
    assert_eq!(
        (third.applied, third.leaves),
        (vec![applied("shop.1", 5), applied("shop.2", 7)], vec!["shop.2".into()])
    );
}

#[test]
fn what_python_tells_is_understood() {
    let answer: Answer = serde_json::from_str(r#"{"django": false}"#).unwrap();
    assert_eq!(answer, Answer::default());
    let text = r#"{"django": true, "leaves": ["shop.0002_note"], "known": ["shop.0001_initial", "shop.0002_note"],
        "unapplied": [{"database": "default", "migration": "shop.0002_note", "operations": [{"op": "AddField",
        "model": "basket", "field": "note", "describe": "Add field note to basket", "class": "destructive",
        "why": "it"}]}], "applied": [["default", "shop.0002_note"]], "failure": {"kind": "locked", "database":
        "default", "text": ""}}"#;
    let answer: Answer = serde_json::from_str(text).unwrap();
    assert_eq!(answer.unapplied[0].class(), Class::Destructive);
    assert_eq!(answer.failure.unwrap().kind, Kind::Locked);
    assert_eq!(answer.applied, [("default".to_owned(), "shop.0002_note".to_owned())]);
}
