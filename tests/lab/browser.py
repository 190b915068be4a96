"""pgAdmin as a person sees it: Debian's Chromium, without a window, driven by playwright."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Playwright, ViewportSize, expect

from pgaas_lab import packages

CHROMIUM = "/usr/bin/chromium"
# Without these, Chromium looks for Google's hosts at every start.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE = ViewportSize(width=1280, height=800)
# A busy machine draws pgAdmin's tree in its own time.
PATIENCE = 90_000


def ensure_installed() -> None:
    """Install Debian's Chromium, and what gives it a root to trust, if they are not there."""
    wanted = {CHROMIUM: "chromium", "certutil": "libnss3-tools"}
    if missing := [package for program, package in wanted.items() if packages.which(program) is None]:
        packages.install(missing)


FORGET, ALL_TOOLS = "/settings/delete_application_state/", {"trans_ids": [None]}


@contextmanager
def chromium(
    playwright: Playwright, folder: Path, hosts: Mapping[str, str], root: Path | None = None
) -> Iterator[Browser]:
    """Start a browser with a home of its own, which trusts a root and finds some names at some addresses."""
    ensure_installed()
    store = folder / ".pki" / "nssdb"
    store.mkdir(parents=True)
    words: list[tuple[str, ...]] = [("-N", "--empty-password")]
    words += [("-A", "-t", "C,,", "-n", "datacenter", "-i", str(root))] if root else []
    for each in words:
        subprocess.run(["certutil", "-d", f"sql:{store}", *each], check=True)
    rules = ", ".join(f"MAP {name} {address}" for name, address in hosts.items())
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[*QUIET, f"--host-resolver-rules={rules}"],
        env={**os.environ, "HOME": str(folder)},
    )
    try:
        yield browser
    finally:
        browser.close()


@dataclass(frozen=True)
class Outcome:
    """What the query tool shows: the rows, or the message."""

    rows: list[list[str]]
    message: str


@dataclass(frozen=True)
class Pgadmin:
    """One person in front of one pgAdmin, with one group of servers."""

    page: Page
    group: str

    def servers(self) -> list[str]:
        """Return the servers of the group, as the tree shows them."""
        self._open(self.group, f"{self.group}: ")
        texts = self._label(f"{self.group}: ").all_inner_texts()
        return sorted({text.strip().removeprefix(f"{self.group}: ") for text in texts})

    def open_server(self, name: str) -> None:
        """Connect to a shared server; a prompt of any kind fails the test."""
        self.servers()
        self._open(f"{self.group}: {name}", "Databases")
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def query(self, database: str, sql: str) -> Outcome:
        """Run SQL in a new query tool on a database of the server that is open."""
        self._open("Databases", database)
        self._label(database).first.click()
        before = self.page.locator("iframe").count()
        self._menu("Tools", "Query Tool")
        expect(self.page.locator("iframe")).to_have_count(before + 1, timeout=PATIENCE)
        tool = self.page.frame_locator("iframe").last
        editor = tool.locator(".cm-content").first
        expect(editor).to_be_editable(timeout=PATIENCE)
        editor.click()
        self.page.keyboard.insert_text(sql)
        self.page.keyboard.press("F5")
        cells = tool.locator(".rdg-row [role=gridcell]")
        refused = tool.get_by_text("SQL state:")
        expect(cells.first.or_(refused)).to_be_visible(timeout=PATIENCE)
        if refused.count():
            return Outcome([], refused.input_value())
        rows = [
            # The first cell is the row's number.
            row.locator("[role=gridcell]").all_inner_texts()[1:]
            for row in tool.locator(".rdg-row").all()
        ]
        return Outcome(rows, "")

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask pgAdmin something as its own pages do, with this person's session; return status and answer."""
        asked = {"method": method, "path": path, "body": None if body is None else json.dumps(body)}
        status, text = self.page.evaluate(
            """async ({method, path, body}) => {
                const headers = {
                    'Content-Type': 'application/json',
                    [window.pgAdmin.csrf_token_header]: window.pgAdmin.csrf_token,
                };
                const answer = await fetch(path, {method, headers, body});
                return [answer.status, await answer.text()];
            }""",
            asked,
        )
        return status, json.loads(text)

    def leave(self, url: str) -> None:
        """Go, and leave no query tool behind.

        pgAdmin opens again what was open when the person left, with connections to where the primary was. A
        tool that is open saves itself again, so its page goes first.
        """
        context = self.page.context
        token = self.page.evaluate("[window.pgAdmin.csrf_token_header, window.pgAdmin.csrf_token]")
        self.page.close()
        page = context.new_page()
        page.goto(f"{url}misc/ping")
        page.evaluate(
            """async ([[header, token], path, body]) => {
                const headers = {'Content-Type': 'application/json', [header]: token};
                await fetch(path, {method: 'DELETE', headers, body});
            }""",
            [token, FORGET, json.dumps(ALL_TOOLS)],
        )

    def edit(self, name: str, **changes: str) -> str:
        """Change this person's own copy of a server, and return what connecting with it comes to.

        An empty text is a connection.
        """
        group, server = self._numbers(name)
        self.call("DELETE", f"/browser/server/connect/{group}/{server}")
        status, answer = self.call("PUT", f"/browser/server/obj/{group}/{server}", changes)
        assert status == 200, answer
        status, answer = self.call("POST", f"/browser/server/connect/{group}/{server}", {})
        return "" if status == 200 else str(answer["errormsg"] or answer)

    def everything(self) -> dict[str, list[str]]:
        """Return all servers that this person sees, by their group; empty groups are left out."""
        groups = self.call("GET", "/browser/nodes/")[1]["data"]
        found = {
            group["label"]: [
                server["label"]
                for server in self.call("GET", f"/browser/server_group/children/{group['_id']}")[1]["data"]
            ]
            for group in groups
        }
        return {group: servers for group, servers in found.items() if servers}

    def _numbers(self, name: str) -> tuple[int, int]:
        for group in self.call("GET", "/browser/nodes/")[1]["data"]:
            for server in self.call("GET", f"/browser/server_group/children/{group['_id']}")[1]["data"]:
                if server["label"] == f"{self.group}: {name}":
                    return group["_id"], server["_id"]
        raise AssertionError(f"no server {name} in {self.group}")

    def _menu(self, menu: str, entry: str) -> None:
        bar = self.page.locator("[data-test=app-menu-bar]")
        bar.get_by_role("button", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=entry).click()

    def _open(self, parent: str, child: str) -> None:
        """Open an entry of the tree, if what is below it does not show yet."""
        below = self._label(child).first
        if below.count() == 0:
            self._label(parent).first.dblclick(timeout=PATIENCE)
            expect(below).to_be_visible(timeout=PATIENCE)

    def _label(self, text: str) -> Locator:
        """Return an entry of the tree, with or without the number of those below it; "x: " is any of x."""
        end = "" if text.endswith(": ") else r"\s*(\(\d+\))?$"
        return self.page.locator(".file-label", has_text=re.compile(rf"^\s*{re.escape(text)}{end}"))


def log_in(page: Page, url: str, person: str, password: str, group: str) -> Pgadmin:
    """Log in, and return pgAdmin as this person sees it."""
    refusal = try_to_log_in(page, url, person, password)
    assert refusal == "", refusal
    found = Pgadmin(page, group)
    # What a run that was cut off left.
    found.call("DELETE", FORGET, ALL_TOOLS)
    page.reload()
    expect(page.get_by_text(f"{person} (ldap)")).to_be_visible(timeout=PATIENCE)
    return found


def try_to_log_in(page: Page, url: str, person: str, password: str) -> str:
    """Log in, and return why it is refused, or an empty text."""
    page.goto(url)
    page.locator("input[name=email]").fill(person)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Login").click()
    inside = page.get_by_text(f"{person} (ldap)")
    message = page.get_by_role("button", name="Close Message")
    expect(inside.or_(message)).to_be_visible(timeout=PATIENCE)
    return "" if inside.count() else message.locator("xpath=..").inner_text().strip()
