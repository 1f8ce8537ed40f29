"""`hil serve`, run as a user runs it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from fakes.made_farm import Farm


@pytest.fixture
def farm(tmp_path):
    return Farm(tmp_path / "farm")


def command(*arguments):
    return [sys.executable, "-c", "from harness.cli import main; main()", "serve", *arguments]


@contextmanager
def serving(farm, *arguments, **environment):
    """Start the command; yields the process, the host and port that it printed, and the whole line."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=farm.folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "HIL_HOST": "here", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://([^/:]+):(\d+)/(\S*)", line)
        assert found, line
        yield process, int(found[2]), found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def get(port, path, headers=None, host="localhost"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Host": f"{host}:{port}", **(headers or {})})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_it_shows_the_page_until_it_is_ended(farm, ended_by):
    with serving(farm, "--port", "0") as (process, port, url):
        assert url == f"http://127.0.0.1:{port}/"
        status, body = get(port, "/")
        assert status == 200
        assert "bench-8" in body
        for _ in range(2):  # a wrapper passes on what the terminal has sent, too
            process.send_signal(ended_by)
        rest = ""
        while "The status page has ended." not in rest:
            rest += process.stdout.readline()
            assert rest.endswith("\n"), rest
        process.send_signal(ended_by)  # while Python cleans up
        assert process.wait(60) == 0
        rest += process.stdout.read()
    assert "Traceback" not in rest


def test_a_store_that_is_a_folder_is_where_runs_are_looked_for(farm):
    run = farm.run()
    text = (farm.folder / "devices.yaml").read_text()
    (farm.folder / "devices.yaml").write_text(text.replace('"state": "state"', '"state": "state", "store": "shared"'))
    farm.results.rename(farm.folder / "shared")
    with serving(farm, "--port", "0") as (_, port, _url):
        assert run.name in get(port, "/")[1]
        assert get(port, f"/reports/{run.name}/")[0] == 200


def test_other_computers_need_the_token_that_it_prints(farm):
    with serving(farm, "--host", "0.0.0.0", "--port", "0") as (_, port, url):  # noqa: S104
        token = url.partition("?token=")[2]
        assert url.startswith(f"http://here:{port}/?token=")
        assert len(token) >= 32
        assert get(port, "/", host="here")[0] == 401
        assert get(port, "/", {"Authorization": f"Bearer {token}"}, host="here")[0] == 200


def test_a_token_from_the_environment_is_not_printed(farm):
    mine = "a-token-of-my-own-choice"
    with serving(farm, "--port", "0", HIL_TOKEN=mine) as (process, port, url):
        assert url == f"http://127.0.0.1:{port}/"
        assert get(port, "/")[0] == 401
        assert get(port, "/", {"Authorization": f"Bearer {mine}"})[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert mine not in process.stdout.read()


def test_a_port_that_is_in_use_is_one_line(farm):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = subprocess.run(
            command("--port", str(port)), cwd=farm.folder, capture_output=True, text=True, check=False, timeout=60
        )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"hil: port {port} of 127.0.0.1 is in use, perhaps by another `hil serve`; "
        "name another with --port, or 0 for any\n"
    )
