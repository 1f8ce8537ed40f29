"""The site in a real browser, from its files: no string of a board runs, nothing is refused, all fits on a phone."""

from __future__ import annotations

import pytest

from chromium import INSTALL, Browser, find_chromium
from fakes.made_farm import REPORT, Farm, finish, put
from fakes.recorded_runs import VARIANTS, record_run
from harness.farm.site import Site
from harness.report.content import compose
from harness.report.page import render_page
from harness.store import load_results

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_chromium() is None, reason=INSTALL)]

EVIL = '"><img src=x onerror="document.title=1"><script>document.title=2;alert(1)</script>'
LONG = "W" * 200
PATHS = ("index.html", "board/bench-1.html", "board/bench-3.html", "night/2026-11-20.html", "night/2026-11-21.html")

_STICKS_OUT = """
Array.from(document.querySelectorAll("body *"))
  .filter((node) => !node.closest("pre") && getComputedStyle(node).position !== "absolute" && !node.closest("thead"))
  .filter((node) => { const box = node.getBoundingClientRect(); return box.right > innerWidth + 1 || box.left < -1; })
  .map((node) => node.tagName + " " + node.textContent.trim().slice(0, 60))
"""
# Contrast of each text with what is behind it, by https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
_CONTRAST = """
(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const linear = (c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = channels(color).slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (!(channels(color)[3] === 0)) return light(color);
    }
  };
  const texts = Array.from(document.querySelectorAll("body *"))
    .filter((node) => Array.from(node.childNodes).some((child) => child.nodeType === 3 && child.textContent.trim()));
  return texts.map((node) => {
    const [a, b] = [light(getComputedStyle(node).color), behind(node)];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.trim().slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5).concat(texts.length > 20 ? [] : [[0, "hardly any text"]]);
})()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Write the site of a farm whose every string is hostile or long; return its address and the name of a run."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("site")
        patch.setenv("HIL_HOST", "here")
        patch.setenv("HIL_USER", EVIL)
        patch.setenv("HIL_LEASES", str(tmp_path_factory.getbasetemp() / "leases"))  # as during each test
        farm = Farm(folder / "farm")
        farm.hold("bench-1", EVIL)
        farm.hold("bench-2", LONG)
        farm.reserve("bench-1", EVIL, EVIL, after_h=1)
        farm.reserve("bench-2", LONG, LONG)
        farm.events("bench-3", "..xxxx", reason=f"{EVIL} {LONG}")
        farm.book.quarantine("bench-3", f"{EVIL}\x1b[31m", EVIL)
        run = record_run(farm.results, VARIANTS[:3])
        (run / "report.html").write_text(render_page(compose(load_results(run))), encoding="utf-8")
        odd = farm.run(name="20260101T000000Z-\"><img src=x onerror='document.title=3'>", reason=EVIL)
        night = farm.night("2026-11-21", run=odd, age_h=1)
        doing = {"bench-4": {"state": EVIL, "case": EVIL, "reason": LONG}, f"{EVIL}-2": {"state": "measuring"}}
        put(night / "hosts" / "here.json", {"host": EVIL, "state": "measuring", "boards": doing})
        ended = farm.night("2026-11-20", run=odd)
        finish(ended, farm.now, exit_code=1, state=EVIL, summary=f"{EVIL}\n{LONG}")
        script = "<head><script>document.title = 3</script><body onload='document.title = 4'>"
        put(ended / "report.html", REPORT.replace("<head>", script))
        page = Site(farm.lab, farm.results, folder / "a site").write()
        farm.close()
    return page.parent.as_uri() + "/", run.name


@pytest.fixture(scope="module")
def browser():
    with Browser(find_chromium()) as browser:
        yield browser


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dark", [False, True])
def test_no_string_runs_and_nothing_is_refused(site, browser, path, dark, tmp_path):
    browser.open(site[0] + path, 1280, dark=dark)
    assert browser.complaints() == []
    assert browser.evaluate("document.querySelectorAll('script, img, iframe, object, [onerror]').length") == 0
    assert browser.evaluate("document.title.length") > 3
    text = browser.evaluate("document.body.innerText")
    if path in ("index.html", "board/bench-1.html"):
        assert (f"{EVIL}: {EVIL}" if path == "index.html" else f"held by\n{EVIL}") in text.replace(
            "held by ", "held by\n"
        )
    assert '"><img src=x onerror="document.title=1"><script>' in text
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_into_the_window(site, browser, path, width):
    browser.open(site[0] + path, width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(_STICKS_OUT) == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_all_text_can_be_read(site, browser, path, dark, width):
    browser.open(site[0] + path, width, dark=dark)
    assert browser.evaluate(_CONTRAST) == []


def test_tables_stay_tables_for_a_screen_reader_on_a_phone(site, browser):
    browser.open(f"{site[0]}index.html", 360)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    names = [node["name"]["value"] for node in nodes if node["role"]["value"] == "table"]
    assert "Boards" in names
    assert roles.count("rowheader") >= 9
    assert roles.count("columnheader") >= 5


def test_a_board_is_one_click_away_and_back(site, browser):
    browser.open(f"{site[0]}index.html", 1280)
    there = browser.evaluate("document.querySelector('tbody a').href")
    assert there == f"{site[0]}board/bench-1.html"
    browser.open(there, 1280)
    assert browser.evaluate("document.querySelector('.eyebrow a').href") == f"{site[0]}index.html"


def test_a_report_works_and_no_script_of_anybody_else_does(site, browser):
    browser.open(f"{site[0]}report/{site[1]}.html", 1280)
    assert browser.complaints() == []
    assert browser.evaluate("document.querySelectorAll('table.sortable th button').length") > 5, "our script ran"
    browser.evaluate("document.querySelector('table.sortable th button').click()")
    assert browser.evaluate("document.querySelectorAll('th[aria-sort]').length") == 1
    script = "const made = document.createElement('script'); made.textContent = 'document.title = 9'; "
    browser.evaluate(f"{script} document.body.append(made)")
    assert browser.evaluate("document.title") != "9"


def test_a_report_that_somebody_has_replaced_runs_nothing(site, browser):
    browser.open(f"{site[0]}night/2026-11-20.report.html", 1280)
    assert browser.evaluate("document.title") == "A report"
    assert browser.evaluate("document.querySelector('h1').textContent") == "A report"
