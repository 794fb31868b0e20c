"""A batch of windows of any files through the model, and text out of it.

Thresholds and rules are those of Whisper's sequential transcription (openai/whisper,
transcribe.py) as faster-whisper implements them: timestamps on, what the model leaves
unfinished at a window's end decoded again from there, suspicious results decoded again at
higher temperatures, and silence left out. Only the window's start differs: each chunk is one.
Several short chunks may share a window (`engine.packing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from speakeasy_tui.core.text import printable
from speakeasy_tui.engine import shortwindow
from speakeasy_tui.engine.apart import shared_segments, tell_apart
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.generation import Generation
from speakeasy_tui.engine.missed import LOOKS, MISSED, is_thin, may_lack, note_gaps
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.outcome import Outcome, is_sure, needs_fallback
from speakeasy_tui.engine.packing import TRIES
from speakeasy_tui.engine.segments import (
    add_words,
    finish,
    text_of,
    unfinished,
    warn_of_unheard,
    warn_of_words,
)
from speakeasy_tui.engine.sequential import hear
from speakeasy_tui.engine.shortwindow import SURE_OF_LANGUAGE, is_clear
from speakeasy_tui.engine.trouble import Trouble, unjudged
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Dropped, Piece, Window

Segments = list[dict[str, Any]]
"""As faster-whisper's dicts."""


class Result(NamedTuple):
    """What became of a piece: an error of its own, or its segments so far."""

    piece: Piece
    complete: bool
    """The chunk is done; otherwise the piece goes into a batch again."""
    error: Trouble | None = None


class Decoder:
    """Decodes batches with one loaded model; several threads may do so at the same time."""

    def __init__(self, model: Model, meter: Meter, check_device: Callable[[], None]) -> None:
        self._model = model
        self._whisper = model.whisper
        self.meter = meter
        self._check_device = check_device
        self.text = Generation(model, meter, check_device)
        self.frames = int(self._whisper.feature_extractor.nb_max_frames)
        """Of a window."""

    def decode(self, windows: Sequence[Window]) -> list[Result]:
        """Decode `windows`, whose pieces agree in their `bucket`.

        Files whose language is not known yet get it from their first window here. A piece whose
        result is suspicious comes back with it (`Piece.tried`), to be sampled in another batch.

        Raises:
            RuntimeError: CTranslate2's, for the batch as a whole.
        """
        self._check_device()
        with self.meter.stage("encode"):
            encoded = self._model.encode(
                [one.features(one.length or self.frames) for one in windows],
                [one.first.encoded for one in windows],
            )
        self._detect_languages(windows, encoded)
        asked = [n for n, window in enumerate(windows) if window.first.only_language]
        results = [Result(windows[n].lone, complete=True) for n in asked]
        unknown = [n for n, window in enumerate(windows) if window.first.file.language is None]
        for n in unknown:
            windows[n].lone.unclear = shortwindow.TRIES  # the model's own length tells
            results.append(Result(windows[n].lone, complete=False))
        wanted = [n for n in range(len(windows)) if n not in asked and n not in unknown]
        if not wanted:
            return results
        lone = [n for n in wanted if not windows[n].packed]
        if windows[0].first.tried:
            outcomes = self.text.sample([window.lone for window in windows], encoded)
        else:
            outcomes = dict(zip(wanted, self.text.search(windows, wanted, encoded), strict=True))
            aside = self._unclear(windows, lone, outcomes)
            rest = [n for n in lone if n not in aside]
            aside += self._put_aside(windows, rest, encoded, outcomes)
            results += [Result(windows[n].lone, complete=False) for n in aside]
            lone = [n for n in lone if n not in aside]
        timed: list[tuple[int, Segments, bool]] = []
        for n in lone:
            piece = windows[n].lone
            try:
                timed.append((n, *self._split(piece, outcomes[n])))
            except Exception as error:
                results.append(Result(piece, complete=False, error=unjudged(error)))
        with self.meter.stage("align"):
            if self._model.aligns:
                self._look_for_gaps(windows, timed, encoded)
                self._align(windows, timed, encoded)
            else:
                warn_of_words(windows[n].lone.file for n in lone)
            packed = [n for n in wanted if windows[n].packed]
            told = self._tell_apart(windows, packed, encoded, outcomes)
        results += [
            self._finish(windows[n].lone, segments, outcomes[n], complete)
            for n, segments, complete in timed
        ]
        for n in packed:
            for piece, own in zip(windows[n].pieces, told[n], strict=True):
                if own is None:
                    piece.packings += 1
                    results.append(Result(piece, complete=False))
                else:
                    results.append(self._finish(piece, own, outcomes[n], complete=True))
        return results

    def decode_whole(self, piece: Piece, tell: Callable[[], None]) -> Result:
        """Decode a piece that is a whole recording; `tell` is called whenever it has got on.

        Raises:
            RuntimeError: CTranslate2's.
        """

        def next_window() -> None:
            piece.file.check()
            self._check_device()
            tell()

        self._check_device()
        try:
            with self.meter.stage("sequential"):
                hear(self._whisper, piece, next_window)
        except Dropped:
            return Result(piece, complete=False)
        except RuntimeError:
            raise
        except Exception as error:
            return Result(piece, complete=False, error=unjudged(error))
        return Result(piece, complete=True)

    def _finish(self, piece: Piece, segments: Segments, outcome: Outcome, complete: bool) -> Result:
        try:
            finish(piece, segments, outcome, self.text.tokenizer_of(piece))
        except Exception as error:
            return Result(piece, complete=False, error=unjudged(error))
        if complete and piece.next_gap():
            return Result(piece, complete=False)
        return Result(piece, complete)

    def _detect_languages(self, windows: Sequence[Window], encoded: Encoded) -> None:
        unknown = [n for n, window in enumerate(windows) if window.first.file.language is None]
        if not unknown:
            return
        with self.meter.stage("language"):
            found = self._whisper.model.detect_language(encoded.rows(unknown))
        for n, languages in zip(unknown, found, strict=True):
            file = windows[n].first.file
            token, probability = languages[0]
            sure = probability >= SURE_OF_LANGUAGE or windows[n].length is None
            if file.language is None and sure:
                file.language = printable(token[2:-2])  # <|en|>
                file.language_probability = round(float(probability), 4)

    def _unclear(
        self, windows: Sequence[Window], which: Sequence[int], outcomes: dict[int, Outcome]
    ) -> list[int]:
        """Those of `which` whose window was too short; they are to get a longer one."""
        if windows[0].length is None:
            return []
        found = [n for n in which if not is_clear(outcomes[n])]
        for n in found:
            windows[n].lone.unclear += 1
        return found

    def _put_aside(
        self,
        windows: Sequence[Window],
        which: Sequence[int],
        encoded: Encoded,
        outcomes: dict[int, Outcome],
    ) -> list[int]:
        """Those of `which` whose outcome is suspicious; they are to be sampled.

        That takes up to five rounds, of which the others of the batch should not wait for the
        end, and costs little more for several than for one: so they go into a batch of their kind.
        """
        aside = [
            n
            for n in which
            if needs_fallback(outcomes[n])
            and windows[n].lone.file.options.fallback
            # What is heard again is let go of where it is not clear at once.
            and windows[n].lone.until is None
        ]
        for n in aside:
            windows[n].lone.tried = [outcomes[n]]
            windows[n].lone.encoded = encoded.row(n)
        return aside

    # ------------------------------------------------------------- text and times

    def _split(self, piece: Piece, outcome: Outcome) -> tuple[Segments, bool]:
        """Segments as faster-whisper's dicts, and whether the chunk is done. Moves `seek`."""
        left = min(self.frames, piece.left)
        before, limit = piece.seek, piece.limit
        again = piece.until is not None
        if outcome.unheard:
            warn_of_unheard(piece.file)
        if outcome.silent or outcome.unheard or (again and not is_sure(outcome)):
            piece.seek += left
            return [], piece.seek >= limit
        segments, seek, _ = self._whisper._split_segments_by_timestamps(
            tokenizer=self.text.tokenizer_of(piece),
            tokens=outcome.tokens,
            time_offset=piece.start + before / 100,
            segment_size=left,
            segment_duration=left / 100,
            seek=before,
        )
        piece.seek = seek
        if seek <= before:  # nothing but timestamps at zero: going on would never end
            piece.seek = limit
        elif piece.seek < limit and left == limit - before:
            # Text behind the last timestamp. Whisper drops it and starts again there, for its
            # windows end anywhere. A chunk ends in a pause, and the model has heard all of it:
            # the text is whole, and keeping it is both more accurate and one window less.
            rest = unfinished(outcome, self.text.tokenizer_of(piece).timestamp_begin)
            if rest:
                start, end = (piece.start + frame / 100 for frame in (piece.seek, limit))
                segments.append({"seek": before, "start": start, "end": end, "tokens": rest})
                piece.seek = limit
        elif piece.seek >= limit and segments and not again:
            # The model says that nobody speaks any more; the voice detection may know better.
            last = round((segments[-1]["end"] - piece.start) * 100)
            if before < last < limit and piece.speech_from(last) > MISSED and piece.looks < LOOKS:
                piece.seek = last
                piece.looks += 1
        return segments, again or piece.seek >= limit or not piece.speech_left()

    def _look_for_gaps(
        self,
        windows: Sequence[Window],
        timed: Sequence[tuple[int, Segments, bool]],
        encoded: Encoded,
    ) -> None:
        """Note speech that was left out, where there is little text for so much speech."""
        groups: dict[str | None, list[tuple[int, Segments]]] = {}
        for n, segments, _ in timed:
            piece = windows[n].lone
            if may_lack(piece) and is_thin(piece, segments, self.text.tokenizer_of(piece)):
                groups.setdefault(piece.file.language, []).append((n, segments))
        for group in groups.values():
            items = [(windows[n].lone, segments) for n, segments in group]
            note_gaps(encoded, [n for n, _ in group], self.text.tokenizer_of(items[0][0]), items)

    def _align(
        self,
        windows: Sequence[Window],
        timed: Sequence[tuple[int, Segments, bool]],
        encoded: Encoded,
    ) -> None:
        """Word times, where asked for; one call for all windows of a language and task."""
        groups: dict[tuple[str | None, str], list[tuple[int, Segments]]] = {}
        for n, segments, _ in timed:
            piece = windows[n].lone
            options = piece.file.options
            # `align` cannot place a text of no tokens.
            if options.word_timestamps and text_of(segments, self.text.tokenizer_of(piece)):
                key = (piece.file.language, options.task)
                groups.setdefault(key, []).append((n, segments))
        for group in groups.values():
            items = [(windows[n].lone, segments) for n, segments in group]
            tokenizer = self.text.tokenizer_of(items[0][0])
            add_words(self._whisper, encoded, [n for n, _ in group], tokenizer, items)

    def _tell_apart(
        self,
        windows: Sequence[Window],
        packed: Sequence[int],
        encoded: Encoded,
        outcomes: dict[int, Outcome],
    ) -> dict[int, list[Segments | None]]:
        """What each piece of the `packed` windows has to say; None: it must be heard again."""
        told: dict[int, list[Segments | None]] = {}
        groups: dict[str | None, list[tuple[int, Segments, list[int]]]] = {}
        for n in packed:
            window, outcome = windows[n], outcomes[n]
            told[n] = [None] * len(window.pieces)
            if outcome.silent or needs_fallback(outcome) or outcome.cut_off:
                for piece in window.pieces:
                    piece.packings = TRIES  # it may be one of them that spoils the others
                continue
            tokenizer = self.text.tokenizer_of(window.first)
            segments = shared_segments(self._whisper, window, outcome, tokenizer)
            text = text_of(segments, tokenizer)
            if text:
                groups.setdefault(window.first.file.language, []).append((n, segments, text))
        for group in groups.values():
            tokenizer = self.text.tokenizer_of(windows[group[0][0]].first)
            found = encoded.align(
                tokenizer,
                [n for n, _, _ in group],
                [text for _, _, text in group],
                [min(self.frames, windows[n].frames) for n, _, _ in group],
            )
            for (n, segments, _), words in zip(group, found, strict=True):
                told[n] = tell_apart(windows[n], segments, words, tokenizer)
        return told
