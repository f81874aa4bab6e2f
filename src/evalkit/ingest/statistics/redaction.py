"""Keeping a key out of every text: messages, logs, kept bytes.

The key is never part of what httpx is given (`connection` puts it in at the last moment), so its logs and exceptions
cannot hold it. What stands here is the second lock: an answer that echoes the key, and the log lines below httpx.
"""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

HIDDEN = "(키가림)"
_HIDDEN_BYTES = b"(hidden)"


class Redactor:
    """Replaces a key, in every way it may be written, by `HIDDEN`."""

    __slots__ = ("_bytes", "_text")

    def __init__(self, secret: str) -> None:
        ways = _ways(secret)
        pattern = "|".join(re.escape(way) for way in ways)
        self._text = re.compile(pattern, re.IGNORECASE) if ways else None
        self._bytes = re.compile(pattern.encode(), re.IGNORECASE) if ways else None

    def __repr__(self) -> str:
        return "Redactor()"

    def text(self, text: str) -> str:
        """The text without the key."""
        return self._text.sub(HIDDEN, text) if self._text else text

    def content(self, content: bytes) -> tuple[bytes, int]:
        """Bytes without the key, and how often it stood in them."""
        return self._bytes.subn(_HIDDEN_BYTES, content) if self._bytes else (content, 0)


def _ways(secret: str) -> list[str]:
    """How a key may be written: as it is, for a URL (once or twice quoted), for HTML and JSON, without its padding; longest first."""
    if not secret:
        return []
    bare = secret.rstrip("=")
    ways = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        quote(quote(secret, safe=""), safe=""),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        secret.replace("/", "\\/"),
        bare,
        quote(bare, safe=""),
    }
    return sorted((way for way in ways if len(way) >= 6), key=lambda way: (-len(way), way))


class _Filter(logging.Filter):
    """Log records without the key."""

    def __init__(self, hide: Redactor) -> None:
        super().__init__()
        self._hide = hide

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            told = record.getMessage()
        except (TypeError, ValueError):
            told = str(record.msg)
        record.msg, record.args = self._hide.text(told), ()
        if record.exc_info:
            record.exc_text = self._hide.text(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


@contextmanager
def quiet_logs(hide: Redactor) -> Iterator[None]:
    """While a connection is open, what httpx and the layers below it log passes through the redactor."""
    names = sorted(
        {"httpx", "httpcore"}
        | {f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")}
        | {name for name in logging.root.manager.loggerDict if name.startswith(("httpx.", "httpcore."))}
    )
    guard = _Filter(hide)
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(guard)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(guard)
