"""The certificate that HTTPS is served with: the operator's own, or a self-signed one made beside the state."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import ConfigurationError, StateError

if TYPE_CHECKING:
    from cryptography import x509

#: Days that a self-signed certificate serves; a new one is made so many days before it ends.
_LIFE, _RENEW = 397, 30


@dataclass(frozen=True, slots=True)
class Identity:
    """Certificate and key as files. `fingerprint`: hex SHA-256 of a certificate that nobody vouches for, else empty."""

    certificate: Path
    key: Path | None
    fingerprint: str = ""

    def context(self) -> ssl.SSLContext:
        """Return the TLS context: 1.2 or newer. Raises ConfigurationError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(
                f"the certificate {self.certificate} cannot be used: {error}",
                remedy="name PEM files in `api.certificate` and `api.certificate_key`",
            ) from error
        return context


def self_signed(folder: Path, names: Iterable[str], now: datetime.datetime | None = None) -> Identity:
    """Return the certificate in `folder`, made or made anew where it is missing, ends soon or lacks one of `names`."""
    from cryptography import x509  # saves start-up time where a certificate is given
    from cryptography.hazmat.primitives import hashes

    now = now or datetime.datetime.now(datetime.UTC)
    wanted = sorted({str(_alternative(name).value) for name in (*names, "localhost", "127.0.0.1", "::1")})
    file = folder / "self-signed.pem"
    try:
        known = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        known = None
    if known is None or not _serves(known, wanted, now):
        known = _make(file, wanted, now)
    return Identity(file, None, known.fingerprint(hashes.SHA256()).hex(":"))


def _serves(certificate: x509.Certificate, names: list[str], now: datetime.datetime) -> bool:
    from cryptography import x509

    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    present = {str(each.value) for each in alternatives}
    return set(names) <= present and now + datetime.timedelta(days=_RENEW) < certificate.not_valid_after_utc


def _make(file: Path, names: list[str], now: datetime.datetime) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reconcile")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_LIFE))
        .add_extension(x509.SubjectAlternativeName([_alternative(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(file, secret + certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


def _alternative(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(file: Path, content: bytes) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as out:
            out.write(content)
        os.replace(draft, file)
    except OSError as error:
        raise StateError(f"{file} cannot be written: {error.strerror}", remedy="give a certificate instead") from error
