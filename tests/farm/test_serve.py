"""The server of the status page: what it shows to whom, and that hostile requests and strings get nowhere."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import socket
import sys
import threading
import time
from datetime import datetime
from html.parser import HTMLParser
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from urllib.parse import quote

import pytest

from fakes.made_farm import REPORT, Farm, finish, put
from harness.errors import ConfigError
from harness.farm.door import Door, choose_token, is_loopback
from harness.farm.serve import _FULL, _IDLE_S, Server
from harness.farm.watch import Watch

KEY = "correct-horse-battery-staple"
EVERYWHERE = "0.0.0.0"  # noqa: S104
HIDDEN = "the secret of another file"
EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>\x1b[31m'
GET = b"GET / HTTP/1.0\r\nHost: localhost:%d\r\n\r\n"
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\n\r\n"


@contextlib.contextmanager
def serving(farm, token=None, host="127.0.0.1", **more):
    with Server(Watch(farm.lab, farm.results), host, 0, token, **more) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def farm(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "here")
    monkeypatch.setenv("HIL_USER", "anna")
    monkeypatch.setenv("HIL_LEASES", str(tmp_path / "leases"))
    monkeypatch.setattr("harness.farm.watch._SLOW_PATIENCE_S", 60.0)  # nothing is "not known yet" on a busy computer
    made = Farm(tmp_path / "farm")
    yield made
    made.close()


@pytest.fixture
def server(farm):
    with serving(farm) as made:
        yield made


@pytest.fixture
def locked(farm):
    with serving(farm, KEY) as made:
        yield made


def exchange(server, raw, *, timeout_s=60.0):
    """Send bytes and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.door.port), timeout=timeout_s) as connection:
        connection.sendall(raw)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(1 << 16):
                got += chunk
    return got


def ask(server, path, *, method="GET", headers=(), host=None, body=b""):
    """Return status, headers (by lower-case name) and body of an answer; the path is sent as it is."""
    own = f"localhost:{server.door.port}" if host is None else host
    lines = [f"{method} {path} HTTP/1.1", *([f"Host: {own}"] if own else []), *headers]
    got = exchange(server, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
    head, _, rest = got.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    found = dict(field.split(": ", 1) for field in fields)
    return int(first.split()[1]), {name.lower(): value for name, value in found.items()}, rest


# ---- what is shown


def test_the_first_page_shows_boards_nights_and_runs(farm, server):
    farm.hold("bench-1", "pytest suites/")
    run = farm.run()
    finish(farm.night("2026-11-20", run=run), farm.now)
    status, headers, body = ask(server, "/")
    page = body.decode()
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    for words in (
        "All is well",
        "9 boards: 7 free, 1 held, 1 elsewhere.",
        "anna: pytest suites/",
        "2026-11-20",
        run.name,
        "passed",
    ):
        assert words in page
    assert f'href="/reports/{run.name}/"' in page
    assert '<meta http-equiv="refresh" content="10">' in page
    assert "http-equiv" not in ask(server, "/?still")[2].decode()


def test_each_board_and_night_has_a_page(farm, server):
    farm.events("bench-1", "..x.")
    finish(farm.night("2026-11-20", run=farm.run(reason="too slow")), farm.now, summary="one\n  two\n")
    board, night = (ask(server, path) for path in ("/board/bench-1", "/night/2026-11-20"))
    assert (board[0], night[0]) == (200, 200)
    assert "LinkError: no answer within 5 s" in board[2].decode()
    assert "too slow" in night[2].decode()
    assert "one\n  two\n" in night[2].decode()


def test_the_same_is_there_as_json(farm, server):
    farm.events("bench-1", "....")
    status, headers, body = ask(server, "/status.json")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["boards"][0]["health"]["ok"] == 4


def test_reports_of_runs_and_nights_are_shown_in_a_sandbox(farm, server):
    run = farm.run()
    finish(farm.night("2026-11-20", run=run), farm.now)
    for path in (f"/reports/{run.name}/", "/night/2026-11-20/report"):
        status, headers, body = ask(server, path)
        assert (status, body.decode()) == (200, REPORT)
        assert "sandbox allow-scripts" in headers["content-security-policy"]
        assert "allow-same-origin" not in headers["content-security-policy"]


def test_it_says_that_it_lives_and_where_its_style_is(server):
    assert ask(server, "/healthz")[2] == b"ok\n"
    assert ask(server, "/style.css")[1]["content-type"] == "text/css; charset=utf-8"


def test_every_answer_has_strict_headers(farm, server):
    run = farm.run()
    paths = ("/", "/status.json", "/style.css", "/healthz", "/none", f"/reports/{run.name}/", "/board/bench-1")
    for headers in (*(ask(server, path)[1] for path in paths), ask(server, "/", host="evil.example")[1]):
        assert headers["content-security-policy"].startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "python" not in headers["server"].lower()
    assert "script-src" not in ask(server, "/")[1]["content-security-policy"]


def test_head_has_no_body(server):
    status, headers, body = ask(server, "/", method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 1000


def test_it_speaks_ipv6(farm):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        with serving(farm, host="::1") as made:
            connection = HTTPConnection("::1", made.door.port, timeout=60)
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b"ok\n"
            connection.close()
            assert made.url == f"http://[::1]:{made.door.port}/"
    except ConfigError as error:
        pytest.skip(str(error))


class Outline(HTMLParser):
    """What a screen reader needs of a page: language, title, headings, tables with columns and the cells' labels."""

    def __init__(self, page):
        super().__init__()
        self.lang, self.title, self.headings, self.tables, self._inside = None, "", [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        about, self._inside = dict(attrs), tag
        if tag == "html":
            self.lang = about["lang"]
        elif tag in ("h1", "h2", "h3"):
            self.headings.append(tag)
        elif tag == "table":
            self.tables.append((about["aria-label"], [], []))
        elif tag == "th" and about["scope"] == "col":
            self.tables[-1][1].append("")
        elif tag in ("th", "td"):
            assert about["role"] == ("cell" if tag == "td" else "rowheader")
            self.tables[-1][2].append(about.get("data-label"))

    def handle_data(self, data):
        if self._inside == "title":
            self.title += data
        elif self._inside == "th" and self.tables and not self.tables[-1][2]:
            self.tables[-1][1][-1] += data

    def handle_endtag(self, tag):
        self._inside = ""


def test_a_screen_reader_finds_its_way(farm, server):
    farm.events("bench-1", "..x.")
    farm.reserve("bench-1", "ben", "", after_h=1)
    farm.book.quarantine("bench-1", "loose", "carla")
    finish(farm.night("2026-11-20", run=farm.run()), farm.now)
    put(farm.night("2026-11-21", age_h=1) / "hosts" / "here.json", {"boards": {"bench-1": {"state": "measuring"}}})
    expected = {"/": 4, "/board/bench-1": 3, "/night/2026-11-20": 1, "/night/2026-11-21": 2, "/nothing": 0}
    for path, tables in expected.items():
        found = Outline(ask(server, path)[2].decode())
        assert (found.lang, found.headings.count("h1"), len(found.tables)) == ("en", 1, tables)
        assert found.headings[0] == "h1"
        assert len(found.title) > 5
        for label, columns, cells in found.tables:
            assert label
            assert all(columns)
            assert len(cells) % len(columns) == 0
            assert cells == [None, *columns[1:]] * (len(cells) // len(columns)), label
            assert len(cells) >= len(columns)


def test_every_page_says_when_it_was_drawn_with_day_and_zone(farm, server):
    finish(farm.night("2026-11-20", run=farm.run()), farm.now)
    for path in ("/", "/?still", "/board/bench-1", "/night/2026-11-20"):
        assert re.search(r"as it was at \w{3} \d\d \w{3} \d{4} \d\d:\d\d:\d\d \S+", ask(server, path)[2].decode()), path
    page = ask(server, "/")[2].decode()
    assert page.index('href="/?still"') < page.index('href="/board/bench-1"'), (
        "it can be stopped before it moves the focus"
    )


def test_a_run_of_which_a_case_failed_is_not_shown_as_good(farm, server):
    run = farm.run(reason="too slow", report=False)
    finish(farm.night("2026-11-20", run=run), farm.now)
    page = ask(server, "/")[2].decode()
    row = page[page.index(f">{run.name}<") :]
    assert "✕</span> failed" in row
    assert "closed" not in row
    assert '<a href="/night/2026-11-20">night 2026-11-20</a>' in row, "its report is the night's"


def test_progress_that_is_not_known_is_no_bar(farm, server):
    farm.night("2026-11-21", age_h=1)
    page = ask(server, "/night/2026-11-21")[2].decode()
    assert "<strong>? of 6</strong>" in page
    assert "<progress" not in page
    (farm.results / "20261121T010000Z-night0").mkdir()
    assert '<progress max="6" value="0"' in ask(server, "/night/2026-11-21")[2].decode()


def test_a_board_without_a_case_is_not_called_unwell(server):
    page = ask(server, "/board/bench-1")[2].decode()
    assert "No cases yet." in page
    assert "unknown" not in page


def test_a_lab_without_boards_says_what_makes_some(farm):
    put(farm.folder / "devices.yaml", "devices: {}")
    with serving(farm) as empty:
        page = ask(empty, "/")[2].decode()
    assert "<title>no boards yet" in page
    assert f"No board is configured ({farm.folder}/devices.yaml)" in page


@pytest.mark.parametrize(("zone", "when"), [("America/New_York", "0001-01-01"), ("Asia/Tokyo", "9999-12-31")])
def test_no_time_is_too_far_away_to_be_shown(farm, server, monkeypatch, zone, when):
    when = f"{when}T23:00:00+00:00" if when > "5" else f"{when}T00:00:00+00:00"
    farm.book.quarantine("bench-1", "loose", "carla")
    (path,) = (farm.state / "quarantine").glob("bench-1.json")
    put(path, {**json.loads(path.read_text()), "since": when})
    night = farm.night("2026-11-20")
    finish(night, datetime.fromisoformat(when))
    put(night / "plan.json", {"created": when, "deadline": when, "cases": []})
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        pages = {path: ask(server, path) for path in ("/", "/board/bench-1", "/night/2026-11-20", "/status.json")}
    finally:
        monkeypatch.undo()
        time.tzset()
    assert {path: page[0] for path, page in pages.items()} == dict.fromkeys(pages, 200)
    assert f"since {when[:10]} {when[11:16]}+00:00 by carla" in pages["/board/bench-1"][2].decode()


# ---- what is refused


def hidden_files(farm):
    """Put files beside those that may be shown; return the run and the night that they lie in."""
    run = farm.run()
    night = farm.night("2026-11-20", run=run)
    finish(night, farm.now)
    for folder in (farm.folder, farm.results, farm.state, run, night, farm.folder / "outside"):
        put(folder / "secret.txt", HIDDEN)
    put(farm.folder / "outside" / "report.html", HIDDEN)
    put(farm.folder / "report.html", HIDDEN)
    put(farm.results / "report.html", HIDDEN)
    return run


@pytest.mark.parametrize(
    "path",
    [
        "/reports/../secret.txt",
        "/reports/../../secret.txt",
        "/../secret.txt",
        "/reports/RUN/../../secret.txt",
        "/reports/RUN/secret.txt",
        "/reports/RUN/run.json",
        "/reports/RUN",
        "/reports/RUN/report.html",
        "/reports/RUN//",
        "/reports//RUN/",
        "/reports/%2e%2e/",
        "/reports/%2e%2e%2f%2e%2e%2fsecret.txt/",
        "/reports/RUN%2f..%2f..%2fsecret.txt/",
        "/reports/..%5c..%5csecret.txt/",
        "/reports/..\\secret.txt/",
        "/reports/%252e%252e/",
        "/reports/.%00./",
        "/reports/RUN%00/",
        "/reports/RUN%0a/",
        "/reports/./",
        "/reports/../",
        "/reports/%2e/",
        "/reports//",
        "/reports/latest/",
        "/reports/outside/",
        "/reports/%c0%ae%c0%ae/",
        "/reports/ROOT/",
        "/reports/ENCODED/",
        "/night/../report",
        "/night/%2e%2e/report",
        "/night/2026-11-20/../../secret.txt",
        "/night/2026-11-20%2f..%2f../report",
        "/night/2026-11-20/secret.txt",
        "/night/2026-11-20.0/report",
        "/board/%2e%2e%2fquarantine",
        "/board/..",
        "/style.css/../secret.txt",
        "/templates/base.html",
        "http://localhost/secret.txt",
        "file:///etc/passwd",
        "/" + "a/" * 5000,
    ],
)
def test_no_path_leads_out_of_the_list_of_runs_and_nights(farm, server, path):
    run = hidden_files(farm)
    root = str(farm.folder / "outside")
    path = path.replace("RUN", run.name).replace("ROOT", root).replace("ENCODED", quote(root, safe=""))
    status, _, body = ask(server, path)
    assert status == 404
    assert HIDDEN.encode() not in body
    assert b"root:" not in body


def test_the_reports_beside_the_hidden_files_are_shown(farm, server):
    run = hidden_files(farm)
    assert ask(server, f"/reports/{run.name}/")[0] == 200
    assert ask(server, f"/reports/%{ord(run.name[0]):x}{run.name[1:]}/")[0] == 200, "a name can be written in codes"


def test_links_that_lead_elsewhere_are_refused(farm, server):
    hidden_files(farm)
    one, other, third = (farm.run(report=False) for _ in range(3))
    (one / "report.html").symlink_to(farm.folder / "outside" / "report.html")
    (other / "report.html").symlink_to(other / "run.json")
    (third / "report.html").symlink_to(third / "report.html")
    (farm.results / "20990101T000000Z-linked").symlink_to(farm.folder / "outside")
    put(farm.folder / "outside" / "journal.jsonl", "")
    (farm.state / "nights" / "2026-11-19").symlink_to(farm.folder / "outside")
    names = [one.name, other.name, third.name, "20990101T000000Z-linked"]
    assert [ask(server, f"/reports/{name}/")[0] for name in names] == [404] * 4
    assert ask(server, "/night/2026-11-19/report")[0] == 404
    assert "20990101" not in ask(server, "/")[2].decode()


def test_a_name_that_is_no_text_is_shown_by_its_codes_and_leads_to_its_report(farm, server):
    folder = os.fsdecode(b"20990101T000000Z-\xff\xfe\xe2\x80\xae<b>")
    try:
        put(farm.results / folder / "journal.jsonl", "")
    except OSError as error:
        pytest.skip(f"this file system takes names of text only: {error}")
    put(farm.results / folder / "report.html", REPORT)
    put(farm.night("2026-11-21", age_h=1) / "hosts" / os.fsdecode(b"\xff\xe2\x80\xae.json"), {"state": "measuring"})
    page = ask(server, "/")[2].decode()
    assert "20990101T000000Z-\\udcff\\udcfe\\u202e&lt;b&gt;" in page
    assert "<strong>\\udcff\\u202e</strong>" in page
    (path,) = re.findall(r'href="(/reports/[^"]*)"', page)
    assert path == "/reports/20990101T000000Z-%FF%FE%E2%80%AE%3Cb%3E/"
    assert ask(server, path)[2].decode() == REPORT
    assert ask(server, "/status.json")[0] == 200


def test_a_pipe_or_a_folder_is_no_report(farm, server):
    first, second = farm.run(report=False), farm.run(report=False)
    os.mkfifo(first / "report.html")
    (second / "report.html").mkdir()
    assert [ask(server, f"/reports/{run.name}/")[0] for run in (first, second)] == [404, 404]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO", "get"])
def test_only_reading_is_possible(server, method):
    status, headers, _ = ask(server, "/", method=method, headers=["Content-Length: 5"], body=b"hello")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:PORT",
        "localhost",
        "localhost:1",
        "localhost.evil.example:PORT",
        "localhost:PORT.evil.example",
        "127.0.0.1.evil.example:PORT",
        "user@localhost:PORT",
        "[::2]:PORT",
        "0.0.0.0:PORT",
        "",
    ],
)
def test_on_loopback_only_our_own_names_are_answered(server, host):
    status, _, body = ask(server, "/", host=host.replace("PORT", str(server.door.port)))
    assert status == 421
    assert b"board" not in body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_on_loopback_all_our_own_names_are_answered(server, host):
    assert ask(server, "/", host=f"{host}:{server.door.port}")[0] == 200


def test_two_host_headers_are_refused(server):
    assert ask(server, "/", headers=[f"Host: localhost:{server.door.port}"])[0] == 421


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET / FTP/1.0\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"\0\xff\xfe\r\n\r\n", 400),
        (b"a b c d e\r\n\r\n", 400),
    ],
)
def test_what_is_no_reasonable_request_is_refused(server, raw, status):
    assert int(exchange(server, raw).split()[1]) == status
    assert ask(server, "/healthz")[0] == 200


def test_nothing_of_a_request_is_repeated_as_markup(server):
    for path in ("/%3Cscript%3Ealert(1)%3C/script%3E", "/board/<script>alert(1)</script>", "/?<script>"):
        assert b"<script" not in ask(server, path)[2]
    assert b"<script" not in exchange(server, b"<script>alert(1)</script> / HTTP/1.0\r\n\r\n")


def until_well(server):
    """Ask until the server says that it lives: one that is busy says so, and whoever asks slowly is cut off, too."""
    deadline = time.monotonic() + 60
    while not exchange(server, HEALTHZ % server.door.port).endswith(b"\r\n\r\nok\n"):
        assert time.monotonic() < deadline


def test_who_sends_slowly_is_cut_off_and_keeps_nobody_waiting(farm):
    with serving(farm, patience_s=1.0) as server:
        slow = socket.create_connection(("127.0.0.1", server.door.port), timeout=60)
        done = threading.Event()

        def drip():
            with contextlib.suppress(OSError):
                while not done.wait(0.1):
                    slow.sendall(b"G")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            until_well(server)
            with contextlib.suppress(ConnectionResetError):
                assert slow.recv(10) == b"", "it is cut off in the midst of its dripping"
        finally:
            done.set()
            thread.join()
            slow.close()


def read_slowly(server, run):
    """Read a report; return its size as far as it came, how long that took, and the longest time between two reads."""
    with socket.socket() as slow:
        slow.settimeout(60)
        slow.connect(("127.0.0.1", server.door.port))
        slow.sendall(b"GET /reports/%s/ HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (run.name.encode(), server.door.port))
        got, longest, begun = 0, 0.0, time.monotonic()
        last = begun
        with contextlib.suppress(ConnectionResetError):
            while chunk := slow.recv(1 << 20, socket.MSG_WAITALL):
                got += len(chunk)
                time.sleep(0.08)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return got, last - begun, longest


def test_a_large_report_may_take_its_time_on_a_slow_line(farm):
    run, size, patience_s = farm.run(), 32 << 20, 1.0
    (run / "report.html").write_bytes(b"x" * size)
    with serving(farm, patience_s=patience_s) as server:
        for _ in range(20):
            got, took, longest = read_slowly(server, run)
            if longest < 0.7 * patience_s:
                break  # else this computer stood still for so long that a piece may have come too late
    assert got > size
    assert took > 1.5 * patience_s, "it was slower than one piece may be"


def test_who_reads_nothing_is_cut_off(farm):
    run = farm.run()
    (run / "report.html").write_bytes(b"x" * (24 << 20))
    with serving(farm, patience_s=0.5) as server, contextlib.ExitStack() as deaf:
        for _ in range(32):
            one = deaf.enter_context(socket.create_connection(("127.0.0.1", server.door.port)))
            one.sendall(
                b"GET /reports/%s/ HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (run.name.encode(), server.door.port)
            )
        until_well(server)


def test_more_visitors_than_threads_are_told_to_come_again(farm):
    with serving(farm, patience_s=3.0) as server, contextlib.ExitStack() as idle:
        deadline = time.monotonic() + 60
        answers = set()
        while time.monotonic() < deadline and answers != {503, 200}:
            if 503 not in answers:  # the first time, or they had waited for so long that they gave way
                for _ in range(32):
                    idle.enter_context(socket.create_connection(("127.0.0.1", server.door.port)))
            with contextlib.suppress(IndexError, OSError):
                answers.add(int(exchange(server, GET % server.door.port).split()[1]))
    assert answers == {503, 200}, "refused while all threads wait, answered when they have given up"


def test_connections_that_ask_nothing_give_way(farm, monkeypatch):
    monkeypatch.setattr("harness.farm.serve._HANDOVER_S", 60.0)
    with serving(farm, patience_s=600) as server, contextlib.ExitStack() as idle:
        for _ in range(32):
            idle.enter_context(socket.create_connection(("127.0.0.1", server.door.port)))
        deadline = time.monotonic() + 60
        while len(server._waiting) < 32 or time.monotonic() - max(server._waiting.values()) < _IDLE_S:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for _ in range(5):
            assert ask(server, "/healthz")[0] == 200


def test_threads_that_could_not_be_started_take_no_place(server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", io.StringIO())
        patch.setattr(ThreadingMixIn, "process_request", lambda *_: 1 / 0)
        for _ in range(40):
            assert exchange(server, HEALTHZ % server.door.port) == b""
    assert ask(server, "/healthz")[0] == 200


def test_a_page_that_is_drawn_anew_comes_back_after_an_error(server, monkeypatch):
    full = dict(line.split(b": ", 1) for line in _FULL.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:])
    assert full[b"Refresh"] == b"2"
    assert int(full[b"Content-Length"]) == len(_FULL.partition(b"\r\n\r\n")[2])

    def hang(_):
        raise TimeoutError("The folders didn't answer.")

    monkeypatch.setattr(Watch, "status", hang)
    status, headers, body = ask(server, "/")
    assert (status, headers["refresh"], body) == (503, "10", b"The folders didn't answer.\n")
    assert "refresh" not in ask(server, "/none")[1]


def test_an_error_of_ours_is_an_answer_too(server, monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)  # capsys would lose what is written while it is read
    monkeypatch.setattr(Watch, "status", lambda _: 1 / 0)
    status, headers, body = ask(server, "/")
    assert (status, headers["refresh"]) == (500, "10")
    assert b"division" not in body
    assert ask(server, "/healthz")[0] == 200
    deadline = time.monotonic() + 60
    while "ZeroDivisionError" not in said.getvalue():  # the answer comes first
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---- the token


@pytest.mark.parametrize("path", ["/", "/status.json", "/healthz", "/board/bench-1", "/night/x", "/reports/x/", "/x"])
def test_without_the_token_nothing_is_told(farm, locked, path):
    farm.hold("bench-1", HIDDEN)
    for headers in (
        [],
        ["Authorization: Bearer wrong-horse-battery-staple"],
        ["Authorization: Bearer "],
        [f"Authorization: Basic {KEY}"],
        [f"Authorization: Bearer {KEY[:-1]}"],
        [f"Authorization: Bearer {KEY}", f"Authorization: Bearer {KEY}"],
        [f"Cookie: hil_{locked.door.port}=x"],
        [f"Cookie: hil_{locked.door.port}={KEY}"],
        ["Cookie: \xff\xfe=;;;=\x01"],
    ):
        status, found, body = ask(locked, path, headers=headers)
        assert status == 401
        assert found["www-authenticate"].startswith("Bearer")
        assert b"bench" not in body
        assert HIDDEN.encode() not in body


@pytest.mark.parametrize(
    "query",
    ["token=", "token=wrong", "token=wrong&token=TOKEN", "Token=TOKEN", "token=TOKEN%00", "a&" * 50, "token=%ff"],
)
def test_a_wrong_token_opens_nothing(locked, query):
    status, headers, body = ask(locked, f"/?{query.replace('TOKEN', KEY)}")
    assert status == 401
    assert KEY.encode() not in body
    assert (b"That is another token." in body) == (not query.startswith("Token"))
    assert "set-cookie" not in headers


def test_the_token_is_shown_once_and_then_a_cookie_does(locked):
    status, headers, body = ask(locked, f"/board/bench-1?token={KEY}")
    assert (status, headers["location"], body) == (303, "/board/bench-1", b"")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert KEY not in cookie
    assert ask(locked, "/board/bench-1", headers=[f"Cookie: other=1; {cookie}"])[0] == 200
    assert ask(locked, "/board/bench-1", headers=[f"Cookie: {cookie[:-1]}"])[0] == 401


@pytest.mark.parametrize("other", ['theme={"a": 1}', "a=b c", 'x="y', "=z", ";;", "a", "a=\xe9", "hil_1=no"])
def test_cookies_of_other_servers_do_no_harm(locked, other):
    cookie = ask(locked, f"/?token={KEY}")[1]["set-cookie"].partition(";")[0]
    for header in (f"Cookie: {other}; {cookie}", f"Cookie: {cookie}; {other}"):
        assert ask(locked, "/healthz", headers=[header])[0] == 200


def test_programs_send_the_token_in_a_header(locked):
    assert ask(locked, "/healthz", headers=[f"Authorization: Bearer {KEY}"])[0] == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example", "/%5cevil.example"])
def test_the_token_leads_to_no_other_server(locked, path):
    status, headers, _ = ask(locked, f"{path}?token={KEY}")
    assert status == 303
    assert headers["location"].startswith("/")
    assert headers["location"][1] not in "/\\"


def test_a_token_alone_does_not_open_the_page_to_other_names_on_loopback(locked):
    assert ask(locked, "/", host="evil.example", headers=[f"Authorization: Bearer {KEY}"])[0] == 421


def test_who_can_be_reached_by_others_needs_a_token(farm):
    with pytest.raises(ConfigError, match="visitors need a token"):
        Server(Watch(farm.lab, farm.results), EVERYWHERE, 0)
    with serving(farm, KEY, host=EVERYWHERE) as made:
        assert made.url == f"http://here:{made.door.port}/?token={KEY}"
        assert ask(made, "/", host="here")[0] == 401
        assert ask(made, "/healthz", host="here", headers=[f"Authorization: Bearer {KEY}"])[0] == 200


def test_no_host_means_all_of_them(farm):
    with serving(farm, KEY, host="") as made:
        assert made.url == f"http://here:{made.door.port}/?token={KEY}"


def test_a_token_is_made_for_who_can_be_reached_by_others():
    assert choose_token("127.0.0.1", None) is None
    made = {choose_token(host, None) for host in (EVERYWHERE, "::", "192.168.1.5", "bench.example")}
    assert len(made) == 4
    assert min(map(len, made)) >= 32
    for bad in ("short", "with a space in the midst", "ümlaut-ümlaut-ümlaut"):
        with pytest.raises(ConfigError, match="at least 16"):
            choose_token("127.0.0.1", bad)


def test_which_addresses_are_this_computers_own():
    own = ("localhost", "127.0.0.1", "127.8.8.8", "::1")
    others = (EVERYWHERE, "::", "10.0.0.1", "localhost.example", "")
    assert [is_loopback(host) for host in (*own, *others)] == [True] * 4 + [False] * 5


def test_another_loopback_address_goes_by_its_own_name_too():
    assert Door("127.0.0.5", 80, None).asked_by_name(["127.0.0.5"])
    assert not Door("127.0.0.5", 81, None).asked_by_name(["127.0.0.5"])


# ---- where it can't listen


def test_a_port_in_use_is_a_clear_error(farm, server):
    with pytest.raises(ConfigError, match=f"port {server.door.port} of 127.0.0.1 is in use.*--port"):
        Server(Watch(farm.lab, farm.results), "127.0.0.1", server.door.port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no such name", "x" * 300])
def test_an_address_that_is_not_ours_is_a_clear_error(farm, host):
    with pytest.raises(ConfigError, match="can't listen on"):
        Server(Watch(farm.lab, farm.results), host, 0, KEY)


# ---- strings of boards, users and folders


def test_no_string_becomes_markup_or_moves_a_cursor(farm, server, monkeypatch):
    monkeypatch.setenv("HIL_USER", EVIL)
    farm.hold("bench-1", EVIL)
    farm.reserve("bench-2", EVIL, EVIL)
    farm.events("bench-3", "..xxxx", reason=EVIL)
    farm.book.quarantine("bench-3", EVIL, EVIL)
    folder = '"><img src=x onerror=alert(1)>\x1b[31m'
    run = farm.run(name=f"20260101T000000Z-{folder}", reason=EVIL)
    night = farm.night("2026-11-21", run=run, age_h=1)
    doing = {"bench-4": {"state": EVIL, "case": EVIL, "reason": EVIL}, EVIL: EVIL}
    put(night / "hosts" / "here.json", {"host": EVIL, "state": EVIL, "boards": doing})
    finish(farm.night("2026-11-20", run=run), farm.now, state=EVIL, summary=EVIL, exit_code=1)
    paths = ["/", "/board/bench-1", "/board/bench-2", "/board/bench-3", "/night/2026-11-20", "/night/2026-11-21"]
    for path in paths:
        status, _, body = ask(server, path)
        page = body.decode()
        assert status == 200
        assert "\x1b" not in page
        assert "<img" not in page
        assert "<script" not in page
        assert "&lt;img src=x" in page
    assert ask(server, f"/reports/{quote(run.name, safe='')}/")[2].decode() == REPORT
    assert b"\x1b" not in ask(server, "/status.json")[2]
