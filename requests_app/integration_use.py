"""What needs an integration now, and so stands in the way of deleting it."""

from dataclasses import dataclass

from accessflows.models import AccessFlow, Integration
from accessflows.selectors import flows_through
from requests_app.models import Grant


@dataclass(frozen=True)
class IntegrationUse:
    """What stands in the way of deleting an integration."""

    flows: tuple[AccessFlow, ...]
    live: int

    @property
    def in_the_way(self) -> bool:
        return bool(self.flows or self.live)

    @property
    def sentence(self) -> str:
        if self.live:
            return f"Access on it is not proven gone yet ({self.live}). Disable it, and wait."
        names = ", ".join(flow.name for flow in self.flows)
        return f"These access flows lead there: {names}. Take it out of them first."


def use_of_integration(integration: Integration) -> IntegrationUse:
    return IntegrationUse(
        tuple(flows_through(integration).order_by("name")),
        Grant.objects.live().filter(integration=integration).count(),
    )
