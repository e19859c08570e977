"""HTTP: request types, clients, permissions, outgoing calls."""
