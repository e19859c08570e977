"""Linux hosts: an account for every grant, with a certificate that only its principal's credential has.

docs/linux-hosts.md says how a host is set up and what is measured.
"""

from accessflows.connectors.kinds import (
    ConnectorKind,
    CredentialKind,
    Keeper,
    Promise,
    Promises,
)
from accessflows.connectors.linux.keys import check_secret
from accessflows.connectors.linux.settings import LinuxSettings
from accessflows.connectors.linux.setup_commands import set_up

kind = ConnectorKind(
    name="linux",
    label="Linux host",
    summary="Accounts and SSH certificates",
    icon="terminal",
    promises=Promises(
        CredentialKind.CERTIFICATE,
        "An account of its own for every grant",
        Promise(
            Keeper.TARGET,
            "End enforced by sshd",
            "sshd refuses the certificate after the end, to the second; sudo refuses the grant's rule. The "
            "account itself expires at the end of the day (UTC), which is as fine as Linux has it.",
        ),
        Promise(
            Keeper.PORTAL,
            "Sessions terminated",
            "The portal kills every process of the account until none is left, and scheduled jobs. What it "
            "started through sudo is killed where the login or sudo's own mark shows it; the system's "
            "services do not show who had them start something.",
        ),
        Promise(
            Keeper.PARTLY,
            "Leftovers in part",
            "Files in shared folders and shared memory that the account owns are listed; the home is removed. "
            "Other folders, and what was done through sudo, are not visible.",
        ),
    ),
    connector="accessflows.connectors.linux.connector:LinuxConnector",
    settings=LinuxSettings,
    set_up=set_up,
    default_port=22,
    credential_label="Signing secret",
    mark_label="User ID",
    resource_label="Host",
    uses_tls=False,
    set_up_note="The signing secret was generated for this page and is filled in below; this holds only public "
    "keys made from it.",
    check_secret=check_secret,
)
