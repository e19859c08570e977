"""User services for the server's console only."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from apono_portal.users.exceptions import UserError
from apono_portal.users.models import Role, User
from apono_portal.users.services.passwords import Invitation, link_to_set_password
from apono_portal.users.services.users import EMAIL_TAKEN
from audit.events import EventName
from audit.services import record


def add_admin_from_console(*, email: str, name: str, operator: str) -> Invitation:
    """Add an account admin to a new portal, and return a link to set a password."""
    try:
        validate_email(email)
        with transaction.atomic():
            user = User.objects.create_user(email=email, name=name, role=Role.ADMIN)
            record(
                event=EventName.USER_CREATE,
                actor=None,
                target=user,
                metadata={"role": Role.ADMIN, "console": True, "operator": operator},
            )
    except ValidationError:
        raise UserError(f"{email} is not a valid email.", field="email") from None
    except IntegrityError:
        raise UserError(EMAIL_TAKEN, field="email") from None
    return Invitation(emailed=False, link=link_to_set_password(user))
