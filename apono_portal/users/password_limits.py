"""How many incorrect passwords are accepted, and from whom.

A browser in which somebody signed in before, with the password they have now, has a budget of its own for
that account: strangers cannot use it up. All other attempts are counted for the account from one
network, for the network, and for the account from everywhere. A network is an IPv4 address or an
IPv6 /64, which is what one customer gets (RFC 6177).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apono_portal.core.web.client import client_address
from apono_portal.users import sign_in_devices
from apono_portal.users.exceptions import PasswordsBlocked
from apono_portal.users.managers import normalise_email
from apono_portal.users.models import PasswordFailure

PERIOD = timedelta(minutes=15)
BROWSER_LIMIT = 10
ACCOUNT_AND_NETWORK_LIMIT = 10
NETWORK_LIMIT = 30
ACCOUNT_LIMIT = 30


@dataclass(frozen=True, slots=True)
class PasswordAttempt:
    """Whose password is tried, from where. ``browser`` is empty for a stranger's."""

    account: str
    network: str
    browser: str

    @classmethod
    def of(cls, request: HttpRequest, email: str) -> "PasswordAttempt":
        return cls(
            account=account_reference(email),
            network=network_of(client_address(request)),
            browser=sign_in_devices.find_device(request, email),
        )

    @classmethod
    def for_link(cls, request: HttpRequest, email: str) -> "PasswordAttempt":
        """Return a request for a link by email. It has budgets of its own: it uses up no passwords."""
        return cls(
            account=account_reference(f"link {email}"),
            network=f"link {network_of(client_address(request))}",
            browser="",
        )

    def require_budget(self, *, counted: PasswordFailure | None = None) -> None:
        """Raise `PasswordsBlocked` if a budget is used up, without ``counted``."""
        failures = [failure for failure in self._failures() if failure != counted]
        self._raise_if_used_up(failures, is_new=False)

    def count(self) -> PasswordFailure:
        """Count the attempt before the password is compared, so that of many at once each counts."""
        now = timezone.now()
        PasswordFailure.objects.filter(at__lt=now - PERIOD).delete()
        failure = PasswordFailure.objects.create(
            account=self.account, network=self.network, browser=self.browser, at=now
        )
        try:
            self.require_budget(counted=failure)
        except PasswordsBlocked:  # refused attempts do not extend a lockout
            failure.delete()
            raise
        return failure

    def fail(self) -> None:
        """Raise `PasswordsBlocked` if the incorrect password just counted was the last one allowed."""
        self._raise_if_used_up(list(self._failures()), is_new=True)

    def succeed(self) -> None:
        """Forget the account's incorrect passwords from here. Other budgets stay as they are."""
        own = PasswordFailure.objects.filter(account=self.account, browser=self.browser)
        (own if self.browser else own.filter(network=self.network)).delete()

    def _failures(self) -> QuerySet[PasswordFailure]:
        recent = PasswordFailure.objects.filter(at__gt=timezone.now() - PERIOD).order_by("-at")
        if self.browser:
            return recent.filter(account=self.account, browser=self.browser)
        return recent.filter(Q(account=self.account) | Q(network=self.network), browser="")

    def _raise_if_used_up(self, failures: list[PasswordFailure], *, is_new: bool) -> None:
        account = [failure for failure in failures if failure.account == self.account]
        network = [failure for failure in failures if failure.network == self.network]
        both = [failure for failure in account if failure.network == self.network]
        if self.browser:
            network_end, account_ends = None, [_end(account, BROWSER_LIMIT)]
        else:
            network_end = _end(network, NETWORK_LIMIT)
            account_ends = [_end(both, ACCOUNT_AND_NETWORK_LIMIT), _end(account, ACCOUNT_LIMIT)]
        ends = [end for end in (network_end, *account_ends) if end is not None]
        if ends:
            raise PasswordsBlocked(max(ends), is_new=is_new, whole_network=not any(account_ends))


def account_reference(email: str) -> str:
    """Return a keyed hash of the email entered: users sometimes type their password there.

    The email is normalised, so that another spelling shares the same limit.
    """
    return salted_hmac("apono_portal.users.sign_in", normalise_email(email)).hexdigest()


def network_of(address: str | None) -> str:
    """Return the IPv4 address, or the /64 of an IPv6 address; empty if the address is unknown."""
    if not address:
        return ""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed), 64), strict=False))
    return str(parsed)


def _end(failures: list[PasswordFailure], limit: int) -> datetime | None:
    """Return when a used-up budget accepts passwords again. ``failures`` begin with the newest."""
    return failures[limit - 1].at + PERIOD if len(failures) >= limit else None
