"""A webhook receiver for the portal, with nothing but Python's standard library.

    WEBHOOK_SECRET=whsec_... python webhook_receiver.py --port 8090

It keeps grants in memory and guards one door: `GET /door` with HTTP Basic authentication opens for
whoever has the credential of an open grant. Replace `Grants` with what your own systems need.
Every call is verified as the Standard Webhooks specification says, before anything is read of it.
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

TOLERANCE_S = 300
MOST_BYTES = 64 * 1024
RECEIVER = "example-receiver"
Answer = dict[str, Any]

RESOURCES = ["orders", "billing"]
PERMISSIONS: list[Answer] = [
    {"name": "reader", "resources": RESOURCES, "rights": ["Open the door"]},
    {"name": "keeper", "resources": ["orders"], "rights": ["Open the door", "Keep it open"]},
]


class Refused(Exception):
    """A call that is not acted on: an HTTP status, and a sentence for people."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Verifier:
    """Believes a call if it is signed with our secret, recent, and not one that came before."""

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def verify(self, headers: Message, body: bytes) -> None:
        message_id, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not message_id or not sent.isascii() or not sent.isdigit() or len(sent) > 12:
            raise Refused(400, "The call has no webhook-id or no webhook-timestamp.")
        if abs(time.time() - int(sent)) > TOLERANCE_S:
            raise Refused(400, "The call is too old or from the future.")
        signed = f"{message_id}.{sent}.".encode() + body
        digest = hmac.digest(self._key, signed, hashlib.sha256)
        expected = "v1," + base64.b64encode(digest).decode()
        given = headers.get("webhook-signature", "").split(" ")
        if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in given):
            raise Refused(401, "The signature is wrong.")
        self._remember(expected)

    def _remember(self, signature: str) -> None:
        """Refuse the very same call. The same step tried again has another time in it."""
        now = time.time()
        with self._lock:
            self._seen = {each: at for each, at in self._seen.items() if now - at < 2 * TOLERANCE_S}
            if signature in self._seen:
                raise Refused(409, "This call came before.")
            self._seen[signature] = now


class Grants:
    """What was granted. Every step may be asked for twice; a grant that was cut stays cut."""

    def __init__(self) -> None:
        self._grants: dict[str, Answer] = {}
        self._cut: set[str] = set()
        self._lock = threading.Lock()

    def do(self, kind: str, data: Answer) -> Answer:
        step = getattr(self, f"_{kind}", None) if kind in STEPS else None
        if step is None:
            raise Refused(404, "There is no such step.")
        if data.get("receiver") not in (None, "", RECEIVER):
            raise Refused(421, "This call is for another receiver.")
        with self._lock:
            return {"receiver": RECEIVER, "server_time": now().isoformat(), **step(data)}

    def lets_in(self, user: str, password: str) -> bool:
        with self._lock:
            for grant in self._grants.values():
                if grant["password"] and hmac.compare_digest(grant["user"], user):
                    right = hmac.compare_digest(grant["password"].encode(), password.encode())
                    return bool(right and grant["until"] > now())
        return False

    def _ping(self, data: Answer) -> Answer:
        return {}

    def _discover(self, data: Answer) -> Answer:
        return {"resources": RESOURCES, "permissions": PERMISSIONS, "version": 1}

    def _activate(self, data: Answer) -> Answer:
        name, until = str(data["grant"]), datetime.fromisoformat(data["deadline"])
        offered = {each["name"]: each["resources"] for each in PERMISSIONS}
        if data["resource"] not in offered.get(data["permission"], []):
            raise Refused(422, "This receiver does not give that.")
        if name in self._cut or until <= now():
            raise Refused(422, "This grant has ended.")
        there = name in self._grants
        if not there:
            self._grants[name] = {
                "portal": data["portal"],
                "permission": data["permission"],
                "until": until,
                "user": f"user_{secrets.token_hex(4)}",
                "password": "",
            }
        until = self._grants[name]["until"]
        return {"already_existed": there, "valid_until": until.isoformat()}

    def _locate(self, data: Answer) -> Answer:
        return {"found": data["grant"] in self._grants}

    def _issue_credential(self, data: Answer) -> Answer:
        grant = self._grants.get(data["grant"])
        if grant is None or data["grant"] in self._cut or grant["until"] <= now():
            raise Refused(422, "This grant has ended.")
        grant["password"] = secrets.token_urlsafe(24)
        return {"user": grant["user"], "password": grant["password"]}

    def _reset_credential(self, data: Answer) -> Answer:
        return self._issue_credential(data)

    def _extend(self, data: Answer) -> Answer:
        """A later end for a grant that is open; an earlier one changes nothing."""
        grant, until = self._grants.get(data["grant"]), datetime.fromisoformat(data["deadline"])
        if grant is None or data["grant"] in self._cut or until <= now():
            raise Refused(422, "This grant has ended.")
        grant["until"] = max(grant["until"], until)
        return {"valid_until": grant["until"].isoformat()}

    def _contain(self, data: Answer) -> Answer:
        self._cut.add(data["grant"])
        grant = self._grants.get(data["grant"])
        if grant is not None:
            grant["password"] = ""
        return {"sessions_terminated": 0, "was_absent": grant is None}

    def _find_residue(self, data: Answer) -> Answer:
        return {"items": []}

    def _clean(self, data: Answer) -> Answer:
        if data["grant"] in self._grants and data["grant"] not in self._cut:
            raise Refused(422, "Contain this grant first.")
        return {"removed": [], "was_absent": self._grants.pop(data["grant"], None) is None}

    def _prove(self, data: Answer) -> Answer:
        gone = data["grant"] not in self._grants
        checked = {"checked_at": now().isoformat()}
        return {"gone": gone, "no_open_sessions": gone, "nothing_left_behind": True, **checked}

    def _list(self, data: Answer) -> Answer:
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
    """What all calls share."""

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
            if not length.isdigit() or int(length) > MOST_BYTES:
                raise Refused(413, "The call is too long.")
            body = self.rfile.read(int(length))
            self.server.verifier.verify(self.headers, body)
            message = json.loads(body)
            self._answer(200, self.server.grants.do(message["type"], message["data"]))
        except Refused as refused:
            self._answer(refused.status, {"error": refused.sentence})
        except (ValueError, KeyError, TypeError, AttributeError):
            self._answer(400, {"error": "The call is not as this receiver understands it."})

    def do_GET(self) -> None:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            user = password = ""
        opens = self.path == "/door" and scheme == "Basic"
        opens = opens and self.server.grants.lets_in(user, password)
        self._answer(200 if opens else 403, {"open": opens})

    def _answer(self, status: int, said: Answer) -> None:
        content = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Log no call: addresses and answers may hold what is nobody's business."""


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
