"""What an invocation works on: a batch of a schedule, or a delivery to a webhook.

The caller names a schedule, or one is made for the call through the API, so that the function has
something to do. Meanwhile the function's own queue is held (RunningStack.held): otherwise the
running stack would do the work first.
"""

import contextlib
import http.server
import threading
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

# Numbers of the sample; they are sent to only by the simulator.
NUMBERS = ("+60123456789", "+60123456790")
NOT_INVENTED = (
    "this stack sends to a real carrier, and the sample would send messages: "
    "name a schedule with ID=…, or an event without placeholders with EVENT=…"
)


def soon(seconds):
    """Returns the time in some seconds, as the API reads it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def new_schedule(stack, seconds):
    """Creates a schedule that is due in some seconds; returns its id."""
    if not stack.sends_to_simulator():
        raise SystemExit(NOT_INVENTED)
    body = {"run_at": soon(seconds), "message": "Hello", "recipients": list(NUMBERS)}
    return stack.call("POST", "/v1/schedules", body)["id"]


def made_for(stack, function):
    """Creates the schedule that a function can work on; returns its id."""
    if function == "Send":  # cut, due, and not sent to
        made = new_schedule(stack, 4)
        stack.wait_for(
            f"SELECT 1 FROM batches WHERE schedule_id = {as_key(made)}"
            " AND send_at <= UTC_TIMESTAMP(3) + INTERVAL 2 SECOND"
        )
    elif function == "Recheck":  # sent to, and due for a recheck
        made = new_schedule(stack, 2)
        stack.wait_for(
            f"SELECT 1 FROM batches WHERE schedule_id = {as_key(made)} AND claim_token IS NULL"
            " AND check_at <= UTC_TIMESTAMP(3)"
        )
    else:  # so soon that it may be cut, and not so soon that the sweep cuts it
        made = new_schedule(stack, int(stack.values["DISPATCH_LEAD_S"]))
    return made


def as_key(given):
    """Returns an id as SQL reads it. Exits if it is none."""
    try:
        return f"X'{uuid.UUID(given).hex}'"
    except ValueError as error:
        raise SystemExit(f"ID={given}: expected the id of a schedule") from error


class Batch:
    """A batch of a schedule."""

    webhook_port = None

    def __init__(self, stack, schedule_id, batch_no):
        self.stack, self.key, self.batch_no = stack, as_key(schedule_id), int(batch_no)
        found = stack.rows(f"SELECT version FROM schedules WHERE id = {self.key}")
        if not found:
            raise SystemExit(f"there is no schedule {schedule_id}")
        self.values = {
            "SCHEDULE_ID": schedule_id,
            "VERSION": int(found[0][0]),
            "BATCH_NO": self.batch_no,
        }

    def require_batch(self):
        """Exits if the schedule has no such batch."""
        batches = f"SELECT batch_no FROM batches WHERE schedule_id = {self.key}"
        if not self.stack.rows(f"{batches} AND batch_no = {self.batch_no}"):
            number = len(self.stack.rows(batches))
            raise SystemExit(
                f"there is no batch {self.batch_no}: the schedule is cut into {number}"
            )

    def state(self):
        """Describes the rows of the schedule and of the batch."""
        ((status, batches, by),) = self.stack.rows(
            "SELECT status, COALESCE(batch_count, 0), COALESCE(dispatched_by, 'nobody')"
            f" FROM schedules WHERE id = {self.key}"
        )
        cut = f"cut by {by} into {batches}" if int(batches) else "not cut"
        name = f"schedule {self.values['SCHEDULE_ID']}: {status}, {cut}"
        batch = self.stack.rows(
            f"SELECT checks FROM batches WHERE schedule_id = {self.key}"
            f" AND batch_no = {self.batch_no}"
        )
        if not batch:
            return name
        counted = self.stack.rows(
            "SELECT COUNT(*), r.status FROM recipients r JOIN batches b"
            " ON b.schedule_id = r.schedule_id AND r.seq BETWEEN b.first_seq AND b.last_seq"
            f" WHERE b.schedule_id = {self.key} AND b.batch_no = {self.batch_no}"
            " GROUP BY r.status ORDER BY r.status"
        )
        recipients = ", ".join(" ".join(row) for row in counted)
        return f"{name}; batch {self.batch_no}: {recipients}, checks {batch[0][0]}"


class Delivery:
    """A delivery of an event to a webhook."""

    def __init__(self, stack, webhook_id, event_id):
        self.stack = stack
        self.values = {"WEBHOOK_ID": webhook_id, "EVENT_ID": event_id}
        self.where = f"webhook_id = {as_key(webhook_id)} AND event_id = {as_key(event_id)}"
        ((url,),) = stack.rows(f"SELECT url FROM webhooks WHERE id = {as_key(webhook_id)}")
        parts = urlsplit(url)
        self.webhook_port = parts.port or {"http": 80, "https": 443}[parts.scheme]

    def state(self):
        """Describes the row of the delivery."""
        ((kind, status, tries, answer),) = self.stack.rows(
            "SELECT type, status, tries, COALESCE(http_status, error, 'no answer')"
            f" FROM webhook_deliveries WHERE {self.where}"
        )
        return f"delivery of {kind}: {status}, tries {tries}, {answer}"


def delivery_of(stack, schedule_id):
    """Returns the oldest pending delivery of a schedule's events."""
    columns = "LOWER(HEX(webhook_id)), LOWER(HEX(event_id))"
    found = stack.rows(
        f"SELECT {columns} FROM webhook_deliveries WHERE schedule_id = {as_key(schedule_id)}"
        " AND status = 'pending' ORDER BY due_at LIMIT 1"
    )
    if not found:
        raise SystemExit(f"nothing to deliver: schedule {schedule_id} has no pending delivery")
    return Delivery(stack, *(str(uuid.UUID(each)) for each in found[0]))


class _Accepts(http.server.BaseHTTPRequestHandler):
    """Answers each POST with 204."""

    def do_POST(self):
        """Reads the event and accepts it."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Prints nothing."""


@contextlib.contextmanager
def webhook(stack):
    """Creates a webhook to a receiver on loopback that accepts everything; removes both."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Accepts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    token = stack.administrator()
    url = f"http://127.0.0.1:{server.server_port}/"
    wanted = {"url": url, "events": ["schedule.started"], "description": "made by make invoke"}
    made = stack.call("POST", "/v1/webhooks", wanted, token)["id"]
    try:
        yield made, token
    finally:
        stack.call("DELETE", f"/v1/webhooks/{made}", None, token)
        server.shutdown()


@contextlib.contextmanager
def test_delivery(stack):
    """Yields a delivery that is made for the call: the test event of a webhook."""
    with webhook(stack) as (webhook_id, token):
        tested = stack.call("POST", f"/v1/webhooks/{webhook_id}/test", None, token)
        yield Delivery(stack, webhook_id, tested["event_id"])
