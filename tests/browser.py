"""Debian's Chromium, without a window and without a network."""

import shutil
from contextlib import contextmanager

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


@contextmanager
def opened(file, **context):
    """A page of `file`, from disk; `told` collects what its console says and what it asks a network for."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            page = browser.new_context(offline=True, **context).new_page()
            page.told = []
            page.on("console", lambda message: page.told.append(message.text))
            page.on("pageerror", lambda error: page.told.append(str(error)))
            page.on(
                "request", lambda asked: asked.url[:5] in ("file:", "data:", "blob:") or page.told.append(asked.url)
            )
            page.set_default_timeout(60_000)
            page.goto(file.resolve().as_uri())
            page.locator(".chart:not([data-drawn])").first.wait_for(state="detached")  # until every chart is drawn
            yield page
        finally:
            browser.close()


def serious_faults(page):
    """What axe-core holds to be serious on a page opened with `bypass_csp`, what is folded away included."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.querySelectorAll('details').forEach(folded => { folded.open = true })")
    found = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:300]}" for one in found]
