"""Grants through your own automation: signed calls to a webhook receiver.

Calls follow the Standard Webhooks specification. `docs/examples/webhook_receiver.py` is a receiver.
"""

from accessflows.connectors.webhook.connector import WebhookConnector

connector = WebhookConnector()
