from __future__ import annotations

from dataclasses import replace

import pytest

from chromium import INSTALL, Browser, find_chromium
from fakes.recorded_runs import VARIANTS, Setting, about, begin, memory, record_case, record_history, record_run
from harness.report.content import compose
from harness.report.page import render_page
from harness.store import Run, load_results

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_chromium() is None, reason=INSTALL)]

# What sticks out of the window, but for what stands in a box that scrolls by itself.
_STICKS_OUT = """
Array.from(document.querySelectorAll("body *"))
  .filter((node) => !node.closest(".scroll") || node.matches(".scroll"))
  .filter((node) => { const box = node.getBoundingClientRect(); return box.right > innerWidth + 1 || box.left < -1; })
  .map((node) => node.tagName + " " + node.textContent.trim().slice(0, 60))
"""
_PLOTS = """
Array.from(document.querySelectorAll("svg.plot")).map((plot) => {
  const box = plot.getBoundingClientRect();
  const texts = Array.from(plot.querySelectorAll("text"), (text) => text.getBoundingClientRect());
  return {
    title: plot.querySelector("title").textContent, width: box.width, height: box.height, texts: texts.length,
    size: Math.min(...texts.map((text) => text.height)),
    collide: texts.filter((a, i) => texts.slice(i + 1).some((b) =>
      Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)).length,
    outside: texts.filter((text) => text.left < box.left - 2 || text.right > box.right + 2).length,
  };
})
"""
_UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
#: Tables of which one has to be scrolled to be read.
_CUT = "Array.from(document.querySelectorAll('.scroll')).filter((one) => one.scrollWidth > one.clientWidth + 1).length"
_COLUMN = """(table, column) => Array.from(document.querySelectorAll("table.sortable")[table].tBodies[0].rows,
  (row) => row.cells[column].firstChild.firstChild.textContent)"""
_CLICK = """(table, column) =>
  document.querySelectorAll("table.sortable")[table].querySelectorAll("th button")[column].click()"""
# Contrast of each text with the paper, by https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
_CONTRAST = """
(() => {
  const channels = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (color) => {
    const linear = (c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = channels(color).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return Array.from(document.querySelectorAll("p, dd, dt, td, th, h1, h2, h3, h4, figcaption, svg text"), (node) => {
    const style = getComputedStyle(node);
    const ink = light(node.closest("svg") ? style.fill : style.color);
    const [a, b] = [Math.max(ink, paper), Math.min(ink, paper)];
    return [(a + 0.05) / (b + 0.05), node.textContent.trim().slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5);
})()
"""


@pytest.fixture(scope="module")
def browser():
    with Browser(find_chromium()) as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of one run, one of several, and one whose names are long, odd and hostile."""
    folder = tmp_path_factory.mktemp("browser")
    record_run(folder / "one", setting=Setting(layers=True))
    record_history(folder / "many", [{}] * 6 + [{"int8": 1.05}] * 6, Setting(samples=20))
    record_run(
        folder / "many", setting=Setting(backend="hardware", device="nano33-a", energy_uj=9, power_source="ppk2")
    )
    odd = Setting(samples=40, device="<b>device</b>" + "x" * 60)
    with Run.create(folder / "odd", about(odd)) as run:
        for made in VARIANTS[:3]:
            record_case(run, replace(made, name=f"{made.name}<i>{'long_' * 12}", technique="y" * 120), odd)
        reason = "z" * 300 + "<script>document.title = 'broken'</script>"
        begin(run, VARIANTS[3], odd).finish(status="failed", reason=reason, **memory(VARIANTS[3]))
    found = {}
    for name in ("one", "many", "odd"):
        found[name] = folder / f"{name}.html"
        found[name].write_text(render_page(compose(load_results(folder / name))), encoding="utf-8")
    return found


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", ["one", "many", "odd"])
def test_nothing_sticks_out_and_every_plot_can_be_read(browser, pages, name, width):
    browser.open(pages[name], width)
    if name == "one":
        assert browser.evaluate("document.documentElement.scrollHeight") < (4000 if width < 500 else 1600)
    browser.evaluate(_UNFOLD)
    assert browser.complaints() == []
    assert width > 500 or browser.evaluate(_CUT) == 0
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(_STICKS_OUT) == []
    plots = browser.evaluate(_PLOTS)
    assert len(plots) >= 4
    for plot in plots:
        assert plot["width"] > 300, plot
        assert plot["height"] > 60, plot
        assert plot["texts"] > 2, plot
        assert plot["outside"] == 0, plot
        assert plot["size"] >= 13, plot  # of letters of 11.5 pixels
        assert plot["collide"] == 0, plot


@pytest.mark.parametrize("name", ["one", "many"])
def test_it_fits_on_a_printed_page_of_a4_and_prints_light(browser, pages, name):
    browser.open(pages[name], 718, dark=True, paper=True)  # 190 mm at 96 pixels an inch
    assert (
        browser.evaluate("document.querySelector('svg.plot').getBoundingClientRect().height") > 60
    )  # nothing is folded
    assert browser.evaluate("document.documentElement.scrollWidth") <= 718
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_the_paper(browser, pages, dark):
    browser.open(pages["many"], 1280, dark=dark)
    browser.evaluate(_UNFOLD)
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not dark
    assert browser.evaluate(_CONTRAST) == []


def test_a_click_sorts_a_table_by_its_figures_and_the_next_one_turns_it_round(browser, pages):
    browser.open(pages["one"], 1280)
    before = browser.evaluate(f"({_COLUMN})(0, 4)")
    figures = sorted(float(text.replace(",", "")) for text in before)
    for expected in (figures, figures[::-1]):
        browser.evaluate(f"({_CLICK})(0, 4)")
        assert [float(text.replace(",", "")) for text in browser.evaluate(f"({_COLUMN})(0, 4)")] == expected
    browser.evaluate(f"({_CLICK})(0, 0)")
    names = browser.evaluate(f"({_COLUMN})(0, 0)")
    assert names == sorted(names)
    assert before != [f"{figure:,.0f}" for figure in figures]


def test_what_was_not_measured_is_sorted_last_both_ways(browser, pages):
    browser.open(pages["odd"], 1280)
    for _ in range(2):
        browser.evaluate(f"({_CLICK})(0, 2)")
        assert browser.evaluate(f"({_COLUMN})(0, 2)")[-1] == "\N{EN DASH}"


def test_hostile_names_run_nothing(browser, pages):
    browser.open(pages["odd"], 1280)
    assert browser.evaluate("document.title").startswith("fashion_mnist on <b>device</b>")
    assert browser.evaluate("document.querySelectorAll('main b, main i, main script').length") == 0


def test_it_reads_without_scripts(browser, pages):
    browser.open(pages["one"], 1280, scripts=False)
    assert browser.evaluate("document.querySelectorAll('th button').length") == 0
    assert browser.evaluate("document.querySelectorAll('table.sortable th')[0].textContent") == "variant"
