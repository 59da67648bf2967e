"""What needs an operator, and the buttons that resolve it."""

import time

from harness import ConsoleTest, expect


class Attention(ConsoleTest):
    """Schedules that a carrier's fault has left to an operator."""

    def test_an_uncertain_message_is_resolved(self):
        made = self.with_uncertain()
        self.log_in("operator", f"schedules/{made['id']}")
        expect(self.page.get_by_text("This schedule needs an operator:")).to_be_visible()
        self.page.get_by_role("link", name="Needs attention").last.click()
        entry = self.page.get_by_role("row").filter(
            has=self.page.locator(f"a[href='#/schedules/{made['id']}']")
        )
        self.page.get_by_role("heading", name="Uncertain").wait_for()
        self.assert_accessible()
        entry.get_by_role("button", name="Count as sent").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text("This affects 1 person.")
        dialog.get_by_role("button", name="Count as sent").click()
        expect(self.page.get_by_text("Changed: 1.")).to_be_visible()
        counts = self.stack.call("GET", f"/v1/schedules/{made['id']}")["counts"]
        self.assertEqual((counts["UNCERTAIN"], counts["UNKNOWN"]), (0, 1))

    def test_a_viewer_sees_what_needs_an_operator_without_buttons(self):
        made = self.with_uncertain()
        self.log_in("viewer", "attention")
        expect(self.page.locator(f"a[href='#/schedules/{made['id']}']").first).to_be_visible()
        expect(self.page.get_by_role("main").get_by_role("button")).to_have_count(0)

    def with_uncertain(self):
        """Sends a schedule while the carrier resets each connection; returns it."""
        before = self.carrier("GET")
        self.carrier("PATCH", {"reset_after_accept": 1.0})
        try:
            soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
            made = self.schedule(recipients=["+60123456701"], run_at=soon)
            deadline = time.monotonic() + 90
            while self.uncertain(made) == 0:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.5)
        finally:
            self.carrier("PATCH", {"reset_after_accept": before["reset_after_accept"]})
        return made

    def uncertain(self, made):
        """Returns how many recipients of a schedule wait for an operator."""
        return self.stack.call("GET", f"/v1/schedules/{made['id']}")["attention"]["uncertain"]
