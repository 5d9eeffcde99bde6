"""The text file for Prometheus: what is measured, where nothing may listen. The daemon writes it by the clock, `--once`
at its end.

For the textfile collector of node_exporter: a `.prom` file, replaced as a whole, without the names that node_exporter
has for itself (`process_*`). A file that cannot be written is said, and stops nothing.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from reconciler.engine.controller import Controller
from reconciler.engine.counting import counted
from reconciler.engine.parts import Parts
from reconciler.errors import ConfigurationError

log = logging.getLogger(__name__)


class TextFile:
    """Writes `metrics.textfile`, where there is one. Raises ConfigurationError where the library is missing."""

    def __init__(self, parts: Parts, controller: Controller) -> None:
        self._parts, self._controller = parts, controller
        self._path: Path | None = parts.settings.metrics.textfile
        self._failed = ""
        if self._path is not None:
            _check_library()

    @property
    def wanted(self) -> bool:
        """True where the settings name a file."""
        return self._path is not None

    async def write(self) -> None:
        """Replace the file by what is measured now. Raises StateError."""
        if self._path is None:
            return
        from prometheus_client import CollectorRegistry, write_to_textfile  # both an extra, see `measures`

        from reconciler.engine.measures import Snapshot

        registry = CollectorRegistry()
        registry.register(Snapshot(self._parts, self._controller, await counted(self._parts, self._parts.state.run)))
        try:
            await asyncio.to_thread(write_to_textfile, str(self._path), registry)
        except OSError as error:
            self._say(f"{self._path}: {error.strerror}; the metrics are not written there")
        else:
            self._failed = ""

    def _say(self, message: str) -> None:
        """Once, not at every turn."""
        if message != self._failed:
            log.error("%s", message)
        self._failed = message


def _check_library() -> None:
    try:
        import prometheus_client  # noqa: F401 - a daemon without it should not start, rather than fail later
    except ImportError as error:
        raise ConfigurationError(
            "metrics.textfile needs prometheus-client, which is not installed",
            remedy="pip install 'reconciler[metrics]'",
        ) from error
