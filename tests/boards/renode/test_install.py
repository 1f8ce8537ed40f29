"""Installing the portable release: from a server on this computer, and from a file."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import tarfile
import threading

import pytest
from click.testing import CliRunner

from harness.boards.renode import install as module
from harness.boards.renode.find import PINNED, cache_folder, find_renode
from harness.boards.renode.install import ASSETS, asset, checked_sha256, checksum_in, install
from harness.cli import main
from harness.errors import ConfigError

NAME = "renode-1.16.1.linux-portable-dotnet.tar.gz"


@pytest.fixture(autouse=True)
def computer(monkeypatch, tmp_path):
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("HIL_RENODE", raising=False)


def release(folder, version="1.16.1.17033", name="renode", mode=0o755, top="renode_1.16.1-dotnet_portable"):
    folder.mkdir(exist_ok=True)
    path = folder / NAME
    script = f"#!/bin/sh\necho 'Renode v{version}'\n".encode()
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(f"{top}/{name}")
        entry.size, entry.mode = len(script), mode
        tar.addfile(entry, io.BytesIO(script))
    return path


def renode_install(*options, code=0):
    done = CliRunner().invoke(main, ["renode", "install", *map(str, options)])
    assert done.exit_code == code
    return done.output


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_download_check_unpack_and_find(server):
    folder, base = server
    path = release(folder)
    said = []
    installed = install(digest(path).upper(), None, said.append, base)
    assert installed.program == cache_folder() / PINNED / "renode"
    assert installed.version == "1.16.1.17033"
    assert said == [f"downloading {base}/{NAME}", f"unpacking {NAME}"]
    assert find_renode() == installed
    assert [path.name for path in cache_folder().iterdir()] == [PINNED]


def test_again_over_an_older_copy(tmp_path):
    path = release(tmp_path / "one")
    install(digest(path), path, str)
    (cache_folder() / PINNED / "left").write_text("")
    install(digest(path), path, str)
    assert not (cache_folder() / PINNED / "left").exists()


def test_a_wrong_checksum_installs_nothing(tmp_path):
    path = release(tmp_path / "one")
    with pytest.raises(ConfigError, match=rf"has SHA-256 {digest(path)}, but {'0' * 64} is expected"):
        install("0" * 64, path, str)
    assert find_renode() is None


def test_no_network_says_what_to_download_and_where_to_put_it():
    with pytest.raises(ConfigError) as caught:
        install("0" * 64, None, str, "http://127.0.0.1:9")
    text = str(caught.value)
    assert f"http://127.0.0.1:9/{NAME} can't be downloaded" in text
    assert f"hil renode install --archive {NAME}`" in text
    assert str(cache_folder() / PINNED) in text


def test_a_file_that_the_server_does_not_have(server):
    with pytest.raises(ConfigError, match="404"):
        install("0" * 64, None, str, server[1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"version": "1.15.0.1"}, "says it is 1.15.0.1, not 1.16.1"),
        ({"name": "other"}, "holds no program `renode`"),
        ({"mode": 0o644}, "holds no program `renode`"),
        ({"top": "../../outside"}, "can't be unpacked"),
    ],
)
def test_an_archive_that_is_none(tmp_path, options, words):
    path = release(tmp_path / "one", **options)
    with pytest.raises(ConfigError, match=words):
        install(digest(path), path, str)
    assert find_renode() is None
    assert not list(tmp_path.rglob("outside"))


def test_a_file_that_is_no_archive(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(b"<html>")
    with pytest.raises(ConfigError, match="can't be unpacked"):
        install(digest(path), path, str)


def test_the_pinned_checksum_is_what_an_archive_must_have(tmp_path):
    path = release(tmp_path / "one")
    assert f"has SHA-256 {digest(path)}, but {asset()[1]} is expected" in renode_install("--archive", path, code=1)
    assert find_renode() is None


def test_every_release_has_a_pinned_checksum():
    sums = [checked_sha256(sha256) for _, sha256 in ASSETS.values()]
    assert len(set(sums)) == len(ASSETS)


@pytest.mark.parametrize("line", ["{sum}  " + NAME, "{sum} *" + NAME, "{sum}", "x  other\n{sum}  ./" + NAME])
def test_checksum_files(tmp_path, line):
    path = release(tmp_path / "one")
    file = tmp_path / "sums"
    file.write_text(line.format(sum=digest(path)) + "\n")
    assert checksum_in(file, NAME) == digest(path)
    renode_install("--archive", path, "--sha256-file", file)
    assert find_renode().origin == "managed copy"
    assert "is there already" in renode_install("--if-missing")


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "has no checksum"), (f"{'0' * 64}  other\n", "has no checksum"), (f"12  {NAME}\n", "is not a SHA-256")],
)
def test_checksum_files_that_are_none(tmp_path, text, words):
    file = tmp_path / "sums"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        checksum_in(file, NAME)


def test_a_computer_without_a_portable_release(monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "darwin")
    with pytest.raises(ConfigError, match=r"no portable Renode 1\.16\.1 for darwin"):
        asset()
