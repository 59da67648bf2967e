use super::*;

const SCHEDULE: Uuid = Uuid::from_u128(0x0190_a0b0_c0d0_7080_8000_0000_0000_000d);

#[test]
fn the_trace_of_a_schedule_follows_from_its_id() {
    let first = first_span(SCHEDULE);
    assert_eq!(
        to_traceparent(&first),
        "00-0190a0b0c0d07080800000000000000d-800000000000000d-01"
    );
    assert!(first.is_valid() && first.is_remote());
}

#[test]
fn a_traceparent_is_read_if_it_is_valid() {
    let valid = "00-0190a0b0c0d07080800000000000000d-00f067aa0ba902b7-01";
    let read = read_traceparent(valid).unwrap();
    assert_eq!(to_traceparent(&read), valid);
    for invalid in [
        "",
        "00",
        "01-0190a0b0c0d07080800000000000000d-00f067aa0ba902b7-01",
        "00-0190a0b0c0d07080800000000000000d-00f067aa0ba902b-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-0190a0b0c0d07080800000000000000d-0000000000000000-01",
        "00-+190a0b0c0d07080800000000000000d-00f067aa0ba902b7-01",
    ] {
        assert_eq!(read_traceparent(invalid), None, "{invalid}");
    }
}

#[test]
fn without_an_endpoint_nothing_is_recorded_and_no_message_has_a_traceparent() {
    assert!(!is_enabled());
    let span = tracing::error_span!("batch");
    continue_schedule(&span, SCHEDULE, None);
    let _entered = span.enter();
    assert_eq!((traceparent(), traceparent_of(SCHEDULE)), (None, None));
}
