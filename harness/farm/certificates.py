"""The certificates of a farm: whoever reaches a port of Dask's runs code, so only who holds one gets in."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: What a host needs: the authority that it trusts, its own certificate, and the key of that.
CA, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"
CA_KEY: Final = "ca-key.pem"
_DAYS: Final = 730
INSTALL: Final = "pip install 'tinyml-hil[farm]'"


def security_of(folder: Path | None) -> Any:
    """Return the security of Dask's connections: TLS in both directions, with the certificates in a folder.

    Args:
        folder: with `ca.pem`, `cert.pem` and `key.pem`; None for connections that stay on this computer.

    Raises:
        ConfigError: a file is missing, or others may read the key.
    """
    from distributed.security import Security  # noqa: PLC0415 (slow, and not always installed)

    if folder is None:
        return Security()  # type: ignore[no-untyped-call]
    for name in (CA, CERTIFICATE, KEY):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder / name} is missing: `hil farm certs DIR` makes the certificates of a farm")
    mode = (folder / KEY).stat().st_mode
    if os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{folder / KEY} can be read by others: chmod 600 {folder / KEY}")
    ca, certificate, key = (str(folder / name) for name in (CA, CERTIFICATE, KEY))
    roles = {f"tls_{role}_cert": certificate for role in ("client", "scheduler", "worker")}
    roles |= {f"tls_{role}_key": key for role in ("client", "scheduler", "worker")}
    return Security(require_encryption=True, tls_ca_file=ca, **roles)  # type: ignore[no-untyped-call]


def make_certificates(folder: Path, hosts: Sequence[str]) -> list[Path]:
    """Make a certificate for each host, signed by the farm's own authority, which is made if it isn't there.

    Args:
        folder: gets `ca.pem`, `ca-key.pem`, and for each host a folder to copy to it. Files have mode 0600.
        hosts: their names.

    Returns:
        The folders of the hosts.

    Raises:
        ConfigError: `cryptography` isn't installed, a host has a certificate, or a file can't be written.
    """
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"certificates need the package cryptography: {INSTALL}") from error
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / CA).is_file():
            key, certificate = _signed("tinyml-hil farm", None)
            _write(folder / CA_KEY, _pem(key))
            _write(folder / CA, certificate.public_bytes(serialization.Encoding.PEM))
        authority = _authority(folder)
        made = []
        for host in hosts:
            if not host or host in (".", "..") or "/" in host or "\\" in host:
                raise ConfigError(f"{host!r} is no name of a host")
            place = folder / host
            place.mkdir(mode=0o700)
            key, certificate = _signed(host, authority)
            _write(place / KEY, _pem(key))
            _write(place / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))
            _write(place / CA, (folder / CA).read_bytes())
            made.append(place)
    except FileExistsError as error:
        raise ConfigError(f"{error.filename} is there already; remove it to make a new one") from error
    except OSError as error:
        raise ConfigError(f"{folder} can't be written: {error.strerror or error}") from error
    return made


def _authority(folder: Path) -> tuple[Any, Any]:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), password=None)
        return key, x509.load_pem_x509_certificate((folder / CA).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"the authority in {folder} can't be read: {error}") from error


def _signed(name: str, authority: tuple[Any, Any] | None) -> tuple[Any, Any]:
    """Return a new key and its certificate, signed by the authority; None makes one that signs itself."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    signer, issuer = (key, subject) if authority is None else (authority[0], authority[1].subject)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
    )
    if authority is None:
        uses = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
        uses |= {"digital_signature": True, "key_cert_sign": True, "crl_sign": True}
        uses |= {"encipher_only": False, "decipher_only": False}
        builder = builder.add_extension(x509.KeyUsage(**uses), critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return key, builder.sign(signer, hashes.SHA256())


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415

    made: bytes = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return made


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
