"""What an administrator runs once on a host, also shown as the remedies of failed checks."""

import secrets
from importlib.resources import files

from accessflows.connectors.kinds import SetUpStep
from accessflows.connectors.linux.keys import authority_key, broker_key, public_line

PROGRAM = "/usr/local/sbin/apono-portal-host"
CONFIG = "/etc/apono-portal"
STATE = "/var/lib/apono-portal"
GROUP = "apono_grants"
SSHD_CONFIG = "/etc/ssh/sshd_config.d/10-apono-portal.conf"

_BROKER = """\
groupadd --force {group}
useradd --system --home-dir {state} --no-create-home --shell /bin/sh --password '*' {broker}
echo '{broker} ALL=(root) NOPASSWD: {program} ""' > /etc/sudoers.d/{broker}
chmod 440 /etc/sudoers.d/{broker}
visudo --check
"""
_TRUST = """\
install -d -m 755 {config} {state}
[ -s {config}/server-id ] || echo {server_id} > {config}/server-id
echo '{authority}' > {config}/ca.pub
echo 'restrict {broker_key}' > {config}/broker_keys
[ -e {config}/permissions.conf ] || cat > {config}/permissions.conf <<'END'
# What the portal can give on this host, and no more. Changes need no restart.
[shell]

[logs]
groups = adm

[restart-web]
sudo = /usr/bin/systemctl restart nginx
END
chmod 644 {config}/*
"""
_SSHD = """\
cat > {sshd_config} <<'END'
Match User {broker}
    AuthorizedKeysFile {config}/broker_keys
    AuthenticationMethods publickey
    ForceCommand sudo -n {program}
    DisableForwarding yes
    PermitTTY no
Match Group {group}
    AuthorizedKeysFile {state}/keys/%u
    AuthorizedKeysCommand none
    TrustedUserCAKeys none
    AuthenticationMethods publickey
    PermitUserRC no
Match all
END
sshd -t && (systemctl reload ssh || systemctl reload sshd)
"""
HOST_KEY = "cat /etc/ssh/ssh_host_ed25519_key.pub"


def host_program() -> str:
    """Return the text of the program that the broker runs on a host."""
    return files("accessflows.connectors.linux").joinpath("host_program.py").read_text()


def set_up(broker: str, password: str) -> tuple[SetUpStep, ...]:
    return (
        SetUpStep(
            "Install the host program",
            "As root, on the host. It is all that the broker can run there: read it first. It needs Python 3.9 "
            "and sudo.",
            install_program(),
        ),
        SetUpStep(
            "Create the broker",
            "As root. It may run the program and nothing else; accounts of grants are members of the group.",
            _filled(_BROKER, broker, password),
        ),
        SetUpStep(
            "Trust this portal, and choose what can be requested",
            "As root. The keys were made for this page. Change permissions.conf: groups of the host, or commands "
            "by sudo, for each permission.",
            _filled(_TRUST, broker, password),
        ),
        SetUpStep(
            "Tell sshd",
            "As root. Only the broker and members of the group are affected.",
            _filled(_SSHD, broker, password),
        ),
        SetUpStep("Print the host key", "Paste the line into Host key below.", HOST_KEY),
    )


def install_program() -> str:
    return (
        f"install -m 755 /dev/stdin {PROGRAM} <<'END_OF_PROGRAM'\n{host_program()}END_OF_PROGRAM\n"
    )


def _filled(script: str, broker: str, password: str) -> str:
    return script.format(
        broker=broker,
        program=PROGRAM,
        config=CONFIG,
        state=STATE,
        group=GROUP,
        sshd_config=SSHD_CONFIG,
        server_id=secrets.token_hex(8),
        authority=public_line(authority_key(password)),
        broker_key=public_line(broker_key(password)),
    )
