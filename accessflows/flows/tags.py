"""``{% promises_of_flow flow as kinds %}``: what the kinds of a flow's targets promise, for its pages."""

from django import template

from accessflows.connectors.kinds import ConnectorKind
from accessflows.models import AccessFlow, Integration

register = template.Library()


@register.simple_tag
def promises_of_flow(flow: AccessFlow) -> list[tuple[ConnectorKind, list[str]]]:
    """Return each kind with the names of the integrations that the flow gives access to."""
    integrations = Integration.objects.filter(resources__flow_targets__flow=flow)
    names: dict[ConnectorKind, list[str]] = {}
    for integration in integrations.distinct().order_by("name"):
        if integration.connector_kind:
            names.setdefault(integration.connector_kind, []).append(integration.name)
    return list(names.items())
