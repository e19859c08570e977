"""What can go wrong while setting up the demo, as one sentence for the person who started it."""


class DemoError(Exception):
    """The message says what happened and what to do."""
