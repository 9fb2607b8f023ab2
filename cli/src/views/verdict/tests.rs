use super::*;

fn verdict(damage: &[(&str, Weight)]) -> Verdict {
    let one = |(file, weight): &(&str, Weight)| Damage {
        file: (*file).to_owned(),
        offset: 4096,
        what: "the checksum is wrong".to_owned(),
        derived: *weight == Weight::Derived,
        harmless: *weight == Weight::Harmless,
    };
    Verdict {
        folder: "broker-a".to_owned(),
        sound: damage.is_empty(),
        damage: damage.iter().map(one).collect(),
        damage_unlisted: 0,
        lost: vec![],
        lost_unlisted: 0,
        repair_command: None,
        start_refused: None,
        notes: vec![],
        checked: Checked {
            segments: 1,
            log_bytes: 2048,
            frames: 3,
            commands: 4,
            messages: 5,
            checkpoints: 6,
            queues: 7,
            queue_files: 8,
            index_files: 9,
            index_items: 10,
        },
        meta_is_usable: true,
        remade: Remade::Yes,
        compared_to_offset: Some(2048),
    }
}

#[test]
fn sound_files_are_a_line_and_damaged_ones_a_table() {
    assert_eq!(
        verdict(&[]).text(false),
        "sound: 1 segment (2.0 KiB) with 3 frames, 4 commands and 5 messages; 6 checkpoints; \
         7 queues in 8 files; 9 index files with 10 items"
    );
    let cut = Verdict {
        lost: vec!["one".to_owned(), "another".to_owned()],
        lost_unlisted: 1095,
        ..verdict(&[("log/0.seg", Weight::Lost)])
    };
    let told = cut.text(false);
    assert!(told.contains("\none\nanother\nand 1,095 places more"), "{told}");
    let damaged = verdict(&[("log/0.seg", Weight::Lost)]).text(false);
    assert!(
        damaged
            .starts_with("DAMAGED FILE   AT BYTE   WHAT\nlog/0.seg         4096   the checksum is wrong\n"),
        "{damaged}"
    );
}

#[test]
fn the_advice_follows_from_what_is_damaged() {
    assert_eq!(verdict(&[]).advice(), None);
    let (problem, advice) = verdict(&[
        ("queue/0/1/0.cq", Weight::Derived),
        ("queue/0/2/0.cq", Weight::Derived),
        ("log/0.sparse", Weight::Derived),
    ])
    .advice()
    .unwrap();
    assert_eq!(problem, "3 places are damaged");
    assert!(advice.contains("delete log/0.sparse and queue,"), "{advice}");
    let (problem, advice) = verdict(&[("log/0.seg", Weight::Lost)]).advice().unwrap();
    assert_eq!(problem, "1 place is damaged");
    assert!(advice.contains("backup"), "{advice}");
    let advice = verdict(&[("log/0.seg", Weight::Harmless)]).advice().unwrap().1;
    assert!(
        advice.starts_with("log/0.seg: nothing is lost") && !advice.contains("backup"),
        "{advice}"
    );
    let both = [("log/0.seg", Weight::Harmless), ("index/1.run", Weight::Derived)];
    let advice = verdict(&both).advice().unwrap().1;
    assert!(
        advice.contains("log/0.seg: nothing is lost") && advice.contains("delete index,"),
        "{advice}"
    );
    let spare = [("meta.a", Weight::Lost), ("index/1.run", Weight::Derived)];
    let advice = verdict(&spare).advice().unwrap().1;
    assert!(
        advice.contains("meta.b is sound") && advice.contains("delete index,"),
        "{advice}"
    );
    assert!(!advice.contains("backup"), "{advice}");
    let lost = Verdict {
        remade: Remade::NotWithoutBase,
        ..verdict(&[
            ("checkpoint/7.root", Weight::Derived),
            ("index/1.run", Weight::Derived),
        ])
    };
    let advice = lost.advice().unwrap().1;
    assert!(
        advice.contains("Do not delete the folder") && advice.contains("copy the folder now"),
        "{advice}"
    );
    assert!(advice.contains("index: start the broker"), "{advice}");
    let repaired = Verdict {
        remade: Remade::NotAcrossALoss,
        ..verdict(&[
            ("queue/0/1/0.cq", Weight::Derived),
            ("index/1.run", Weight::Derived),
        ])
    };
    let advice = repaired.advice().unwrap().1;
    assert!(
        advice.contains("queue: do not delete it")
            && advice.contains("finds again what log and checkpoints tell")
            && advice.contains("not found by key or message id"),
        "{advice}"
    );
    let refused = Verdict {
        start_refused: Some("it says why, and what to do".to_owned()),
        ..verdict(&[("meta.a", Weight::Lost), ("meta.b", Weight::Lost)])
    };
    let (problem, advice) = refused.advice().unwrap();
    assert_eq!(problem, "2 places are damaged, and a start is refused");
    assert_eq!(advice, "it says why, and what to do");
    let level = Verdict {
        start_refused: Some("a newer build".to_owned()),
        ..verdict(&[])
    };
    assert_eq!(level.advice().unwrap().0, "a start refuses it");
}
