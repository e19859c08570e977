"""Logs as people read them, or as one JSON object a line with time, level, logger, event and details."""

from typing import Any

import structlog

FORMATS = ("line", "json")


def logging_for(chosen: str, level: str) -> dict[str, Any]:
    """Return Django's ``LOGGING``, and have structlog hand its events to the same handler."""
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    last: Any = structlog.processors.JSONRenderer(default=str)
    if chosen == "line":
        last = structlog.dev.ConsoleRenderer(colors=False)
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": before,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"propagate": True, "handlers": []},
            # Refusals are on the record. A line for each would say addresses, which may hold tokens.
            "django.request": {"level": "ERROR"},
        },
    }
