"""``{% user_link request.requester_label request.requester_id linked=True %}``: a name, and the way to its page."""

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apono_portal.core.formatting.datetimes import person

register = template.Library()


@register.simple_tag
def user_link(label: str, pk: int | None, *, linked: bool) -> SafeString:
    """Return the name in a label, linked to the page of that user for those who may open it.

    A user who is deleted has no key, and no page.
    """
    if pk is None or not linked:
        return format_html("{}", person(label))
    return format_html('<a href="{}">{}</a>', reverse("users:detail", args=[pk]), person(label))
