"""How reading commands open the state: beside whoever writes it, without a lease, and without writing a byte.

Where the settings name another machine's daemon (`client.url`), that is asked in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from reconciler.cli.options import GlobalOptions
from reconciler.protocols import StateReading


@contextmanager
def state_of(options: GlobalOptions) -> Iterator[StateReading]:
    """Yield the state that the settings name, an empty one where there is none yet. ConfigurationError, StateError."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.state import open_readonly

    settings = app.load_settings(options.config)
    app.started()
    if settings.client.url is not None:
        from reconciler.cli.remote import client_of  # saves start-up time: httpx
        from reconciler.client import RemoteState

        with closing(RemoteState(client_of(settings))) as remote:
            yield remote
        return
    with closing(open_readonly(app.state_path(settings), busy_timeout=settings.state.busy_timeout)) as state:
        yield state


def gave_watchers(options: GlobalOptions, directory: Path) -> bool:
    """Tell whether the state of this machine has watchers out of that directory."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.sources.directory import DirectorySource
    from reconciler.state import open_readonly

    name = DirectorySource(directory).name
    settings = app.load_settings(options.config)
    with closing(open_readonly(app.state_path(settings), busy_timeout=settings.state.busy_timeout)) as state:
        return any(spec.origin.source == name for spec in state.specs())
