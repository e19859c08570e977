"""Dual control: what weakens protection is confirmed by a second admin (``DUAL_CONTROL``)."""
