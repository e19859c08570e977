"""Logs as readable lines, or as JSON lines with timestamp, level, logger, event and details."""

from typing import Any

import structlog


def logging_for(log_format: str, level: str) -> dict[str, Any]:
    """Return Django's ``LOGGING``, and configure structlog to use the same handler."""
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *processors,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    renderer: Any = structlog.processors.JSONRenderer(default=str)
    if log_format == "line":
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": processors,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"portal": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "portal"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"propagate": True, "handlers": []},
            # The audit log has refusals. Lines about them would log URLs, which may contain tokens.
            "django.request": {"level": "ERROR"},
            # Its debug lines hold PKCE verifiers.
            "authlib": {"level": "INFO"},
        },
    }
