"""The key of a study's command: who has it is a worker of it, and what is said is for those alone."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

SKEW = timedelta(days=1)  # between the clocks of two machines
LONGEST = timedelta(days=3650)  # that a command may take
# What OpenSSL calls it when the other side has another key, or none.
OTHER_KEY = ("UNKNOWN_CA", "CERTIFICATE_VERIFY_FAILED", "DECRYPT_ERROR", "DID_NOT_RETURN_A_CERTIFICATE")


def make_key(file: Path) -> None:
    """Writes a new private key with its certificate, for nobody but the owner to read (mode 600)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pglab")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - SKEW, now + LONGEST)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    content = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as out:
        out.write(content + certificate.public_bytes(encoding))


def context(file: Path, side: ssl._SSLMethod) -> ssl.SSLContext:
    """TLS 1.3 in which either side proves that it has the key in this file.

    The certificate is the only one that is trusted, and both sides show it: to be let in is to have the
    private key, whatever a machine is called.

    Args:
        side: `ssl.PROTOCOL_TLS_SERVER` or `ssl.PROTOCOL_TLS_CLIENT`.

    Raises:
        OSError: the file cannot be read; ssl.SSLError, which is one: it holds no key.
    """
    made = ssl.SSLContext(side)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(file)
    made.load_verify_locations(file)
    return made


def is_other_key(error: ssl.SSLError) -> bool:
    """A handshake failed because the keys differ, and not because the other side speaks no TLS."""
    return any(words in (error.reason or "") for words in OTHER_KEY)
