//! Long texts: cut or split, by the form and the mode of the request. Over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use simulator::Settings;
use support::bench;

#[tokio::test]
async fn the_bare_form_splits_a_long_text() {
    let bench = bench(Settings::default()).await;
    let text = "a".repeat(307);
    let answer = bench.send("491701,491702", &text).await;
    assert_eq!(answer.as_array().unwrap().len(), 6);
    let ledger = bench.carrier().ledger();
    for dnis in ["491701", "491702"] {
        let lines: Vec<_> = ledger.iter().filter(|line| line.dnis == dnis).collect();
        assert_eq!(
            lines
                .iter()
                .map(|line| line.text.as_str())
                .collect::<String>(),
            text
        );
        assert_eq!(
            lines
                .iter()
                .map(|line| line.segment_num)
                .collect::<Vec<_>>(),
            [Some(1), Some(2), Some(3)]
        );
        for line in lines {
            let row = json!({
                "dnis": dnis,
                "message_id": line.message_id,
                "segment_num": line.segment_num,
            });
            assert!(answer.as_array().unwrap().contains(&row), "{answer}");
        }
    }
}

#[tokio::test]
async fn the_response_for_a_long_text_to_one_number_is_an_array() {
    let bench = bench(Settings::default()).await;
    let answer = bench.send("491701", &"ж".repeat(71)).await;
    let mut segments: Vec<_> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["segment_num"].as_u64().unwrap())
        .collect();
    segments.sort_unstable();
    assert_eq!(segments, [1, 2]);
}

#[tokio::test]
async fn the_full_form_cuts_a_long_text_unless_the_mode_is_split() {
    let bench = bench(Settings::default()).await;
    let text = "a".repeat(200);
    for (mode, lengths) in [
        (None, &[160][..]),
        (Some("cut"), &[160]),
        (Some("split"), &[153, 47]),
    ] {
        bench.carrier().reset();
        let mut form = vec![("dnis", "491701"), ("message", text.as_str())];
        form.extend(mode.map(|mode| ("longMessageMode", mode)));
        assert_eq!(bench.full(&form).send().await.unwrap().status(), 200);
        assert_eq!(
            bench
                .carrier()
                .ledger()
                .iter()
                .map(|line| line.text.len())
                .collect::<Vec<_>>(),
            lengths
        );
    }
    let form = [
        ("dnis", "491701"),
        ("message", "Hello"),
        ("longMessageMode", "fold"),
    ];
    assert_eq!(bench.full(&form).send().await.unwrap().status(), 400);
}
