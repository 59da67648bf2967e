//! Micro-benchmarks of the pure parts that run for each recipient: `cargo bench -p bench`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shared::{
    batch::{
        in_place::{FlushInPlace, StatusesInPlace},
        rows::{BatchRow, FlushRow, StatusUpdate, Step},
    },
    message::{
        phone::{Phone, Region},
        status::Status,
        template::{Template, Variables},
        text,
        window::Window,
    },
};

/// Recipients of a batch, and those of one flush.
const BATCH: u32 = 2_000;
const FLUSH: u32 = 200;

fn texts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("text");
    let gsm = "Your appointment is tomorrow at 10:30. Reply STOP to opt out. ".repeat(2);
    let ucs2 = format!("{gsm}\u{4f60}\u{597d}");
    group.bench_function("parts, GSM 03.38", |bencher| {
        bencher.iter(|| text::parts(black_box(&gsm)));
    });
    group.bench_function("parts, UCS-2", |bencher| {
        bencher.iter(|| text::parts(black_box(&ucs2)));
    });
    let template = Template::parse("Hi {{name}}, see you on {{day}}.")
        .unwrap()
        .unwrap();
    let variables: Variables = [("name", "Ana"), ("day", "Monday")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    group.bench_function("render two variables", |bencher| {
        bencher.iter(|| template.render(black_box(&variables)).unwrap());
    });
    group.finish();
}

fn phones(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("phone");
    group.bench_function("E.164", |bencher| {
        bencher.iter(|| Phone::parse(black_box("+60123456789")).unwrap());
    });
    let region = Region::parse("MY");
    group.bench_function("national", |bencher| {
        bencher.iter(|| Phone::parse_in(black_box("012-345 6789"), region.as_ref()).unwrap());
    });
    group.finish();
}

fn windows(criterion: &mut Criterion) {
    let column = r#"{"days":["Mon","Wed"],"from":"09:00","to":"17:00","zone":"Asia/Kuala_Lumpur"}"#;
    let window = Window::of(Some(column)).unwrap();
    let now = chrono::DateTime::from_timestamp(1_795_420_800, 0).unwrap();
    criterion.bench_function("window/next opening", |bencher| {
        bencher.iter(|| window.next_open(black_box(now)));
    });
}

fn row(seq: u32, status: Status) -> BatchRow {
    BatchRow {
        seq,
        phone: format!("+6012{seq:07}"),
        status,
        attempt: u32::from(status == Status::Acceptd),
        resends: 0,
        message_id: None,
        carrier_status: None,
        sent_at: None,
        final_at: None,
        suppressed: false,
    }
}

fn flush_row(seq: u32, step: Step, status: Status) -> FlushRow {
    FlushRow {
        seq,
        attempt: u32::from(step == Step::Answer),
        step,
        resend: 0,
        status,
        message_id: (step == Step::Answer).then(|| format!("{seq:036}")),
        error: None,
        is_final: 0,
    }
}

fn in_place(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("in place");
    let rows: Vec<_> = (1..=BATCH)
        .map(|seq| {
            let is_answered = seq <= FLUSH;
            row(
                seq,
                if is_answered {
                    Status::Acceptd
                } else {
                    Status::Pending
                },
            )
        })
        .collect();
    let answers: Vec<_> = (1..=FLUSH)
        .map(|seq| flush_row(seq, Step::Answer, Status::Acceptd))
        .collect();
    let marks: Vec<_> = (FLUSH + 1..=2 * FLUSH)
        .map(|seq| flush_row(seq, Step::Mark, Status::Sending))
        .collect();
    group.throughput(Throughput::Elements((2 * FLUSH).into()));
    group.bench_function("flush", |bencher| {
        bencher.iter(|| FlushInPlace::of(black_box(&answers), &marks, &rows).unwrap());
    });
    let updates: Vec<_> = (1..=BATCH)
        .map(|seq| StatusUpdate {
            seq,
            attempt: 1,
            status: Status::Delivrd,
            carrier_status: Some("DELIVRD".to_owned()),
            message_id: None,
            is_final: 1,
        })
        .collect();
    group.throughput(Throughput::Elements(BATCH.into()));
    group.bench_function("statuses", |bencher| {
        bencher.iter(|| StatusesInPlace::of(black_box(&updates)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, texts, phones, windows, in_place);
criterion_main!(benches);
