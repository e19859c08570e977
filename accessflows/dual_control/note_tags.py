"""Template tag: the changes of what a page shows that wait for a second admin."""

from django import template
from django.conf import settings
from django.db import models

from accessflows.dual_control.selectors import changes_of
from accessflows.models import ProposedChange

register = template.Library()


@register.simple_tag
def pending_changes_of(target: models.Model) -> list[ProposedChange]:
    """Return the pending changes of a flow, an integration or a user; nothing without dual control."""
    if not settings.DUAL_CONTROL:
        return []
    return list(changes_of(target._meta.label_lower, target.pk))
