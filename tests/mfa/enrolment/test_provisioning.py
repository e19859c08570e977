"""What authenticator apps read: checked by an independent reader of pictures and of links."""

import base64
from io import BytesIO
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
import qrcode
import zxingcpp
from PIL import Image, ImageDraw

from mfa.enrolment.provisioning import provisioning_of
from tests.factories import AuthenticatorFactory, UserFactory, code_for


@pytest.fixture
def pending(person):
    return AuthenticatorFactory(user=person, confirmed=False)


def drawn(qr, scale: int = 4) -> Image.Image:
    """Draw the SVG path as a browser does: black runs on white."""
    image = Image.new("L", (qr.size * scale, qr.size * scale), 255)
    pen = ImageDraw.Draw(image)
    for run in filter(None, qr.path.split("z")):
        start, length = run[1:].split("h")[0], run.split("h")[1].split("v")[0]
        x, y = (int(number) for number in start.split())
        pen.rectangle(
            [x * scale, y * scale, (x + int(length)) * scale - 1, (y + 1) * scale - 1], fill=0
        )
    return image


def test_picture_says_what_the_link_says(pending):
    given = provisioning_of(pending, pending.user.email)
    found = zxingcpp.read_barcodes(drawn(given.qr), formats=zxingcpp.BarcodeFormat.QRCode)
    assert [code.text for code in found] == [given.uri]


def test_every_module_is_drawn_and_no_other(pending):
    """A reader corrects a few wrong ones; a worn screen needs that for itself."""
    given = provisioning_of(pending, pending.user.email)
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M, border=4)
    code.add_data(given.uri)
    image = drawn(given.qr, scale=1)
    modules = [
        [image.getpixel((x, y)) == 0 for x in range(given.qr.size)] for y in range(given.qr.size)
    ]
    assert modules == code.get_matrix()


def test_picture_has_a_quiet_zone_of_four_modules(pending):
    qr = provisioning_of(pending, pending.user.email).qr
    image = drawn(qr, scale=1)
    edge = [image.getpixel((x, y)) for x in range(qr.size) for y in range(4)]
    assert set(edge) == {255}
    image.save(BytesIO(), "PNG")


def test_independent_authenticator_makes_the_right_codes(pending):
    given = provisioning_of(pending, pending.user.email)
    app = pyotp.parse_uri(given.uri)
    assert app.now() == code_for(pending)
    assert (app.digits, app.interval, app.digest().name) == (6, 30, "sha1")
    assert (app.issuer, app.name) == ("Apono Portal", pending.user.email)


def test_link_is_of_the_kind_every_app_reads(pending):
    uri = provisioning_of(pending, pending.user.email).uri
    parts = urlsplit(uri)
    query = parse_qs(parts.query, strict_parsing=True)
    label_issuer, _, account = unquote(parts.path).lstrip("/").partition(":")
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert label_issuer == query["issuer"][0] == "Apono Portal"
    assert account == "petra@example.org"
    assert parts.query.startswith("secret=")
    assert query["secret"] == [base64.b32encode(pending.secret).decode()]
    assert {name: query[name] for name in ("algorithm", "digits", "period")} == {
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }
    assert not {"image", "counter"} & set(query)


def test_link_holds_nothing_that_apps_trip_over(pending, settings):
    settings.OTP_TOTP_ISSUER = "Nord: Süd/West"
    uri = provisioning_of(pending, "a:b/c+d@example.org").uri
    assert "+" not in uri
    assert "=" not in uri.partition("secret=")[2].partition("&")[0]
    assert unquote(urlsplit(uri).path).count(":") == 1
    assert unquote(urlsplit(uri).path).count("/") == 1
    assert pyotp.parse_uri(uri).issuer == "Nord- Süd-West"


def test_key_to_type_is_the_same_in_groups_of_four(pending):
    groups = provisioning_of(pending, pending.user.email).key_groups
    assert [len(group) for group in groups] == [4] * 8
    assert base64.b32decode("".join(groups)) == pending.secret


@pytest.mark.parametrize("length", [1, 64, 200])
def test_long_addresses_still_make_a_picture(db, length):
    user = UserFactory(email=f"{'a' * 40}@{'b' * length}.example.org"[-250:].lstrip("@"))
    pending = AuthenticatorFactory(user=user, confirmed=False)
    given = provisioning_of(pending, user.email)
    assert (
        zxingcpp.read_barcodes(drawn(given.qr), formats=zxingcpp.BarcodeFormat.QRCode)[0].text
        == given.uri
    )
