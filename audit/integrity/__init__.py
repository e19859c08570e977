"""Tamper evidence of the log: chain, signed checkpoints, verification, retention."""
