"""The people of one schedule: found, changed, cancelled, decided about, counted, sent to again."""

import time

from harness import ConsoleTest, expect

PEOPLE = [
    {
        "phone": "+60123456701",
        "reference": "A-1",
        "group": "Penang",
        "vars": {"name": "Ana"},
    },
    {
        "phone": "+60123456702",
        "reference": "A-2",
        "group": "Ipoh",
        "vars": {"name": "Bo"},
    },
    {"phone": "+60123456703", "group": "Ipoh", "vars": {"name": "Co"}},
]


class Recipients(ConsoleTest):
    """Single people of a schedule."""

    def people(self):
        """Opens the part of the page with the people."""
        part = self.page.locator("details").filter(
            has=self.page.get_by_role("heading", name="People", exact=True)
        )
        if part.get_attribute("open") is None:
            part.locator("summary").first.click()
        expect(part.get_by_label("Number or reference")).to_be_visible()
        return part

    def find(self, part, text, phone):
        """Searches, and returns the row that is found."""
        part.get_by_label("Number or reference").fill(text)
        part.get_by_role("button", name="Find").click()
        rows = part.get_by_role("row")
        expect(rows).to_have_count(2)
        expect(rows.nth(1)).to_contain_text(phone)
        return rows.nth(1)

    def test_a_person_is_found_changed_and_cancelled(self):
        made = self.schedule(recipients=PEOPLE, message="Dear {{name}}, doors open at 8")
        self.log_in("operator", f"schedules/{made['id']}")
        part = self.people()
        expect(part.get_by_role("row")).to_have_count(4)
        self.assert_accessible()
        row = self.find(part, "A-2", "+60123456702")
        row.get_by_role("button", name="Change").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("{{name}}").fill("Bea")
        dialog.get_by_label("Group").fill("Klang")
        self.assert_accessible()
        dialog.get_by_role("button", name="Save").click()
        expect(part.get_by_text("In time: +60123456702 is sent to as changed.")).to_be_visible()
        expect(part.get_by_role("row").nth(1)).to_contain_text("Klang")
        row = self.find(part, "+60 12-345 6701", "+60123456701")
        row.get_by_role("button", name="Cancel").click()
        dialog.get_by_role("button", name="Cancel +60123456701?").click()
        expect(part.get_by_text("In time: nothing is sent to +60123456701.")).to_be_visible()
        expect(part.get_by_role("row").nth(1)).to_contain_text("cancelled, never sent")
        path = f"/v1/schedules/{made['id']}/recipients?include=variables"
        rows = self.stack.call("GET", path)["recipients"]
        self.assertEqual(
            [(one["status"], one["group"], one["variables"]["name"]) for one in rows],
            [
                ("CANCELLED", "Penang", "Ana"),
                ("PENDING", "Klang", "Bea"),
                ("PENDING", "Ipoh", "Co"),
            ],
        )

    def test_a_change_that_is_too_late_says_so(self):
        made = self.schedule(recipients=PEOPLE, message="Dear {{name}}, doors open at 8")
        self.log_in("operator", f"schedules/{made['id']}")
        row = self.find(self.people(), "A-1", "+60123456701")
        row.get_by_role("button", name="Cancel").click()
        # Meanwhile it is sent to.
        key = made["id"].replace("-", "")
        self.stack.rows(
            "UPDATE recipients SET status = 'ACCEPTD', attempt = 1, id_start = 'm', "
            f"sent_at = UTC_TIMESTAMP(3) WHERE schedule_id = UNHEX('{key}') AND seq = 1"
        )
        self.page.get_by_role("dialog").get_by_role("button", name="Cancel +60123456701?").click()
        expect(self.page.get_by_text("Too late: the message was being sent")).to_be_visible()

    def test_groups_are_counted(self):
        made = self.schedule(recipients=PEOPLE, message="Dear {{name}}, doors open at 8")
        self.log_in("viewer", f"schedules/{made['id']}")
        self.page.get_by_role("heading", name="Groups").click()
        table = self.page.get_by_role("region", name="Groups")
        expect(table.get_by_role("row").filter(has_text="Ipoh")).to_contain_text("2")
        expect(table.get_by_role("row")).to_have_count(3)
        self.assert_accessible()
        # A viewer has no buttons for people.
        part = self.people()
        expect(part.get_by_role("row")).to_have_count(4)
        expect(part.get_by_role("button", name="Change")).to_have_count(0)

    def test_one_uncertain_person_is_decided_about(self):
        before = self.carrier("GET")
        self.carrier("PATCH", {"reset_after_accept": 1.0})
        try:
            soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
            numbers = [one["phone"] for one in PEOPLE]
            made = self.schedule(recipients=numbers, run_at=soon)
            self.wait(made, lambda shown: shown["attention"]["uncertain"] == 3)
        finally:
            self.carrier("PATCH", {"reset_after_accept": before["reset_after_accept"]})
        self.log_in("operator", f"schedules/{made['id']}")
        part = self.people()
        rows = part.get_by_role("row")
        expect(rows).to_have_count(4)
        row = rows.filter(has_text=numbers[1])
        row.get_by_role("button", name="Count as sent").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Count as sent").click()
        expect(part.get_by_text("Changed: 1.")).to_be_visible()
        expect(rows).to_have_count(3)
        counts = self.stack.call("GET", f"/v1/schedules/{made['id']}")["counts"]
        self.assertEqual((counts["UNCERTAIN"], counts["UNKNOWN"]), (2, 1))

    def test_undelivered_people_are_sent_to_again(self):
        before = self.carrier("GET")
        self.addCleanup(
            self.carrier,
            "PATCH",
            {name: before[name] for name in ("undeliv", "expired", "odd")},
        )
        self.carrier("PATCH", {"undeliv": 1.0, "expired": 0, "odd": 0})
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
        made = self.schedule(
            recipients=[one["phone"] for one in PEOPLE], run_at=soon, max_attempts=1
        )
        self.wait(made, lambda shown: shown["status"] == "finished")
        self.carrier("PATCH", {"undeliv": 0})
        self.log_in("operator", f"schedules/{made['id']}")
        # The plot of a schedule that has ended, from its first message.
        expect(self.page.get_by_text("Messages per second, from the first one.")).to_be_visible()
        expect(self.page.locator(".plot canvas")).to_be_visible()
        self.page.get_by_role("button", name="Send again").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text("3 people are sent to again.")
        dialog.get_by_label("Leave it as a draft").check()
        self.assert_accessible()
        dialog.get_by_role("button", name="Send again").click()
        expect(self.page.get_by_role("button", name="Send to 3 people …")).to_be_visible()
        again = self.page.url.rpartition("/")[2]
        shown = self.stack.call("GET", f"/v1/schedules/{again}")
        self.assertEqual((shown["status"], shown["resend_of"]), ("draft", made["id"]))

    def test_the_summary_of_a_finished_schedule_is_shown(self):
        made = self.schedule(recipients=[PEOPLE[0]["phone"]])
        key = made["id"].replace("-", "")
        self.stack.rows(
            "UPDATE schedules SET status = 'finished', batch_count = 1, "
            "dispatched_at = UTC_TIMESTAMP(3), finished_at = '2026-11-29 10:00:00' "
            f"WHERE id = UNHEX('{key}')"
        )
        self.stack.rows(
            "INSERT INTO schedule_summaries SET finishes = 1, "
            "requested_at = '2026-11-29 10:00:00', next_batch = 2, "
            "done_at = '2026-11-29 10:01:00', due_to_sent_count = 5, due_to_sent_p50_ms = 210, "
            "due_to_sent_p99_ms = 1950, due_to_sent_max_ms = 90000, sent_to_final_count = 0, "
            f"schedule_id = UNHEX('{key}')"
        )
        self.log_in("viewer", f"schedules/{made['id']}")
        expect(
            self.page.get_by_text("half within 210 ms, 99 % within 2 s, the slowest 2 min")
        ).to_be_visible()

    def test_a_schedule_that_waits_for_its_hours_says_until_when(self):
        # The hours begin in two hours, in UTC, and end with their day at the latest.
        opens = time.strftime("%H:%M", time.gmtime(time.time() + 2 * 3600))
        closes = time.strftime("%H:%M", time.gmtime(time.time() + 3 * 3600))
        window = {"from": opens, "to": closes if closes > opens else "24:00", "zone": "UTC"}
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
        made = self.schedule(window=window, run_at=soon)
        time.sleep(4)
        self.log_in("viewer", f"schedules/{made['id']}")
        expect(
            self.page.get_by_text("It waits for its hours, which begin in 2 hours")
        ).to_be_visible()

    def wait(self, made, until):
        """Waits until a schedule is as expected."""
        deadline = time.monotonic() + 120
        while not until(self.stack.call("GET", f"/v1/schedules/{made['id']}")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.5)
