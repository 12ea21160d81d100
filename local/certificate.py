"""The certificate with which the services of an enforcing embedded cloud speak TLS on loopback."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.config import LOOPBACK, EmbeddedCloudError

_DAYS = 365


@dataclass(frozen=True, slots=True)
class Certificate:
    """
    A certificate that signs itself, so that it is its own authority.

    Only processes of the embedded cloud are told to trust it, and they need trust no other: they
    talk to nothing beyond loopback.
    """

    file: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """
    A new certificate for loopback.

    Raises:
        EmbeddedCloudError: OpenSSL's program is missing or failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", str(_DAYS), "-subj", "/CN=Framewright's embedded cloud"]
    command += ["-addext", f"subjectAltName=DNS:localhost,IP:{LOOPBACK}"]
    command += ["-keyout", str(made.key), "-out", str(made.file)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise EmbeddedCloudError(
            "the program openssl is missing, which makes the certificate of a cloud that enforces "
            "IAM. Install it with your system's package manager."
        ) from error
    except subprocess.CalledProcessError as error:
        raise EmbeddedCloudError(f"openssl cannot make a certificate:\n{error.stderr}") from error
    return made
