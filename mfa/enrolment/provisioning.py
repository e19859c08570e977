"""Handing a key to an authenticator app, in the form every major app reads.

The URI follows the Key URI Format that Google Authenticator published: the secret first, SHA1,
six digits, 30 seconds, the issuer equal in the label and as parameter; no image.
"""

import base64
from dataclasses import dataclass
from urllib.parse import quote

import qrcode
from django.conf import settings

from mfa.models import Authenticator

QUIET_ZONE = 4  # modules of white around the code (ISO/IEC 18004, section 6.3.8)
_LABEL_SEPARATORS = str.maketrans({":": "-", "/": "-"})


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code as edge length in modules, quiet zone included, and SVG path of the dark ones."""

    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Provisioning:
    """The three ways to hand over a key: QR code, link, text."""

    account: str
    issuer: str
    uri: str
    key_groups: list[str]
    qr: QrCode


def provisioning_of(device: Authenticator, account: str) -> Provisioning:
    """Return QR code, link and text of an unconfirmed authenticator's key."""
    issuer, account = issuer_name(), account.translate(_LABEL_SEPARATORS)
    secret = base64.b32encode(device.bin_key).decode().rstrip("=")
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    uri = (
        f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer, safe='')}"
        f"&algorithm=SHA1&digits={device.digits}&period={device.step}"
    )
    groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
    return Provisioning(account, issuer, uri, groups, _qr_code(uri))


def issuer_name() -> str:
    """Return the portal's name without the characters that split labels."""
    return str(settings.OTP_TOTP_ISSUER).translate(_LABEL_SEPARATORS)


def _qr_code(text: str) -> QrCode:
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    matrix = code.get_matrix()
    runs = [
        f"M{start} {y}h{length}v1h-{length}z"
        for y, row in enumerate(matrix)
        for start, length in _dark_runs(row)
    ]
    return QrCode(len(matrix), "".join(runs))


def _dark_runs(row: list[bool]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for x, dark in enumerate(row):
        if dark and runs and sum(runs[-1]) == x:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        elif dark:
            runs.append((x, 1))
    return runs
