"""A batch of windows of any files through the model, and text out of it.

Thresholds and rules are those of Whisper's sequential transcription (openai/whisper,
transcribe.py) as faster-whisper implements them: timestamps on, what the model leaves
unfinished at a window's end decoded again from there, suspicious results decoded again at
higher temperatures, and silence left out. Only the window's start differs: each chunk is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens

from speakeasy_tui.core.text import printable
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.segments import Outcome, add_words, finish, needs_fallback
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Window

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
BEST_OF = 5
MAX_INITIAL_TIMESTAMP = 50
"""In steps of 20 ms: the first timestamp is at most 1 s into a window."""


class Result(NamedTuple):
    """What became of a window: an error of its own, or its segments so far."""

    window: Window
    complete: bool
    """The chunk is done; otherwise the window goes into a batch again."""
    error: Exception | None = None


class Decoder:
    """Decodes batches with one loaded model."""

    def __init__(self, model: Model, meter: Meter, check_device: Callable[[], None]) -> None:
        self._model = model
        self._whisper = model.whisper
        self._meter = meter
        self._check_device = check_device
        self._tokenizers: dict[tuple[str, str], Any] = {}
        self._frames = int(self._whisper.feature_extractor.nb_max_frames)

    def tokenizer(self, language: str, task: str) -> Any:
        """faster-whisper's tokenizer for a language code and `transcribe` or `translate`."""
        key = (language, task)
        if key not in self._tokenizers:
            self._tokenizers[key] = Tokenizer(
                self._whisper.hf_tokenizer,
                self._model.multilingual,
                task=task,
                language=language,
            )
        return self._tokenizers[key]

    def decode(self, windows: Sequence[Window]) -> list[Result]:
        """Decode `windows`, which agree in their `bucket`.

        Files whose language is not known yet get it from their first window here.

        Raises:
            RuntimeError: CTranslate2's, for the batch as a whole.
        """
        self._check_device()
        with self._meter.working():
            features = np.stack([window.features(self._frames) for window in windows])
            encoded = self._whisper.encode(features)
            self._detect_languages(windows, encoded)
            wanted = [n for n, window in enumerate(windows) if not window.only_language]
            if not wanted:
                return [Result(window, complete=True) for window in windows]
            if len(wanted) < len(windows):
                encoded = self._whisper.encode(features[wanted])
            chosen = [windows[n] for n in wanted]
            generated = self._generate(chosen, encoded)
            outcomes = [
                self._again(window, features[n], outcome) if needs_fallback(outcome) else outcome
                for window, n, outcome in zip(chosen, wanted, generated, strict=True)
            ]
            results = [Result(window, complete=True) for window in windows if window.only_language]
            timed: list[tuple[Window, list[dict[str, Any]], Outcome, bool]] = []
            for window, outcome in zip(chosen, outcomes, strict=True):
                try:
                    segments, complete = self._split(window, outcome)
                    timed.append((window, segments, outcome, complete))
                except Exception as error:
                    results.append(Result(window, complete=False, error=error))
            self._align(timed, features, windows)
        for window, segments, outcome, complete in timed:
            try:
                finish(window, segments, outcome, self._tokenizer_of(window))
                results.append(Result(window, complete))
            except Exception as error:
                results.append(Result(window, complete=False, error=error))
        return results

    def _tokenizer_of(self, window: Window) -> Any:
        return self.tokenizer(window.file.language or "en", window.file.options.task)

    def _detect_languages(self, windows: Sequence[Window], encoded: Any) -> None:
        if all(window.file.language is not None for window in windows):
            return
        found = self._whisper.model.detect_language(encoded)
        for window, languages in zip(windows, found, strict=True):
            if window.file.language is None:
                token, probability = languages[0]
                window.file.language = printable(token[2:-2])  # <|en|>
                window.file.language_probability = round(float(probability), 4)

    def _prompt(self, window: Window) -> list[int]:
        tokenizer = self._tokenizer_of(window)
        text = window.file.options.initial_prompt.strip()
        before = tokenizer.encode(" " + text) if text else []
        prompt: list[int] = self._whisper.get_prompt(tokenizer, before)
        return prompt

    def _settings(self, window: Window) -> dict[str, Any]:
        return {
            "length_penalty": 1.0,
            "max_length": self._whisper.max_length,
            "return_scores": True,
            "return_no_speech_prob": True,
            "suppress_blank": True,
            "suppress_tokens": get_suppressed_tokens(self._tokenizer_of(window), [-1]),
            "max_initial_timestamp_index": MAX_INITIAL_TIMESTAMP,
        }

    def _generate(self, windows: Sequence[Window], encoded: Any, **how: Any) -> list[Outcome]:
        how = how or {"beam_size": windows[0].file.options.beam_size, "patience": 1.0}
        results = self._whisper.model.generate(
            encoded,
            [self._prompt(window) for window in windows],
            **self._settings(windows[0]),
            **how,
        )
        temperature = how.get("sampling_temperature", 0.0)
        return [
            self._outcome(window, result, temperature)
            for window, result in zip(windows, results, strict=True)
        ]

    def _outcome(self, window: Window, result: Any, temperature: float) -> Outcome:
        tokens = list(result.sequences_ids[0])
        text = self._tokenizer_of(window).decode(tokens).strip()
        return Outcome(
            tokens=tokens,
            # CTranslate2 divides by the length without the end token, Whisper with it.
            avg_logprob=float(result.scores[0]) * len(tokens) / (len(tokens) + 1),
            compression_ratio=get_compression_ratio(text),
            no_speech_prob=float(result.no_speech_prob),
            temperature=temperature,
        )

    def _again(self, window: Window, features: Any, first: Outcome) -> Outcome:
        """Sample at rising temperatures until a result is not suspicious; else the best."""
        encoded = self._whisper.encode(features)
        tried = [first]
        for temperature in TEMPERATURES:
            self._check_device()
            outcome = self._generate(
                [window],
                encoded,
                beam_size=1,
                num_hypotheses=BEST_OF,
                sampling_topk=0,
                sampling_temperature=temperature,
            )[0]
            if not needs_fallback(outcome):
                return outcome
            tried.append(outcome)
        sound = [outcome for outcome in tried if not outcome.loops]
        return max(sound or tried, key=lambda outcome: outcome.avg_logprob)

    def _split(self, window: Window, outcome: Outcome) -> tuple[list[dict[str, Any]], bool]:
        """Segments as faster-whisper's dicts, and whether the chunk is done. Moves `seek`."""
        left = min(self._frames, window.frames - window.seek)
        if outcome.silent:
            window.seek += left
            return [], window.seek >= window.frames
        before = window.seek
        segments, seek, _ = self._whisper._split_segments_by_timestamps(
            tokenizer=self._tokenizer_of(window),
            tokens=outcome.tokens,
            time_offset=window.start + before / 100,
            segment_size=left,
            segment_duration=left / 100,
            seek=before,
        )
        window.seek = seek
        if seek <= before:  # nothing but timestamps at zero: going on would never end
            window.seek = window.frames
        elif window.seek < window.frames and left == window.frames - before:
            # Text behind the last timestamp. Whisper drops it and starts again there, for its
            # windows end anywhere. A chunk ends in a pause, and the model has heard all of it:
            # the text is whole, and keeping it is both more accurate and one window less.
            rest = _unfinished(outcome.tokens, self._tokenizer_of(window).timestamp_begin)
            if rest:
                start = window.start + window.seek / 100
                segments.append({"seek": before, "start": start, "end": window.end, "tokens": rest})
                window.seek = window.frames
        return segments, window.seek >= window.frames or not window.speech_left()

    def _align(
        self,
        timed: Sequence[tuple[Window, list[dict[str, Any]], Outcome, bool]],
        features: Any,
        windows: Sequence[Window],
    ) -> None:
        """Word times, where asked for; one call for all windows of a language and task."""
        groups: dict[tuple[str | None, str], list[tuple[Window, list[dict[str, Any]]]]] = {}
        for window, segments, _, _ in timed:
            options = window.file.options
            # `align` cannot place a text of no tokens.
            if options.word_timestamps and _has_text(segments, self._tokenizer_of(window)):
                key = (window.file.language, options.task)
                groups.setdefault(key, []).append((window, segments))
        for items in groups.values():
            places = [windows.index(window) for window, _ in items]
            encoded = self._whisper.encode(features[places])
            add_words(self._whisper, self._tokenizer_of(items[0][0]), encoded, items)


def _unfinished(tokens: Sequence[int], timestamp_begin: int) -> list[int]:
    """Tokens of text behind the last timestamp; none when decoding ran out of room."""
    if len(tokens) >= 220:  # of at most 224 (half of Whisper's 448)
        return []
    last = max(n for n, token in enumerate(tokens) if token >= timestamp_begin)
    return list(tokens[last + 1 :])


def _has_text(segments: Sequence[dict[str, Any]], tokenizer: Any) -> bool:
    return any(token < tokenizer.eot for segment in segments for token in segment["tokens"])
