"""What can only be done from the server's console."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from apono_portal.users.exceptions import PersonRefused
from apono_portal.users.models import Role, User
from apono_portal.users.services.passwords import Invitation, link_to_set_password
from apono_portal.users.services.people import EMAIL_TAKEN
from audit.events import EventName
from audit.services import record


def add_admin_from_console(*, email: str, name: str, operator: str) -> Invitation:
    """Add an account admin, as the way into a new portal. Returns the link to set a password."""
    try:
        validate_email(email)
        with transaction.atomic():
            user: User = User.objects.create_user(email=email, name=name, role=Role.ADMIN)
            record(
                event=EventName.USER_CREATE,
                actor=None,
                target=user,
                metadata={"role": Role.ADMIN, "console": True, "operator": operator},
            )
    except ValidationError:
        raise PersonRefused(f"{email} is not an e-mail address.", field="email") from None
    except IntegrityError:
        raise PersonRefused(EMAIL_TAKEN, field="email") from None
    return Invitation(mailed=False, link=link_to_set_password(user))
