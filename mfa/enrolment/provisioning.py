"""What an authenticator app needs to know, in the form every major app reads.

The address follows the Key URI Format that Google Authenticator published: the secret first, SHA1,
six digits, 30 seconds, the issuer both in the label and as parameter, and equal; no image.
"""

import base64
from dataclasses import dataclass
from urllib.parse import quote

import qrcode
from django.conf import settings

from mfa.models import Authenticator

QUIET_ZONE = 4  # modules of white around the code (ISO/IEC 18004, section 6.3.8)
_NOT_IN_LABELS = str.maketrans({":": "-", "/": "-"})


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code to draw: edge length in modules with the quiet zone, and an SVG path of the dark ones."""

    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Provisioning:
    """The three ways to hand over a key: picture, link, typing."""

    account: str
    issuer: str
    uri: str
    key_groups: list[str]
    qr: QrCode


def provisioning_of(device: Authenticator, account: str) -> Provisioning:
    """Return how to hand the key of an unconfirmed authenticator to its owner's app."""
    issuer, account = issuer_name(), account.translate(_NOT_IN_LABELS)
    secret = base64.b32encode(device.bin_key).decode().rstrip("=")
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    uri = (
        f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer, safe='')}"
        f"&algorithm=SHA1&digits={device.digits}&period={device.step}"
    )
    groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
    return Provisioning(account, issuer, uri, groups, _drawn(uri))


def issuer_name() -> str:
    """Return the portal's name as apps take it: without the signs that split labels."""
    return str(settings.OTP_TOTP_ISSUER).translate(_NOT_IN_LABELS)


def _drawn(text: str) -> QrCode:
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
