"""The list of schedules, and one of them: progress, moves, report, what a viewer sees."""

import csv
import io
import time

from harness import ConsoleTest, expect

# Numbers that the simulator's carrier answers as it does all others.
MANY = [f"+6012{number:07}" for number in range(1000, 1300)]


class Schedules(ConsoleTest):
    """Schedules as an operator sees them."""

    def test_the_list_filters_by_state_and_finds_by_name(self):
        draft = self.schedule(draft=True)
        scheduled = self.schedule()
        self.log_in("operator")
        link = self.page.get_by_role("link", name=scheduled["name"])
        expect(link).to_be_visible()
        self.page.get_by_label("State").select_option(label="Draft")
        expect(self.page.get_by_role("link", name=draft["name"])).to_be_visible()
        expect(link).to_have_count(0)
        self.page.get_by_label("State").select_option(label="All")
        self.page.get_by_label("Name, reference or label").fill(scheduled["name"])
        self.page.get_by_role("button", name="Find").click()
        expect(self.page.get_by_role("link", name=draft["name"])).to_have_count(0)
        link.click()
        self.heading(scheduled["name"])

    def test_a_schedule_is_paused_resumed_sped_up_and_cancelled(self):
        made = self.schedule()
        self.log_in("operator", f"schedules/{made['id']}")
        self.heading(made["name"])
        dialog = self.page.get_by_role("dialog")
        self.page.get_by_role("button", name="Pause").click()
        expect(dialog).to_contain_text("2 people wait to be sent to; 0 people have been sent to.")
        # Escape closes the dialog and changes nothing.
        self.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        self.page.get_by_role("button", name="Pause").click()
        dialog.get_by_label("Reason (optional)").fill("The band is late")
        dialog.get_by_role("button", name="Pause").click()
        expect(self.page.get_by_text("The schedule is now: Paused.")).to_be_visible()
        expect(self.page.get_by_text("The band is late")).to_be_visible()
        self.assertEqual(self.state(made), "paused")
        self.page.get_by_role("button", name="Speed").click()
        dialog.get_by_label("As fast as the carrier accepts them").uncheck()
        dialog.get_by_label("Messages per second").fill("7")
        dialog.get_by_role("button", name="Change").click()
        expect(self.page.get_by_text("7 messages per second")).to_be_visible()
        self.page.get_by_role("button", name="Resume").click()
        dialog.get_by_role("button", name="Resume").click()
        expect(self.page.get_by_text("The schedule is now: Scheduled.")).to_be_visible()
        self.page.get_by_role("button", name="Cancel").click()
        dialog.get_by_role("button", name="Cancel it for ever").click()
        expect(self.page.get_by_text("The schedule is now: Cancelled.")).to_be_visible()
        self.assertEqual(self.state(made), "cancelled")
        expect(self.page.get_by_role("button", name="Pause")).to_have_count(0)

    def test_a_running_schedule_is_paused_and_resumed(self):
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
        made = self.schedule(recipients=MANY, rate=20, run_at=soon)
        self.log_in("operator", f"schedules/{made['id']}")
        expect(self.page.get_by_text("Running", exact=True)).to_be_visible(timeout=60_000)
        expect(self.page.get_by_text("Sent to 0 of 300 people.")).to_have_count(0, timeout=60_000)
        expect(self.page.get_by_text("Messages per second, from the first one.")).to_be_visible()
        expect(self.page.locator(".plot canvas")).to_be_visible()
        self.assert_accessible()
        dialog = self.page.get_by_role("dialog")
        self.page.get_by_role("button", name="Pause").click()
        dialog.get_by_role("button", name="Pause").click()
        expect(self.page.get_by_text("The schedule is now: Paused.")).to_be_visible()
        # What a request has begun with may still be recorded.
        time.sleep(3)
        sent = self.stack.call("GET", f"/v1/schedules/{made['id']}")["already_sent"]
        self.assertTrue(0 < sent < len(MANY), sent)
        time.sleep(3)
        self.assertEqual(
            self.stack.call("GET", f"/v1/schedules/{made['id']}")["already_sent"], sent
        )
        self.page.get_by_role("button", name="Resume").click()
        dialog.get_by_role("button", name="Resume").click()
        expect(self.page.get_by_text("Sent to 300 of 300 people.")).to_be_visible(timeout=120_000)

    def test_a_viewer_opens_a_draft(self):
        made = self.schedule(draft=True)
        self.log_in("viewer", f"schedules?search={made['name'].replace(' ', '+')}")
        self.page.get_by_role("link", name=made["name"]).click()
        self.heading(made["name"])

    def test_a_refused_move_says_what_is_possible(self):
        made = self.schedule()
        self.log_in("operator", f"schedules/{made['id']}")
        self.page.get_by_role("button", name="Pause").click()
        # Somebody else cancels it while the dialog is open.
        self.stack.call("POST", f"/v1/schedules/{made['id']}/cancel", {})
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Pause").click()
        expect(dialog.get_by_role("alert")).to_contain_text("Nothing can be done in this state.")

    def test_the_report_has_the_rows_of_the_api(self):
        made = self.schedule(recipients=MANY)
        self.log_in("viewer", f"schedules/{made['id']}")
        button = self.page.get_by_role("button", name="Download the report (CSV)")
        rows = list(csv.DictReader(io.StringIO(self.downloaded(button.click))))
        self.assertEqual([row["phone"] for row in rows], MANY)
        # The database has the same numbers, whatever the API answers.
        key = made["id"].replace("-", "")
        stored = self.stack.rows(
            f"SELECT phone FROM recipients WHERE schedule_id = UNHEX('{key}') ORDER BY seq"
        )
        self.assertEqual([phone for [phone] in stored], MANY)

    def test_a_viewer_sees_everything_and_may_do_nothing(self):
        made = self.schedule()
        self.log_in("viewer", f"schedules/{made['id']}")
        self.heading(made["name"])
        expect(self.page.get_by_text("Sent to 0 of 2 people.")).to_be_visible()
        names = self.page.get_by_role("main").get_by_role("button").all_inner_texts()
        self.assertEqual(sorted(set(names)), ["Download", "Download the report (CSV)"])
        expect(self.page.get_by_role("link", name="Send a list")).to_have_count(0)
        self.open("send")
        self.heading("No such page")

    def test_history_is_the_audit_log_of_an_administrator(self):
        made = self.schedule()
        self.stack.call("POST", f"/v1/schedules/{made['id']}/pause", {"reason": "Rain"})
        self.log_in("admin", f"schedules/{made['id']}")
        self.page.get_by_text("History").click()
        expect(self.page.get_by_role("region", name="History")).to_contain_text("schedule.pause")
