"""The self-signed certificate: made once, made anew when it must, for its owner alone."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from reconciler.api.certificates import Identity, self_signed
from reconciler.errors import ConfigurationError, StateError

NOW = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    first = self_signed(tmp_path / "tls", ["login1"], NOW)
    again = self_signed(tmp_path / "tls", ["login1"], NOW + 300 * DAY)
    assert first == again
    assert len(first.fingerprint.split(":")) == 32
    assert first.certificate.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


def test_an_address_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    first = self_signed(tmp_path, ["2001:DB8:0:0::1"], NOW)
    assert self_signed(tmp_path, ["2001:DB8:0:0::1"], NOW) == self_signed(tmp_path, ["2001:db8::1"], NOW) == first


def test_it_names_what_it_is_called_by(tmp_path: Path) -> None:
    made = self_signed(tmp_path, ["login1.example", "10.1.2.3"], NOW)
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {"login1.example", "10.1.2.3", "localhost", "127.0.0.1", "::1"}
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < 398 * DAY


@pytest.mark.parametrize(("names", "later"), [(["other"], 0 * DAY), (["login1"], 370 * DAY)], ids=["name", "end"])
def test_it_is_made_anew_where_it_lacks_a_name_or_ends_soon(
    tmp_path: Path, names: list[str], later: datetime.timedelta
) -> None:
    first = self_signed(tmp_path, ["login1"], NOW)
    assert self_signed(tmp_path, names, NOW + later).fingerprint != first.fingerprint


def test_a_file_that_is_none_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "self-signed.pem").write_text("nothing")
    assert self_signed(tmp_path, [], NOW).context().minimum_version == ssl.TLSVersion.TLSv1_2


def test_one_that_names_nothing_is_replaced(tmp_path: Path) -> None:
    key, nobody = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    bare = x509.CertificateBuilder(nobody, nobody, key.public_key(), 1, NOW, NOW + 400 * DAY).sign(key, SHA256())
    (tmp_path / "self-signed.pem").write_bytes(bare.public_bytes(Encoding.PEM))
    assert self_signed(tmp_path, [], NOW).context()


def test_a_certificate_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nothing")
    for file in ("bad.pem", "missing.pem"):
        with pytest.raises(ConfigurationError, match=file):
            Identity(tmp_path / file, None).context()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file stands here")
    with pytest.raises(StateError):
        self_signed(tmp_path / "tls", [], NOW)
