"""Answers that aren't those of Renode's Robot server: whatever comes is an error in words, never a traceback."""

from __future__ import annotations

import gzip
import random
import socket
import threading
import xmlrpc.client

import pytest

from harness.boards.renode.rpc import KeywordError, RobotServer
from harness.errors import EmulatorError

PASS = xmlrpc.client.dumps(({"status": "PASS", "return": "0x1\n\n"},), methodresponse=True).encode()
DEEP = b"<value><array><data>" * 3000 + b"</data></array></value>" * 3000


def http(body, head=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def response(value):
    return http(b"<methodResponse><params><param>%b</param></params></methodResponse>" % value)


def member(name, value):
    return b"<member><name>%b</name>%b</member>" % (name, value)


def struct(*members):
    return b"<value><struct>%b</struct></value>" % b"".join(members)


PASSED = member(b"status", b"<value>PASS</value>")


def ask(data):
    """Run a keyword on a server that answers with `data`, and hangs up."""
    ours, theirs = socket.socketpair()

    def serve():
        with theirs:
            request = b""
            while b"</methodCall>" not in request:
                request += theirs.recv(65536)
            theirs.sendall(data)

    server = threading.Thread(target=serve)
    server.start()
    try:
        return RobotServer("nano33", lambda: ours, lambda *, broken: f"broken: {broken}").keyword("X", "y", patience=60)
    finally:
        server.join()
        ours.close()


def test_the_answer_of_the_real_server():
    assert ask(http(PASS)) == "0x1\n\n"
    assert ask(response(struct(PASSED))) == ""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (response(DEEP), "not with PASS or FAIL"),
        (response(struct(PASSED, member(b"return", DEEP))), "which isn't text"),
        (response(struct(PASSED, member(b"return", b"<value><int>7</int></value>"))), "which isn't text"),
        (response(struct(member(b"status", b"<value><array><data/></array></value>"))), "not with PASS or FAIL"),
        (response(b"<value><boolean>x</boolean></value>"), "TypeError"),
        (response(struct(member(b"status", b""))), "IndexError"),
        (response(b"<value><bigdecimal>x</bigdecimal></value>"), "InvalidOperation"),
        (response(b"<value><int>%b</int></value>" % (b"9" * 5000)), "ValueError"),
        (http(b"<?xml version='1.0' encoding='none-such'?>" + PASS), "encoding"),
        (http(gzip.compress(PASS)[:-9], b"Content-Encoding: gzip\r\n"), "EOFError"),
        (http(gzip.compress(PASS)[:10] + b"\xff" * 9, b"Content-Encoding: gzip\r\n"), "invalid block type"),
        (http(PASS).replace(b"200 OK", b"500 no"), "500"),
        (http(PASS)[:-5], "IncompleteRead|ExpatError"),
        (b"", "RemoteDisconnected|closed"),
        (http(b"<methodResponse><fault>%b</fault></methodResponse>" % DEEP), "TypeError|broke off|refuses"),
    ],
)
def test_an_answer_that_no_server_gives(data, words):
    with pytest.raises(EmulatorError, match=rf"nano33: Renode (answers|broke off|refuses) X.*({words})") as raised:
        ask(data)
    assert len(str(raised.value)) < 5000


def mutated(random_numbers):
    pieces = [b"<array><data>", b"</data></array>", b"<value>", b"</struct>", b"<boolean>", b"<nil/>", b"<fault>"]
    pieces += [b"<base64>", b"\xff", b"\0", b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n"]
    data = bytearray(http(PASS))
    for _ in range(random_numbers.randrange(1, 6)):
        place, end = (random_numbers.randrange(len(data)) for _ in range(2))
        change = random_numbers.randrange(3)
        if change == 0:
            data[place : place + random_numbers.randrange(20)] = b""
        elif change == 1:
            data[place:place] = random_numbers.choice(pieces)
        else:
            data[place:place] = data[end : end + random_numbers.randrange(40)]
    return bytes(data)


@pytest.mark.parametrize("count", [500, pytest.param(8_000, marks=pytest.mark.slow)])
def test_damaged_answers(count):
    random_numbers = random.Random(14)
    outcomes = set()
    for _ in range(count):
        try:
            ask(mutated(random_numbers))
            outcomes.add("passed")
        except KeywordError:
            outcomes.add("failed")
        except EmulatorError:
            outcomes.add("refused")
    assert {"passed", "refused"} <= outcomes
