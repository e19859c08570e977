"""An authenticator app of its own: it knows only what the camera sees (RFC 6238 through pyotp)."""

import io
import time

import pyotp
import zxingcpp
from PIL import Image

STEP_S = 30
HURRY_S = 6  # closer than this to the next step, the previous code may be too old on arrival


class Phone:
    """Scans the QR code and shows codes, each once and never an older one."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.totp = pyotp.parse_uri(uri)
        self.last_step = 0

    @classmethod
    def scan(cls, picture: bytes) -> "Phone":
        """Read the one QR code in a screenshot."""
        [barcode] = zxingcpp.read_barcodes(
            Image.open(io.BytesIO(picture)), formats=zxingcpp.BarcodeFormat.QRCode
        )
        return cls(barcode.text)

    @property
    def secret(self) -> str:
        return str(self.totp.secret)

    def code(self) -> str:
        """Return a code that was not shown yet, waiting only if no such code is valid now.

        A server that follows RFC 6238, section 5.2, takes the steps beside the present one too.
        """
        now = time.time()
        earliest = int(now) // STEP_S - (1 if STEP_S - now % STEP_S > HURRY_S else 0)
        step = max(earliest, self.last_step + 1)
        time.sleep(max(0.0, (step - 1) * STEP_S + 0.2 - now))
        self.last_step = step
        return str(self.totp.generate_otp(step))
