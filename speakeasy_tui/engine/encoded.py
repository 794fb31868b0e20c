"""The encoder's output for a batch, any rows of which can be had again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from speakeasy_tui.engine.heardwords import HeardWord, heard_words
from speakeasy_tui.engine.work import Mel

if TYPE_CHECKING:
    from torch import Tensor

    from speakeasy_tui.engine.soundencoder import SoundEncoder

MEDIAN = 7
"""Places of 20 ms over which the decoder's attention is smoothed, as Whisper does."""


class Encoded:
    """Encoder output of the windows of one batch.

    On a CPU each window is encoded alone: a batch there only costs memory (the attention of
    one window of tiny is 54 MB) and some speed (docs/throughput.md), and the output, being in
    reach, can be put together again as it is wanted. On a GPU the batch is one call, and a
    part of it another, where torch has not seen it.
    """

    def __init__(
        self,
        whisper: Any,
        features: Sequence[Mel],
        known: Sequence[Any] | None = None,
        encoder: SoundEncoder | None = None,
    ) -> None:
        """Encode `features`.

        Args:
            whisper: faster-whisper's model.
            features: spectrograms of the windows.
            known: rows from before, on a CPU: nothing is encoded of those whose row is there.
            encoder: torch's, in place of CTranslate2's.
        """
        self._whisper = whisper
        self._features = features
        self._on_cpu = whisper.model.device == "cpu"
        self._rows: list[Any] = []
        self._all: Any = None
        self._tensor: Tensor | None = None
        """The same memory for torch."""
        self._kept: list[Tensor] = []
        """Memory of torch's that CTranslate2 looks at."""
        if self._on_cpu:
            # Of bfloat16 numpy has not heard, and CTranslate2's decoder wants float32 on a CPU.
            listen = whisper.encode if encoder is None else lambda one: encoder([one]).float()
            rows = known or [None] * len(features)
            self._rows = [
                np.asarray(listen(one)) if row is None else row
                for one, row in zip(features, rows, strict=True)
            ]
        elif encoder is not None:
            self._tensor = encoder(features)
            self._all = self._shown(self._tensor)
        else:
            self._all = whisper.encode(np.stack(features))

    def row(self, number: int) -> Any:
        """What a later batch may be given as `known`, of one window; None on a GPU."""
        return self._rows[number] if self._on_cpu else None

    def rows(self, which: Sequence[int]) -> Any:
        """CTranslate2's StorageView of the windows with these numbers."""
        if self._on_cpu:
            from ctranslate2 import StorageView

            return StorageView.from_array(np.concatenate([self._rows[n] for n in which]))
        if len(which) == len(self._features):
            return self._all
        if self._tensor is not None:
            return self._shown(self._tensor[list(which)])
        return self._whisper.encode(np.stack([self._features[n] for n in which]))

    def _shown(self, tensor: Tensor) -> Any:
        """CTranslate2's view of it."""
        import torch
        from ctranslate2 import StorageView

        if tensor.dtype is torch.bfloat16:  # see `tensor`
            tensor = tensor.float()
        self._kept.append(tensor)
        if not tensor.is_cuda:
            return StorageView.from_array(tensor.numpy())
        with torch.cuda.device(tensor.device):  # of which CTranslate2 then takes it to be
            torch.cuda.current_stream().synchronize()
            return StorageView.from_array(tensor)

    def tensor(self, which: Sequence[int]) -> Tensor:
        """torch's tensor of the windows with these numbers: windows × frames × width."""
        import torch

        if self._on_cpu:
            return torch.from_numpy(np.concatenate([self._rows[n] for n in which]))
        if self._tensor is None:
            from ctranslate2 import DataType

            device = f"cuda:{self._all.device_index}"
            # Of bfloat16 neither numpy nor CUDA's array interface has heard.
            known = self._all.dtype in (DataType.float16, DataType.float32)
            array = self._all if known else self._all.to(DataType.float32)
            self._tensor = torch.as_tensor(array, device=device)
        if len(which) == len(self._features):
            return self._tensor
        return self._tensor[list(which)]

    def align(
        self,
        tokenizer: Any,
        which: Sequence[int],
        texts: Sequence[list[int]],
        frames: Sequence[int],
    ) -> list[list[HeardWord]]:
        """The words of texts, and where the decoder listened for each.

        Args:
            tokenizer: faster-whisper's, of the texts' language.
            which: numbers of windows.
            texts: tokens of text of each of those, at least one.
            frames: how much of each counts.
        """
        count = len(self._features)
        if self._on_cpu or len(which) == count:
            found = self._aligned(tokenizer, self.rows(which), texts, frames)
        else:
            # A part of them would be encoded anew; a token for each of the others costs little.
            all_texts, all_frames = [texts[0][:1]] * count, [frames[0]] * count
            for number, text, length in zip(which, texts, frames, strict=True):
                all_texts[number], all_frames[number] = text, length
            every = self._aligned(tokenizer, self._all, all_texts, all_frames)
            found = [every[number] for number in which]
        return [heard_words(one, text, tokenizer) for one, text in zip(found, texts, strict=True)]

    def _aligned(
        self, tokenizer: Any, rows: Any, texts: Sequence[list[int]], frames: Sequence[int]
    ) -> list[Any]:
        """CTranslate2's alignment of each text."""
        return list(
            self._whisper.model.align(
                rows, tokenizer.sot_sequence, texts, frames, median_filter_width=MEDIAN
            )
        )
