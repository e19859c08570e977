"""The trial grant of a host, which signs in with its certificate before and after containment."""

import subprocess
import tempfile
from pathlib import Path

from accessflows.connectors.canary import SignInCanary
from accessflows.connectors.errors import TargetUnavailable
from accessflows.connectors.linux.connection import (
    ENVIRONMENT,
    OPTIONS,
    address,
    ssh_path,
    write_private,
)
from accessflows.connectors.protocol import Credential, Target


class LinuxCanary(SignInCanary):
    def may_sign_in(self) -> bool:
        return may_sign_in(self.credential, self.target)


def may_sign_in(credential: Credential, target: Target) -> bool:
    """Return whether the host lets a certificate run a command."""
    with tempfile.TemporaryDirectory(prefix="apono-ssh-") as name:
        folder = Path(name)
        files = {
            "key": credential.password,
            "key-cert.pub": credential.certificate,
            "known_hosts": credential.known_hosts,
        }
        for file, text in files.items():
            write_private(folder / file, text)
        options = OPTIONS | {
            "ConnectTimeout": str(target.connect_timeout_s),
            "UserKnownHostsFile": str(folder / "known_hosts"),
            "IdentityFile": str(folder / "key"),
            "CertificateFile": str(folder / "key-cert.pub"),
        }
        words = [word for option, value in options.items() for word in ("-o", f"{option}={value}")]
        where = ["-p", str(credential.port), "-l", credential.user, "--", credential.host, "true"]
        return _succeeds([ssh_path(), "-T", "-F", "/dev/null", *words, *where], target)


def _succeeds(command: list[str], target: Target) -> bool:
    try:
        done = subprocess.run(  # noqa: S603  ssh, with arguments of our own
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=target.connect_timeout_s + target.statement_timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TargetUnavailable(f"{address(target)} did not answer in time.") from None
    return done.returncode == 0
