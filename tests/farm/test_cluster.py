"""Who may connect to whom: whoever reaches a port of Dask's runs code."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest
from cryptography import x509
from distributed.comm import CommClosedError

from harness.errors import ConfigError
from harness.farm.certificates import make_certificates, security_of
from harness.farm.cluster import difference, is_loopback, secured, versions
from harness.farm.seats import result_of


def test_certificates_are_signed_by_the_farm_and_read_by_one_user_only(tmp_path):
    made = make_certificates(tmp_path / "farm", ["lab", "host2"])
    assert [path.name for path in made] == ["lab", "host2"]
    ca = x509.load_pem_x509_certificate((tmp_path / "farm" / "ca.pem").read_bytes())
    for folder in made:
        certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
        certificate.verify_directly_issued_by(ca)  # raises if it isn't
        assert not (folder / "ca-key.pem").exists()
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    with pytest.raises(ConfigError, match="host2 is there already"):
        make_certificates(tmp_path / "farm", ["host2"])
    (later,) = make_certificates(tmp_path / "farm", ["host3"])  # by the same authority
    x509.load_pem_x509_certificate((later / "cert.pem").read_bytes()).verify_directly_issued_by(ca)


@pytest.mark.parametrize("name", ["..", "a/b", ""])
def test_a_host_whose_name_is_a_path_gets_none(tmp_path, name):
    with pytest.raises(ConfigError, match="no name of a host"):
        make_certificates(tmp_path, [name])


@pytest.mark.parametrize("address", ["tcp://lab:8786", "tcp://0.0.0.0:8786", "tcp://192.168.1.2:8786"])
def test_what_leaves_this_computer_is_encrypted_or_refused(address):
    with pytest.raises(ConfigError, match="whoever reaches a port"):
        secured(address, None)


def test_tls_needs_certificates_that_nobody_else_can_read(tmp_path):
    with pytest.raises(ConfigError, match="needs certificates"):
        secured("tls://lab:8786", None)
    (folder,) = make_certificates(tmp_path, ["lab"])
    assert secured("tls://lab:8786", folder).require_encryption
    (folder / "key.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        security_of(folder)
    (folder / "key.pem").unlink()
    with pytest.raises(ConfigError, match=r"key\.pem is missing"):
        security_of(folder)


@pytest.mark.parametrize("address", ["lab:8786", "http://lab:8786", "tls://lab", "tls://lab:x", "tls://:1"])
def test_what_is_no_address_is_said(address):
    with pytest.raises(ConfigError, match="is no address of a scheduler"):
        secured(address, None)


def test_loopback_is_this_computer_only():
    assert all(map(is_loopback, ("tcp://127.0.0.1:1", "tcp://localhost:1", "tls://[::1]:1")))
    assert not any(map(is_loopback, ("tcp://0.0.0.0:1", "tls://lab:1", "tls://10.0.0.1:1")))


def test_other_versions_are_refused_in_words():
    assert difference(versions(), "bench-1 on host2") is None
    assert difference({}, "the scheduler") is None  # it doesn't say
    wrong = difference({**versions(), "harness": "0.0", "Python": "3.9"}, "bench-1 on host2")
    assert wrong.startswith("bench-1 on host2 has harness 0.0 (here ")
    assert "Python 3.9 (here 3." in wrong
    assert "install the same versions" in wrong


def test_a_scheduler_for_others_doesnt_start_without_certificates(tmp_path):
    command = [sys.executable, "-m", "harness", "farm", "scheduler", "--host", "0.0.0.0", "--port", "0"]  # noqa: S104 (refused)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 1
    assert "isn't encrypted" in done.stderr


@pytest.mark.slow
def test_without_dask_the_line_that_installs_it_is_said(tmp_path):
    (tmp_path / "devices.yaml").write_text("devices: {b1: {kind: nano33, backend: virtual}}\n")
    program = "import sys; sys.modules['distributed'] = None; from harness.cli import main; main()"
    command = [sys.executable, "-c", program, "worker", "tcp://127.0.0.1:9"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'tinyml-hil[farm]'" in done.stderr


@pytest.mark.parametrize("error", [CommClosedError("in <TLS (closed)>: Stream is closed"), TimeoutError()])
def test_a_result_that_the_scheduler_took_with_it_is_no_result_and_no_error(error):
    class Finished:
        status = "finished"

        def result(self, timeout):
            assert timeout > 0
            raise error

    assert result_of(Finished()) is None
