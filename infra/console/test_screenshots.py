"""The pictures of docs/console.md: small, and renewed with RENEW_SCREENSHOTS=1."""

import os
import time
import unittest

from harness import ROOT, ConsoleTest, expect

FOLDER = ROOT / "docs/images"
NAMES = ("schedules", "schedule", "send", "check", "approval")
LARGEST = 60_000
LIST = "Name;Mobile;City\r\n" + "".join(
    f"{name};012-345 67{at:02};{city}\r\n"
    for at, (name, city) in enumerate(
        [("Ana", "Ipoh"), ("Bo", "Klang"), ("Co", "Muar"), ("Dé", "Penang")], 10
    )
)


class Screenshots(ConsoleTest):
    """Pictures of five pages."""

    viewport = {"width": 900, "height": 680}

    def test_the_pictures_are_there_and_small(self):
        if os.environ.get("RENEW_SCREENSHOTS"):
            self.renew()
        for name in NAMES:
            size = (FOLDER / f"console-{name}.jpg").stat().st_size
            self.assertLessEqual(size, LARGEST, name)

    def renew(self):
        """Takes all pictures again."""
        FOLDER.mkdir(exist_ok=True)
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        numbers = [f"+6012{number:07}" for number in range(2_000_000, 2_000_600)]
        running = self.schedule(
            name="Doors open, concert", recipients=numbers, run_at=soon, rate=20, labels=["concert"]
        )
        self.schedule(name="Rehearsal, concert", recipients=numbers[:40], labels=["concert"])
        paused = self.schedule(
            name="Parking, concert", recipients=numbers[:250], labels=["concert"]
        )
        self.stack.call(
            "POST", f"/v1/schedules/{paused['id']}/pause", {"reason": "The car park is closed"}
        )
        self.log_in("operator", f"schedules/{running['id']}")
        expect(self.page.get_by_text("delivered").first).to_be_visible(timeout=60_000)
        time.sleep(8)
        self.take("schedule")
        self.open("schedules?search=concert")
        expect(self.page.get_by_role("link", name="Parking").first).to_be_visible()
        self.take("schedules")
        self.open("send")
        file = {"name": "members.csv", "mimeType": "text/csv", "buffer": LIST.encode()}
        self.page.get_by_label("File with the list").set_input_files(files=[file])
        self.page.get_by_label("Country of numbers without +").fill("MY")
        text = self.page.get_by_label("Text", exact=True)
        text.fill("Dear {{name}}, doors open at 8 – be early")
        text.scroll_into_view_if_needed()
        self.take("send")
        self.page.get_by_role("button", name="Replace them").click()
        self.page.get_by_label("Name", exact=True).fill("Members, concert")
        self.page.get_by_role("button", name="Upload and check").click()
        expect(self.page.get_by_text("Dear Bo, doors")).to_be_visible()
        self.take("check")
        with self.stack.deployed_with("Api", APPROVAL_ABOVE="500"):
            waiting = self.schedule(
                name="New hall, concert",
                message="The concert is in hall 3. Tickets stay valid.",
                recipients=numbers,
                labels=["concert"],
            )
            self.open(f"schedules/{waiting['id']}")
            expect(self.page.get_by_role("button", name="Reject")).to_be_visible()
            heading = self.page.get_by_role("heading", name="Approval", exact=True)
            heading.evaluate("one => one.scrollIntoView()")
            self.take("approval")

    def take(self, name):
        """Writes a picture of what is visible."""
        self.page.screenshot(path=FOLDER / f"console-{name}.jpg", type="jpeg", quality=60)


if __name__ == "__main__":
    unittest.main()
