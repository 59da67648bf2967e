"""What the tests of the console share: the browser, people with roles, and the running stack.

The stack is that of STATE (.local). CONSOLE_FILES=1 serves the console's files from the working
tree instead of the running binary, so that a change needs no build.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
import time
import unittest
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra/local"))

from running_stack import RunningStack  # noqa: E402  (its folder is added above)

FILES = ROOT / "functions/api/src/resources/console/page"
KINDS = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain", ".html": "text/html"}
CHROMIUM = "/usr/bin/chromium"
PASSWORD = "correct horse battery staple"
# The emulator starts a process for each function, and password hashing is slow in a dev build.
TIMEOUT_MS = int(os.environ.get("CONSOLE_TIMEOUT_MS", "30000"))
# What a browser logs of an answer that a test provokes; anything else is an error of the console.
PROVOKED = re.compile(r"Failed to load resource: the server responded with a status of (4\d\d|503)")

expect.set_options(timeout=TIMEOUT_MS)


def code_of(secret):
    """Returns the code that an authenticator app shows now (RFC 6238)."""
    key = base64.b32decode(secret.replace(" ", ""))
    step = (int(time.time()) // 30).to_bytes(8, "big")
    digest = hmac.new(key, step, hashlib.sha1).digest()
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


class Shared:
    """The browser and the stack, started by the first test and used by all."""

    playwright = None
    browser = None
    stack = None

    @classmethod
    def start(cls):
        """Starts the browser."""
        if cls.browser:
            return
        cls.stack = RunningStack(ROOT / os.environ.get("STATE", ".local"))
        # Failed logins of earlier tests from this address would delay those of these tests.
        cls.stack.rows("DELETE FROM login_guards")
        cls.playwright = sync_playwright().start()
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        cls.browser = cls.playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)

    @classmethod
    def stop(cls):
        """Stops the browser."""
        if cls.browser:
            cls.browser.close()
            cls.playwright.stop()
            cls.browser = None


def serve_file(route):
    """Answers a request for a file of the console from the working tree."""
    name = urlsplit(route.request.url).path.rsplit("/", 1)[1]
    file = FILES / name
    if not file.exists():
        route.continue_()
        return
    route.fulfill(body=file.read_bytes(), content_type=f"{KINDS[file.suffix]}; charset=utf-8")


def serve_page(route):
    """Answers with the page of the working tree, and with the headers of the running API."""
    answer = route.fetch()
    headers = dict(answer.headers)
    policy = "content-security-policy"
    headers[policy] = headers[policy].split(", ")[-1]
    text = (FILES / "index.html").read_text().replace("{version}", "working-tree")
    route.fulfill(status=answer.status, headers=headers, body=text)


class ConsoleTest(unittest.TestCase):
    """A test with a browser of its own: no cookies, no files of other tests."""

    scheme = "light"
    viewport = {"width": 1280, "height": 900}

    def setUp(self):
        """Opens a page."""
        Shared.start()
        self.stack = Shared.stack
        self.api = self.stack.values["API_URL"]
        self.context = self.new_context()
        self.page = self.new_page(self.context)

    def tearDown(self):
        """Closes the browser's window; a test fails on any error that the browser has logged."""
        self.context.close()
        self.assertEqual(self.complaints, [])

    def new_context(self):
        """Returns a browser without cookies."""
        context = Shared.browser.new_context(
            viewport=self.viewport,
            color_scheme=self.scheme,
            locale="en-GB",
            timezone_id="Asia/Kuala_Lumpur",
            accept_downloads=True,
        )
        context.set_default_timeout(TIMEOUT_MS)
        if os.environ.get("CONSOLE_FILES"):
            context.route(re.compile(r"/console/[^/]+/[^/]+$"), serve_file)
            context.route(re.compile(r"/console$"), serve_page)
        self.complaints = getattr(self, "complaints", [])
        return context

    def new_page(self, context):
        """Returns a tab whose errors are collected."""
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self.hear)
        return page

    def hear(self, message):
        """Collects what the browser logs as an error, such as a violation of the policy."""
        if message.type == "error" and not PROVOKED.search(message.text):
            self.complaints.append(message.text)

    def person(self, role):
        """Creates an account; returns its name and its temporary password."""
        token = self.stack.administrator()
        body = {"username": f"{role}-{secrets.token_hex(4)}", "role": role}
        made = self.stack.call("POST", "/v1/users", body, token)
        return made["username"], made["temporary_password"]

    def open(self, path="", page=None):
        """Opens a page of the console by its address."""
        (page or self.page).goto(f"{self.api}/console#/{path}")

    def log_in(self, role="operator", path="", page=None):
        """Logs in as a new person, who changes the temporary password."""
        page = page or self.page
        name, temporary = self.person(role)
        self.open(path, page)
        self.enter(name, temporary, page)
        page.get_by_label("New password", exact=True).fill(PASSWORD)
        page.get_by_label("New password again").fill(PASSWORD)
        page.get_by_role("button", name="Change the password and log in").click()
        expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()
        return name

    def another_person(self, role, path):
        """Returns the page of another person, in a browser of its own."""
        context = self.new_context()
        self.addCleanup(context.close)
        page = self.new_page(context)
        self.log_in(role, path, page)
        return page

    def enter(self, name, password, page=None):
        """Enters a name and a password, and sends them."""
        page = page or self.page
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Log in").click()

    def dialog(self, page=None):
        """Returns the open dialog."""
        return (page or self.page).get_by_role("dialog")

    def heading(self, text, page=None):
        """Waits for a page by its heading."""
        expect((page or self.page).get_by_role("heading", level=1, name=text)).to_be_visible()

    def schedule(self, **fields):
        """Creates a schedule with the stack's key; returns it."""
        soon = time.gmtime(time.time() + 3600)
        body = {
            "run_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", soon),
            "message": "Doors open at 8",
            "recipients": ["+60123456789", "+60123456788"],
            "name": f"Doors {secrets.token_hex(4)}",
            **fields,
        }
        return self.stack.call("POST", "/v1/schedules", body)

    def carrier(self, method, changes=None):
        """Reads or changes the behaviour of the simulated carrier."""
        url = self.stack.values["CARRIER_URL"].removesuffix("/api") + "/settings"
        body = changes and json.dumps(changes).encode()
        sent = urllib.request.Request(
            url, body, {"content-type": "application/json"}, method=method
        )
        with urllib.request.urlopen(sent, timeout=10) as answer:
            return json.load(answer)

    def state(self, made):
        """Returns the state of a schedule."""
        return self.stack.call("GET", f"/v1/schedules/{made['id']}")["status"]

    def reach(self, target, page=None):
        """Presses Tab until an element has the focus."""
        for _ in range(80):
            if target.evaluate("element => element === document.activeElement"):
                return
            (page or self.page).keyboard.press("Tab")
        self.fail("the element is not reached with Tab")

    def assert_no_buttons(self, *except_for):
        """Checks that the page has nothing that changes anything."""
        main = self.page.get_by_role("main")
        names = main.get_by_role("button").all_inner_texts()
        self.assertEqual(sorted(set(names)), sorted(except_for))
        expect(main.locator("input[type=file]")).to_have_count(0)

    def downloaded(self, click):
        """Returns the text of the file that a click downloads."""
        with self.page.expect_download() as download:
            click()
        return Path(download.value.path()).read_text(encoding="utf-8")

    def assert_accessible(self, page=None):
        """Checks the page with axe, as it is now."""
        results = Axe().run(
            page or self.page, options=json.loads('{"resultTypes": ["violations"]}')
        )
        found = [
            f"{one['id']}: {node['html']}: {node['failureSummary']}"
            for one in results.response["violations"]
            for node in one["nodes"]
        ]
        self.assertEqual(found, [], "\n".join(found))

    def assert_narrow(self, page=None):
        """Checks that only tables scroll sideways, not the page."""
        wide = (page or self.page).evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        self.assertLessEqual(wide, 0)

    def assert_accessible_everywhere(self, page=None):
        """Checks the page with axe, light and dark, and at the width of a phone."""
        page = page or self.page
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            for viewport in ({"width": 360, "height": 740}, self.viewport):
                with self.subTest(scheme, width=viewport["width"]):
                    page.set_viewport_size(viewport)
                    self.assert_accessible(page)
                    self.assert_narrow(page)
