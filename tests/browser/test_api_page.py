"""The page of the HTTP API in a browser: every route, under its policy; a key is asked for where one is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect
from support.site_without_ray import Site, site_of

from serve_app.access import keys


@contextmanager
def reading(browser: Browser, url: str, *, expected: tuple[str, ...] = ()) -> Iterator[Page]:
    """The page at /docs; what it breaks of its policy, and any other error, fails the test."""
    errors: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{url}/docs")
    yield page
    page.close()
    assert [error for error in errors if not any(known in error for known in expected)] == []


def described(site: Site, key: str = "") -> int:
    """How many routes the server describes as OpenAPI."""
    answer = httpx.get(f"{site.url}/openapi.json", headers={"Authorization": f"Bearer {key}"} if key else {})
    return sum(len(operations) for operations in answer.raise_for_status().json()["paths"].values())


def test_every_route_is_shown_with_its_fields_and_an_example(browser: Browser) -> None:
    with site_of() as site, reading(browser, site.url) as page:
        expect(page.locator("article")).to_have_count(described(site))
        speech = page.locator("article", has_text="POST /v1/audio/speech")
        expect(speech).to_contain_text("response_format")
        expect(speech).to_contain_text("from 0.5 to 2")
        expect(speech.locator("pre")).to_contain_text("curl -d")
        page.get_by_role("link", name="POST /v1/audio/speech").click()
        expect(speech).to_be_in_viewport()
        expect(page.locator("#key")).to_be_hidden()
        expect(page.get_by_role("link", name="The same as OpenAPI")).to_have_attribute("href", "openapi.json")


def test_a_server_with_keys_is_asked_for_one_once(browser: Browser, tmp_path: Path) -> None:
    secret, made = keys.make("school")
    file = tmp_path / "keys.txt"
    file.write_text(f"{made.line}\n")
    with site_of(keys_file=file) as site, reading(browser, site.url, expected=("401",)) as page:
        field = page.locator("#key-field")
        field.fill("parle_wrong")
        field.press("Enter")
        expect(page.locator("#key-wrong")).to_be_visible()
        expect(page.locator("article")).to_have_count(0)
        field.fill(secret)
        page.get_by_role("button", name="Show").click()
        expect(page.locator("article")).to_have_count(described(site, secret))
        kept = page.evaluate("() => JSON.stringify({...localStorage})")
        assert "parle.token" in kept
        assert secret not in kept + page.content()
        page.reload()
        expect(page.locator("article")).to_have_count(described(site, secret))
        expect(page.locator("#key")).to_be_hidden()
