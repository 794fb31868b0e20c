"""The window. Importing this imports no Textual; `run` does, once the environment is set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speakeasy_tui.client.link import Link
    from speakeasy_tui.core.paths import Home
    from speakeasy_tui.core.protocol import AnyRequest
    from speakeasy_tui.core.settings import JobOptions, Settings


def run(
    connect: Callable[[], Link],
    home: Home,
    settings: Settings,
    *,
    on_connected: Sequence[AnyRequest] = (),
    save_theme: Callable[[str], None] | None = None,
    job_options: Callable[[], JobOptions] | None = None,
) -> str:
    """Show the interface until the person leaves it or the terminal goes away.

    `connect` gives a link to the runner; it is called on a worker thread, again every second
    after the link broke (less and less often where a runner cannot be started). `on_connected`
    is sent once, after the first connection.
    `save_theme` keeps the name of a theme chosen in the palette. `job_options` gives what holds for
    files that are added from here, by default what the config file says.

    Returns the line to print on the terminal: whether work goes on, and what to type.
    """
    import gc
    import os

    from speakeasy_tui.tui.environment import prepare

    prepare(os.environ)
    from speakeasy_tui.tui.app import SpeakeasyApp

    gc.disable()  # until all rows are here: it would look through each of them, again and again
    app = SpeakeasyApp(
        connect,
        home,
        settings,
        on_connected=on_connected,
        save_theme=save_theme,
        job_options=job_options,
    )
    try:
        return app.run(mouse=settings.mouse) or ""
    finally:
        gc.enable()
        app.end_watch()
