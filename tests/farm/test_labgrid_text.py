"""What labgrid-client prints, read back. The texts are those of labgrid 26.0.1."""

from __future__ import annotations

import pytest

from harness.errors import FarmError
from harness.farm.labgrid_text import Resource, parse_bookings, parse_places, parse_resources

PLACES = """\
Place 'bench-1':
  aliases: b1, first
  comment: by the window
acquired: nobody/knows
  acquired: None
  matches:
    not/a/match
  tags: board=nano33, site=lab, a, note=x
  matches:
    host1/bench1/*
    host1/*/NetworkSerialPort/extra -> extra
  acquired: host1/hil-ci-host1-12-0badcafe
  acquired resources:
    host1/bench1/NetworkSerialPort/NetworkSerialPort
    host1/extras/NetworkSerialPort/extra -> extra
  allowed: desk/anna
  created: 2026-01-02 03:04:05.678901
  changed: 2026-01-02 03:04:06.678901
  reservation: ABCDEFGHIJ
Place 'bench-2':
  matches:
  acquired: None
  acquired resources:
  created: 2026-01-02 03:04:05.678901
  changed: 2026-01-02 03:04:05.678901
"""

RESOURCES = """\
Exporter 'host1':
  Group 'bench1' (host1/bench1/*):
    Resource 'port' (host1/bench1/NetworkSerialPort[/port]):
      {'acquired': 'bench-1',
       'avail': False,
       'cls': 'NetworkSerialPort',
       'params': {'extra': {'note': "it's \\n'acquired': None",
                            'proxy_required': False},
                  'speed': 115200}}
Exporter 'host2':
  Group 'g' (host2/g/*):
    Resource 'a' (host2/g/USBDebugger[/a]):
      {'acquired': None, 'avail': True, 'cls': 'USBDebugger', 'params': {}}
"""

RESERVATIONS = """\
Reservation 'AAAAAAAAAA':
  owner: host1/ci
  token: AAAAAAAAAA
  state: allocated
  prio: 2.0
  filters:
    main: board=nano33 site=lab
  allocations:
    main: bench-1
  created: 2026-01-02 03:04:05.678901
  timeout: 2026-01-02 03:05:05.678901
Reservation 'BBBBBBBBBB':
  owner: desk/anna
  token: BBBBBBBBBB
  state: waiting
  filters:
    main: name=bench-1
  created: 2026-01-02 03:04:05.678901
  timeout: 2026-01-02 03:05:05.678901
"""


def test_places_with_tags_matches_holder_and_reservation():
    first, second = parse_places(PLACES)
    assert first.acquired == "host1/hil-ci-host1-12-0badcafe"
    assert first.tags == {"board": "nano33", "site": "lab, a", "note": "x"}
    assert first.matches == ("host1/bench1/*", "host1/*/NetworkSerialPort/extra")
    assert first.acquired_resources == (
        "host1/bench1/NetworkSerialPort/NetworkSerialPort",
        "host1/extras/NetworkSerialPort/extra",
    )
    assert first.reservation == "ABCDEFGHIJ"
    assert (second.name, second.acquired, second.tags, second.matches) == ("bench-2", None, {}, ())


def test_resources_with_who_has_them_and_what_a_text_within_them_says_is_only_text():
    assert parse_resources(RESOURCES) == [
        Resource("host1", "bench1", "NetworkSerialPort", "port", "bench-1", available=False),
        Resource("host2", "g", "USBDebugger", "a", None, available=True),
    ]


def test_a_place_finds_its_resources_as_labgrid_does():
    place = parse_places(PLACES)[0]
    made = [
        Resource("host1", group, kind, name, None, available=True)
        for group, kind, name in (
            ("bench1", "USBDebugger", "x"),
            ("other", "NetworkSerialPort", "extra"),
            ("other", "NetworkSerialPort", "port"),
            ("other", "USBDebugger", "extra"),
        )
    ]
    assert place.resources(made) == made[:2]
    assert place.resources([Resource("host2", "bench1", "USBDebugger", "x", None, available=True)]) == []


def test_reservations_listed_or_as_wait_prints_them():
    first, second = parse_bookings(RESERVATIONS)
    assert (first.token, first.owner, first.state, first.place) == ("AAAAAAAAAA", "host1/ci", "allocated", "bench-1")
    assert first.filters == "board=nano33 site=lab"
    assert (second.state, second.place, second.filters) == ("waiting", None, "name=bench-1")
    waited = "\n".join(line[2:] for line in RESERVATIONS.splitlines() if not line.startswith("Reservation"))
    assert parse_bookings(waited) == [first, second]
    assert parse_bookings("") == []


def test_what_cannot_be_read_is_shown():
    with pytest.raises(FarmError, match=r"place bench-3 without the line acquired.*labgrid 26\.0"):
        parse_places("Place 'bench-3':\n  held: x\n")
    with pytest.raises(FarmError, match=r"resource h/g/r.*nan"):
        parse_resources("Exporter 'h':\n  Group 'g' (h/g/*):\n    Resource 'r' (h/g/c[/r]):\n      {'avail': nan}\n")
    with pytest.raises(FarmError, match="a reservation without token, owner or state"):
        parse_bookings("owner: a\ntoken: b\n")
