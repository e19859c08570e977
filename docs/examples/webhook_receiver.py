"""A webhook receiver for the portal, using only Python's standard library.

    WEBHOOK_SECRET=whsec_... python webhook_receiver.py --port 8090

It keeps grants in memory and protects one resource: `GET /door` with HTTP Basic authentication answers
200 for the credential of an active grant. Replace `Grants` with what your own systems need. Every call
is verified according to the Standard Webhooks specification before its body is parsed.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import threading
import time
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOLERANCE_SECONDS = 300
MAX_BODY_BYTES = 64 * 1024
RECEIVER = "example-receiver"
Json = dict[str, Any]

RESOURCES = ["orders", "billing"]
PERMISSIONS: list[Json] = [
    {"name": "reader", "resources": RESOURCES, "rights": ["Open the door"]},
    {"name": "keeper", "resources": ["orders"], "rights": ["Open the door", "Keep it open"]},
]


class Refused(Exception):
    """A call that changes nothing: an HTTP status, and a sentence for users."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Verifier:
    """Accepts a call that is signed with our secret, recent, and not a repetition."""

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def verify(self, headers: Message, body: bytes) -> None:
        message_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        if (
            not message_id
            or not timestamp.isascii()
            or not timestamp.isdigit()
            or len(timestamp) > 12
        ):
            raise Refused(400, "The call has no webhook-id or no webhook-timestamp.")
        if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
            raise Refused(400, "The call is too old or from the future.")
        content = f"{message_id}.{timestamp}.".encode() + body
        digest = hmac.digest(self._key, content, hashlib.sha256)
        expected = "v1," + base64.b64encode(digest).decode()
        signatures = headers.get("webhook-signature", "").split(" ")
        if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in signatures):
            raise Refused(401, "The signature is wrong.")
        self._refuse_repetition(expected)

    def _refuse_repetition(self, signature: str) -> None:
        """Refuse the same call again. A retried step has another timestamp, so another signature."""
        now = time.time()
        oldest = now - 2 * TOLERANCE_SECONDS
        with self._lock:
            self._seen = {known: at for known, at in self._seen.items() if at > oldest}
            if signature in self._seen:
                raise Refused(409, "This call was already received.")
            self._seen[signature] = now


class Grants:
    """Grants in memory. Every step may arrive twice; a grant that was contained stays contained."""

    def __init__(self) -> None:
        self._grants: dict[str, Json] = {}
        self._contained: set[str] = set()
        self._lock = threading.Lock()

    def handle(self, step_name: str, data: Json) -> Json:
        step = getattr(self, f"_{step_name}", None) if step_name in STEPS else None
        if step is None:
            raise Refused(404, "Unknown step.")
        if data.get("receiver") not in (None, "", RECEIVER):
            raise Refused(421, "This call is for another receiver.")
        with self._lock:
            return {"receiver": RECEIVER, "server_time": now().isoformat(), **step(data)}

    def is_credential(self, user: str, password: str) -> bool:
        with self._lock:
            for grant in self._grants.values():
                if grant["password"] and hmac.compare_digest(grant["user"], user):
                    matches = hmac.compare_digest(grant["password"].encode(), password.encode())
                    return bool(matches and grant["until"] > now())
        return False

    def _ping(self, data: Json) -> Json:
        return {}

    def _discover(self, data: Json) -> Json:
        return {"resources": RESOURCES, "permissions": PERMISSIONS, "version": 1}

    def _activate(self, data: Json) -> Json:
        name, until = str(data["grant"]), datetime.fromisoformat(data["deadline"])
        resources = {permission["name"]: permission["resources"] for permission in PERMISSIONS}
        if data["resource"] not in resources.get(data["permission"], []):
            raise Refused(422, "This receiver does not offer that permission on that resource.")
        if name in self._contained or until <= now():
            raise Refused(422, "This grant has ended.")
        existed = name in self._grants
        if not existed:
            self._grants[name] = {
                "portal": data["portal"],
                "permission": data["permission"],
                "until": until,
                "user": f"user_{secrets.token_hex(4)}",
                "password": "",
            }
        until = self._grants[name]["until"]
        return {"already_existed": existed, "valid_until": until.isoformat()}

    def _locate(self, data: Json) -> Json:
        return {"found": data["grant"] in self._grants}

    def _issue_credential(self, data: Json) -> Json:
        grant = self._grants.get(data["grant"])
        if grant is None or data["grant"] in self._contained or grant["until"] <= now():
            raise Refused(422, "This grant has ended.")
        grant["password"] = secrets.token_urlsafe(24)
        return {"user": grant["user"], "password": grant["password"]}

    def _reset_credential(self, data: Json) -> Json:
        return self._issue_credential(data)

    def _extend(self, data: Json) -> Json:
        """Set a later deadline for an active grant; an earlier one changes nothing."""
        grant, until = self._grants.get(data["grant"]), datetime.fromisoformat(data["deadline"])
        if grant is None or data["grant"] in self._contained or until <= now():
            raise Refused(422, "This grant has ended.")
        grant["until"] = max(grant["until"], until)
        return {"valid_until": grant["until"].isoformat()}

    def _contain(self, data: Json) -> Json:
        self._contained.add(data["grant"])
        grant = self._grants.get(data["grant"])
        if grant is not None:
            grant["password"] = ""
        return {"sessions_terminated": 0, "was_absent": grant is None}

    def _find_owned_objects(self, data: Json) -> Json:
        return {"items": []}

    def _clean(self, data: Json) -> Json:
        if data["grant"] in self._grants and data["grant"] not in self._contained:
            raise Refused(422, "Contain this grant first.")
        return {"removed": [], "was_absent": self._grants.pop(data["grant"], None) is None}

    def _prove(self, data: Json) -> Json:
        gone = data["grant"] not in self._grants
        return {
            "gone": gone,
            "no_open_sessions": gone,
            "nothing_left_behind": True,
            "checked_at": now().isoformat(),
        }

    def _list(self, data: Json) -> Json:
        rows = [
            {
                "grant": name,
                "portal": grant["portal"],
                "permission": grant["permission"],
                "valid_until": grant["until"].isoformat(),
                "open": bool(grant["password"]),
            }
            for name, grant in self._grants.items()
            if data.get("portal") in (None, grant["portal"])
        ]
        return {"grants": rows}


STEPS = {
    "ping",
    "discover",
    "activate",
    "locate",
    "issue_credential",
    "reset_credential",
    "extend",
    "contain",
    "find_owned_objects",
    "clean",
    "prove",
    "list",
}


def now() -> datetime:
    return datetime.now(UTC)


class Server(ThreadingHTTPServer):
    """The verifier and the grants that all calls share."""

    def __init__(self, port: int, secret: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.verifier = Verifier(secret)
        self.grants = Grants()


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10

    def do_POST(self) -> None:
        try:
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > MAX_BODY_BYTES:
                raise Refused(413, "The call is too large.")
            body = self.rfile.read(int(length))
            self.server.verifier.verify(self.headers, body)
            message = json.loads(body)
            self._answer(200, self.server.grants.handle(message["type"], message["data"]))
        except Refused as refused:
            self._answer(refused.status, {"error": refused.sentence})
        except (ValueError, KeyError, TypeError, AttributeError):
            self._answer(400, {"error": "The call is malformed."})

    def do_GET(self) -> None:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            user = password = ""
        is_open = self.path == "/door" and scheme == "Basic"
        is_open = is_open and self.server.grants.is_credential(user, password)
        self._answer(200 if is_open else 403, {"open": is_open})

    def _answer(self, status: int, body: Json) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Log nothing: paths and bodies may hold secrets."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8090)
    port = parser.parse_args().port
    server = Server(port, os.environ["WEBHOOK_SECRET"])
    sys.stdout.write(f"Listening on http://127.0.0.1:{server.server_address[1]}/\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
