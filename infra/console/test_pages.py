"""Every page in both colour schemes and at the width of a phone: axe finds no violation."""

from harness import ConsoleTest, expect

# The pages of the navigation, by their address and their heading.
PAGES = {
    "schedules": "Schedules",
    "send": "Send a list",
    "attention": "Needs attention",
    "messages": "Messages",
    "suppressions": "Opted out",
    "money": "Prices and budgets",
    "people": "People",
    "keys": "API keys",
    "webhooks": "Webhooks",
    "audit": "Audit log",
    "system": "System and carrier",
    "account": "Account",
}


class Pages(ConsoleTest):
    """The pages of an administrator, who sees them all."""

    def test_every_page_is_accessible(self):
        self.open()
        expect(self.page.get_by_label("Password")).to_be_visible()
        self.assert_accessible()
        made = self.schedule(window={"from": "00:00", "to": "24:00", "zone": "Asia/Kuala_Lumpur"})
        self.log_in("admin")
        for path, title in {**PAGES, f"schedules/{made['id']}": made["name"]}.items():
            with self.subTest(path):
                self.open(path)
                self.heading(title)
                expect(self.page.get_by_text("Loading …")).to_have_count(0)
                self.assert_accessible()
                self.assert_narrow()
        self.page.get_by_role("button", name="Pause").click()
        self.assert_accessible()


class DarkPages(Pages):
    """The same in the dark scheme."""

    scheme = "dark"


class PhonePages(Pages):
    """The same at the width of a phone."""

    viewport = {"width": 360, "height": 740}


class Keyboard(ConsoleTest):
    """What a person does who uses no mouse."""

    def test_a_schedule_is_opened_and_paused_with_the_keyboard(self):
        made = self.schedule()
        self.log_in("operator", f"schedules?search={made['name'].replace(' ', '+')}")
        link = self.page.get_by_role("link", name=made["name"])
        expect(link).to_be_visible()
        self.reach(link)
        self.page.keyboard.press("Enter")
        self.heading(made["name"])
        # A screen reader begins at the heading of the page that was opened.
        self.assertEqual(self.page.evaluate("document.activeElement.tagName"), "H1")
        self.reach(self.page.get_by_role("button", name="Pause"))
        self.page.keyboard.press("Enter")
        dialog = self.page.get_by_role("dialog")
        self.reach(dialog.get_by_role("button", name="Pause"))
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_text("The schedule is now: Paused.")).to_be_visible()
