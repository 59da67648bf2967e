"""Four eyes: a long list waits until another person has seen and approved exactly that."""

import re
import secrets

from harness import ConsoleTest, expect

ABOVE = 20
LONG = [f"+60123{number:06}" for number in range(200_000, 200_001 + ABOVE)]
SOMEBODY_ELSE = "Another person has to approve it"


class Approval(ConsoleTest):
    """A deployment in which lists of more than twenty people need an approval."""

    def setUp(self):
        """Deploys the limit."""
        super().setUp()
        self.enterContext(self.stack.deployed_with("Api", APPROVAL_ABOVE=str(ABOVE)))

    def waiting(self):
        """Creates a schedule that waits for an approval; returns it."""
        made = self.schedule(recipients=LONG, message="Dear customer, doors open at 8")
        self.assertEqual(made["status"], "awaiting-approval")
        return made

    def button(self, name, page=None):
        """Returns a button of the page, not of its dialog."""
        return (page or self.page).get_by_role("main").get_by_role("button", name=name, exact=True)

    def approve(self):
        """Approves what the page shows."""
        self.button("Approve").click()
        self.dialog().get_by_role("button", name="Approve").click()

    def test_a_long_list_is_sent_after_another_person_has_approved_it(self):
        self.log_in("operator", "send")
        name = f"Doors {secrets.token_hex(4)}"
        content = "phone,name\n" + "\n".join(f"{phone},Person {phone[-2:]}" for phone in LONG)
        file = {"name": "long.csv", "mimeType": "text/csv", "buffer": content.encode()}
        self.page.get_by_label("File with the list").set_input_files(files=[file])
        self.page.get_by_label("Text", exact=True).fill("Dear {{name}}, doors open at 8")
        self.page.get_by_label("Name", exact=True).fill(name)
        self.page.get_by_role("button", name="Upload and check").click()
        self.page.get_by_role("button", name="Send to 21 people …").click()
        self.dialog().get_by_role("button", name="Send to 21 people").click()
        expect(self.page.get_by_text("Awaiting approval", exact=True).first).to_be_visible()
        # Its author reads what is awaited, and cannot approve it.
        expect(self.page.get_by_text(SOMEBODY_ELSE)).to_be_visible()
        expect(self.button("Approve")).to_have_count(0)
        expect(self.button("Reject")).to_have_count(0)
        address = re.search(r"schedules/[^?/]+$", self.page.url)[0]
        other = self.another_person("operator", address)
        self.heading(name, other)
        expect(other.get_by_text("People in the list: 21.")).to_be_visible()
        table = other.get_by_role("region", name="The first texts")
        expect(table).to_contain_text("Dear Person 00, doors open at 8")
        expect(other.get_by_text("Hash of text, times and list").locator("code")).to_have_text(
            re.compile("^[0-9a-f]{64}$")
        )
        self.assert_accessible_everywhere(other)
        # The keyboard is enough.
        self.reach(self.button("Approve", other), other)
        other.keyboard.press("Enter")
        expect(self.dialog(other)).to_contain_text("21 people are sent to")
        self.assert_accessible(other)
        self.reach(self.dialog(other).get_by_role("button", name="Approve"), other)
        other.keyboard.press("Enter")
        expect(other.get_by_text("The schedule is now: Scheduled.")).to_be_visible()
        # The author sees it go out.
        expect(self.page.get_by_text("Sent to 21 of 21 people.")).to_be_visible(timeout=120_000)

    def test_a_change_voids_the_approval_and_the_page_says_so(self):
        made = self.waiting()
        self.log_in("operator", f"schedules/{made['id']}")
        self.approve()
        expect(self.page.get_by_text("The schedule is now: Scheduled.")).to_be_visible()
        self.change(made, "Doors open at 9")
        expect(
            self.page.get_by_text("It was approved before, and has been changed")
        ).to_be_visible()
        table = self.page.get_by_role("region", name="The first texts")
        expect(table).to_contain_text("Doors open at 9")
        self.assert_accessible()
        self.assertEqual(self.state(made), "awaiting-approval")
        self.approve()
        expect(self.button("Pause")).to_be_visible()
        self.assertEqual(self.state(made), "scheduled")

    def test_a_change_while_the_dialog_is_open_is_not_approved(self):
        made = self.waiting()
        self.log_in("admin", f"schedules/{made['id']}")
        self.button("Approve").click()
        self.change(made, "Send your password to 12345")
        # The page has read the change already, and the person has not.
        table = self.page.get_by_role("region", name="The first texts", include_hidden=True)
        expect(table).to_contain_text("Send your password")
        self.dialog().get_by_role("button", name="Approve").click()
        expect(self.dialog().get_by_role("alert")).to_contain_text("have changed since")
        self.assertEqual(self.state(made), "awaiting-approval")
        self.dialog().get_by_role("button", name="Back").click()
        expect(self.page.get_by_text("have changed while this page was open")).to_be_visible()
        self.approve()
        expect(self.page.get_by_text("The schedule is now: Scheduled.")).to_be_visible()

    def test_a_rejected_list_is_a_draft_with_the_reason(self):
        made = self.waiting()
        self.log_in("operator", "schedules")
        self.page.get_by_label("State").select_option(label="Awaiting approval")
        expect(self.page.get_by_text("Needs attention: Awaiting approval").first).to_be_visible()
        self.page.get_by_role("link", name=made["name"]).click()
        self.button("Reject").click()
        # A rejection without a reason helps nobody.
        self.dialog().get_by_role("button", name="Reject").click()
        expect(self.dialog()).to_be_visible()
        self.assertEqual(self.state(made), "awaiting-approval")
        self.assert_accessible()
        self.dialog().get_by_label("Reason").fill("The date is wrong")
        self.dialog().get_by_role("button", name="Reject").click()
        expect(self.page.get_by_text("The schedule is now: Draft.")).to_be_visible()
        expect(self.page.get_by_text("The date is wrong")).to_be_visible()
        self.assertEqual(self.state(made), "draft")
        # Whoever opens the draft reads why, and can send it again.
        self.open(f"send/{made['id']}")
        expect(self.page.get_by_text("Reason: The date is wrong")).to_be_visible()
        expect(self.page.get_by_role("button", name="Send to 21 people …")).to_be_visible()
        self.assert_accessible()

    def test_a_viewer_sees_what_waits_without_buttons(self):
        made = self.waiting()
        self.log_in("viewer", f"schedules/{made['id']}")
        expect(self.page.get_by_text(SOMEBODY_ELSE)).to_be_visible()
        self.assert_no_buttons("Download", "Download the report (CSV)")

    def change(self, made, text):
        """Changes the text of a schedule, as its author."""
        self.stack.call("PATCH", f"/v1/schedules/{made['id']}", {"message": text})
