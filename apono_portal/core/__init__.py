"""Ground for every app. Imports nothing of the portal's."""
