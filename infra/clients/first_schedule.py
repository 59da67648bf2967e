"""Carries out the README's first schedule with the generated Python client.

A user logs in, asks what a schedule would do, creates it as a draft, appends a list, activates it,
and follows it to its end. API_URL, USERNAME and PASSWORD are in the environment; the folder of the
client is in PYTHONPATH.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO

from bulk_sms_scheduler_client import AuthenticatedClient, Client
from bulk_sms_scheduler_client.api.attention import get_attention
from bulk_sms_scheduler_client.api.auth import log_in
from bulk_sms_scheduler_client.api.messages import list_messages
from bulk_sms_scheduler_client.api.recipients import append_recipients, list_recipients
from bulk_sms_scheduler_client.api.schedules import (
    activate_schedule,
    create_schedule,
    get_schedule,
)
from bulk_sms_scheduler_client.models import (
    AppendedRecipients,
    AttentionOverview,
    CreatedSchedule,
    CreateScheduleBody,
    DryRun,
    LogInBody,
    MessagePage,
    RecipientEntry,
    RecipientList,
    RecipientPage,
    Schedule,
    ScheduleStatus,
    Status,
    Tokens,
    Variables,
)
from bulk_sms_scheduler_client.types import File

API = os.environ["API_URL"]
WAIT_S = 60
TEXT = "Dear {{name}}, doors open at 8"
LIST = b"name,phone\nAna,+60123456789\nBo,+60123456780\n"


def expect(kind, answer):
    """Returns an answer; exits unless it is of this class."""
    if not isinstance(answer, kind):
        raise SystemExit(f"expected {kind.__name__}: {answer}")
    return answer


def entry(phone, name):
    """Returns a recipient with a variable."""
    variables = Variables()
    variables["name"] = name
    return RecipientEntry(phone=phone, vars_=variables)


def main():
    """Exits with a message unless every recipient is DELIVRD."""
    account = LogInBody(username=os.environ["USERNAME"], password=os.environ["PASSWORD"])
    tokens = expect(Tokens, log_in.sync(client=Client(API), body=account))
    client = AuthenticatedClient(API, token=tokens.access_token, timeout=35)

    soon = datetime.now(UTC) + timedelta(seconds=3)
    ana = entry("+60123456789", "Ana")
    planned = CreateScheduleBody(run_at=soon, message=TEXT, recipients=[ana])
    dry = expect(DryRun, create_schedule.sync(client=client, body=planned, dry_run=True))
    assert dry.accepted and dry.requests == 1, dry

    draft = CreateScheduleBody(run_at=soon, message=TEXT, draft=True)
    created = expect(CreatedSchedule, create_schedule.sync(client=client, body=draft))
    table = File(payload=BytesIO(LIST))
    for body, accepted, duplicates in (
        (table, 2, 0),
        (RecipientList(recipients=[ana]), 0, 1),
    ):
        appended = append_recipients.sync(created.id, client=client, body=body)
        appended = expect(AppendedRecipients, appended)
        assert (appended.accepted, appended.duplicates) == (accepted, duplicates), appended
    expect(Schedule, activate_schedule.sync(created.id, client=client))

    deadline = time.monotonic() + WAIT_S
    while True:
        schedule = expect(Schedule, get_schedule.sync(created.id, client=client))
        if schedule.status == ScheduleStatus.FINISHED:
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"not finished after {WAIT_S} s: {schedule}")
        time.sleep(0.5)

    page = expect(RecipientPage, list_recipients.sync(created.id, client=client))
    found = [(each.phone, each.status) for each in page.recipients]
    delivered = [("+60123456789", Status.DELIVRD), ("+60123456780", Status.DELIVRD)]
    assert found == delivered, found
    latest = list_messages.sync(client=client, phone="+60123456789", limit=1)
    message = expect(MessagePage, latest).messages[0]
    assert message.schedule_id == created.id and message.status == Status.DELIVRD, message
    expect(AttentionOverview, get_attention.sync(client=client))
    print(f"Python client: schedule {created.id}, 2 of 2 DELIVRD")


main()
