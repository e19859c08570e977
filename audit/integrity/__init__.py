"""The hash chain over the log: checkpoints, verification, retention."""
