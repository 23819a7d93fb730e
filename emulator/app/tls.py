"""A certificate of this machine's own, so that viewers can speak HTTPS to localhost.

It is made at the first start and kept in the state folder; it signs itself, so viewers must be told
to trust it (`curl --cacert .localpop/tls/certificate.pem`).
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Apple's and Chromium's limit for a certificate that they accept: 398 days, or 825 for own roots.
_VALID_DAYS: Final = 397
_RENEW_DAYS_BEFORE: Final = 30
_ALWAYS: Final = ("localhost", "*.localhost", "*.cloudfront.net")


def server_context(folder: Path, aliases: Iterable[str], now: datetime.datetime) -> ssl.SSLContext:
    """A TLS context with the machine's certificate, which is made or renewed when needed.

    Args:
        folder: Where certificate and key are kept.
        aliases: Alternate domain names that it must be good for.
        now: The time, with its zone.
    """
    names = tuple(dict.fromkeys((*_ALWAYS, *aliases)))
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not _still_good(certificate, names, now) or not key.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _make(certificate, key, names, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def _still_good(path: Path, names: tuple[str, ...], now: datetime.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    covered = set(extension.value.get_values_for_type(x509.DNSName))
    ends = certificate.not_valid_after_utc - datetime.timedelta(days=_RENEW_DAYS_BEFORE)
    return set(names) <= covered and now < ends


def _make(path: Path, key_path: Path, names: tuple[str, ...], now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localpop on this machine")])
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(address) for address in addresses]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
