"""Text for windows that have been through the encoder: searched, or sampled.

Thresholds and temperatures are those of Whisper's sequential transcription (openai/whisper,
transcribe.py) as faster-whisper implements them. Which of the texts that a search finds counts is
ours: `engine.hypotheses`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens

from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.heardwords import WordTokenizer
from speakeasy_tui.engine.hypotheses import furthest
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.outcome import MOST, TEMPERATURES, Outcome, needs_fallback
from speakeasy_tui.engine.segments import end_of
from speakeasy_tui.engine.shortwindow import TAIL
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Piece, Window

PATIENCE = 2.0
"""Beam search goes on until it has found so many times its beam of texts (Kasai et al. 2022,
arXiv:2204.05424); Whisper's own is 1 by default. Among twice as many there is more often one
that goes on where the likeliest ends early, which saves a window: docs/throughput.md."""
BEST_OF = 5
TOKENS = 10
"""Of text in a second at most: what goes on has lost its way. A full window has room for 7.5."""
MORE = 24
"""And so many more: timestamps, numbers that are read out."""
MAX_INITIAL_TIMESTAMP = 50
"""In steps of 20 ms: the first timestamp is at most 1 s into a window."""

OFTEN = ('"', ' "', " '", " -", " (", " [", "「", " ♪")
"""Of what must not be said, what a model likes to say all the same."""


def most_tokens(frames: int) -> int:
    """Tokens that a text of so much speech may have."""
    return min(MOST, MORE + frames * TOKENS // 100)


class Generation:
    """Generates with one loaded model; several threads may do so at the same time."""

    def __init__(self, model: Model, meter: Meter, check_device: Callable[[], None]) -> None:
        self._model = model
        self._whisper = model.whisper
        self._multilingual = model.multilingual
        self._meter = meter
        self._check_device = check_device
        self._tokenizers: dict[tuple[str, str], Any] = {}

    @property
    def late(self) -> bool:
        """Whether what must not be said is looked for in texts that are made, instead of kept out.

        CTranslate2 keeps the tokens that a step may not take, on a GPU, in one sorted list of all
        rows, into which it inserts one by one (decoding_utils.h). Where a timestamp is due that is
        the whole vocabulary, and each of those moves what is kept out of the rows behind it
        (docs/throughput.md, "On a GPU").
        """
        return self._model.device == "cuda" and self._model.searcher is None

    def tokenizer(self, language: str, task: str) -> Any:
        """faster-whisper's tokenizer for a language code and `transcribe` or `translate`."""
        key = (language, task)
        if key not in self._tokenizers:
            self._tokenizers[key] = WordTokenizer(
                self._whisper.hf_tokenizer,
                self._multilingual,
                task=task,
                language=language,
            )
        return self._tokenizers[key]

    def tokenizer_of(self, piece: Piece) -> Any:
        """That of a piece's file."""
        return self.tokenizer(piece.file.language or "en", piece.file.options.task)

    def search(
        self, windows: Sequence[Window], which: Sequence[int], encoded: Encoded
    ) -> list[Outcome]:
        """Beam search for those of a batch's `windows` with the numbers `which`, in that order."""
        firsts = [window.first for window in windows]
        beam = firsts[which[0]].file.options.beam_size
        length = windows[which[0]].length
        packed = any(windows[n].packed for n in which)
        # Without a beam CTranslate2 would find the same text twice; in a short window more of
        # them go on behind the end.
        patience = PATIENCE if beam > 1 and length is None else 1.0
        with self._meter.stage("generate"):
            return self._said(
                firsts,
                which,
                encoded,
                lambda n, result: self._furthest(windows[n], result),
                most=MOST if packed else self._most(firsts, which, length),
                beam_size=beam,
                num_hypotheses=round(beam * patience),
                patience=patience,
            )

    def sample(self, pieces: Sequence[Piece], encoded: Encoded) -> dict[int, Outcome]:
        """What becomes of a batch of suspicious `pieces`, all together at rising temperatures.

        Of each the first result that is not suspicious; else the best of them counts.
        """
        outcomes: dict[int, Outcome] = {}
        left = list(range(len(pieces)))
        for temperature in TEMPERATURES:
            self._check_device()
            with self._meter.stage("fallback"):

                def choose(n: int, result: Any, at: float = temperature) -> Outcome:
                    return self._likeliest(pieces[n], result, at)

                found = self._said(
                    pieces,
                    left,
                    encoded,
                    choose,
                    most=self._most(pieces, left),
                    beam_size=1,
                    num_hypotheses=BEST_OF,
                    sampling_topk=0,
                    sampling_temperature=temperature,
                )
            for n, outcome in zip(left, found, strict=True):
                pieces[n].tried.append(outcome)
                outcomes[n] = outcome
            left = [n for n in left if needs_fallback(outcomes[n]) and not pieces[n].file.dropped]
            if not left:
                break
        for n in left:
            sound = [outcome for outcome in pieces[n].tried if not outcome.loops]
            best = sound or pieces[n].tried
            outcomes[n] = max(best, key=lambda outcome: outcome.avg_logprob)
        for piece in pieces:
            piece.tried, piece.encoded = [], None
        return outcomes

    def _most(
        self, pieces: Sequence[Piece], which: Sequence[int], length: int | None = None
    ) -> int:
        """Tokens that a text of those of `pieces` with the numbers `which` may have.

        torch's search keeps room for all that a window of that `length` holds, None the model's
        own: for less it would record its steps again.
        """
        if self._model.searcher is None:
            return most_tokens(max(pieces[n].left for n in which))
        return MOST if length is None else most_tokens(length - TAIL)

    def _prompt(self, piece: Piece) -> list[int]:
        tokenizer = self.tokenizer_of(piece)
        text = piece.file.options.initial_prompt.strip()
        before = tokenizer.encode(" " + text) if text else []
        prompt: list[int] = self._whisper.get_prompt(tokenizer, before)
        return prompt

    def _said(
        self,
        pieces: Sequence[Piece],
        which: Sequence[int],
        encoded: Encoded,
        choose: Callable[[int, Any], Outcome],
        *,
        most: int,
        **how: Any,
    ) -> list[Outcome]:
        """What is said in those of a batch's windows with the numbers `which`, in that order.

        Brackets, notes of music and other signs that nobody speaks must not come up (Whisper's
        `non_speech_tokens`). On a GPU most of them may at first, and a text that holds one is made
        again without: it seldom does, and keeping them out costs more than all else there.

        Args:
            pieces: of the batch, with which its windows begin.
            which: as said.
            encoded: of the batch.
            choose: makes of a window's number and CTranslate2's result the text that counts.
            most: tokens of a text at most.
            how: CTranslate2's options.
        """
        tokenizer = self.tokenizer_of(pieces[which[0]])
        unspoken = get_suppressed_tokens(tokenizer, [-1])
        keep_out = unspoken
        if self.late:
            often = {tokenizer.encode(text)[0] for text in OFTEN}
            keep_out = [token for token in unspoken if token in often]
        outcomes = self._generate(
            pieces, which, encoded, choose, most=most, suppress_tokens=keep_out, **how
        )
        if self.late:
            barred = frozenset(unspoken)
            wrong = [n for n in which if not barred.isdisjoint(outcomes[n].tokens)]
            if wrong:
                outcomes |= self._generate(
                    pieces, wrong, encoded, choose, most=most, suppress_tokens=unspoken, **how
                )
        return [outcomes[n] for n in which]

    def _generate(
        self,
        pieces: Sequence[Piece],
        which: Sequence[int],
        encoded: Encoded,
        choose: Callable[[int, Any], Outcome],
        *,
        most: int,
        **how: Any,
    ) -> dict[int, Outcome]:
        """As `_said`, by the windows' numbers, with all of CTranslate2's options given."""
        prompts = [self._prompt(pieces[n]) for n in which]
        # CTranslate2 keeps half of it for the prompt, and what that takes of the other half.
        longest = most + max(most, len(prompts[0]) - 1)
        both = {
            "length_penalty": 1.0,
            "max_length": min(self._whisper.max_length, longest),
            "max_initial_timestamp_index": MAX_INITIAL_TIMESTAMP,
            **how,
        }
        results: list[Any]
        if (searcher := self._model.searcher) is not None:
            start = self.tokenizer_of(pieces[which[0]]).sot
            results = searcher.generate(encoded.tensor(which), prompts, start=start, **both)
        else:
            results = self._whisper.model.generate(
                encoded.rows(which),
                prompts,
                return_scores=True,
                return_no_speech_prob=True,
                suppress_blank=True,
                **both,
            )
        found = {n: choose(n, result) for n, result in zip(which, results, strict=True)}
        return {n: replace(outcome, room=most) for n, outcome in found.items()}

    def _furthest(self, window: Window, result: Any) -> Outcome:
        """The hypothesis that counts: the likeliest, or one that goes on where it ends early."""
        piece = window.first
        begin = self.tokenizer_of(piece).timestamp_begin
        best = self._outcome(piece, result, 0.0, 0)
        number = furthest(
            result.sequences_ids,
            result.scores,
            lambda tokens: window.unsaid(end_of(tokens, begin)),
        )
        if not number:
            return best
        further = self._outcome(piece, result, 0.0, number)
        return best if further.loops else further

    def _likeliest(self, piece: Piece, result: Any, temperature: float) -> Outcome:
        """Of texts that were sampled the likeliest that is not suspicious; else the likeliest.

        Whisper looks at the likeliest alone. That is often one that loops (Holtzman et al. 2020,
        arXiv:1904.09751) beside others that do not, and the next temperature makes worse ones.
        """
        first = self._outcome(piece, result, temperature, 0)
        for number in range(1, len(result.scores) if first.loops else 0):
            other = self._outcome(piece, result, temperature, number)
            if not (needs_fallback(other) or other.silent):
                return other
        return first

    def _outcome(self, piece: Piece, result: Any, temperature: float, number: int) -> Outcome:
        tokens = list(result.sequences_ids[number])
        # CTranslate2 divides by the length without the end token, Whisper with it.
        mean = float(result.scores[number]) * len(tokens) / (len(tokens) + 1)
        if math.isnan(mean):  # as where a half float overflowed: then no token means anything
            tokens, mean = [], -math.inf
        text = self.tokenizer_of(piece).decode(tokens).strip()
        return Outcome(
            tokens=tokens,
            avg_logprob=mean,
            compression_ratio=get_compression_ratio(text),
            no_speech_prob=float(result.no_speech_prob),
            temperature=temperature,
            text=text,
        )
