"""How likely somebody speaks, 32 ms by 32 ms: Silero VAD v6, block by block.

The network is the file that faster-whisper brings (`faster_whisper.vad`). onnxruntime needs
nine tenths of its time there for convolutions over four frames, so all that comes before the
LSTM is done here, as matrix products over many steps at once, and onnxruntime runs what is
left. What comes out is the same (to about 1e-5), four times faster.

The LSTM goes through a recording in order. Dividing it into stretches that run side by side
would be a little faster still, but its cells add up over minutes (values of several hundred
were seen): 32 s of run-up still leave probabilities wrong by up to 0.9.

A file that is not known by its digest is run by onnxruntime from end to end.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from faster_whisper.utils import get_assets_path
from faster_whisper.vad import get_vad_model

from speakeasy_tui.engine import onnx
from speakeasy_tui.engine.audio import Samples
from speakeasy_tui.engine.fourier import Floats, Fourier, Room

log = logging.getLogger(__name__)

STEP = 512
"""Samples per probability (32 ms)."""
KNOWN = "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2"
"""SHA-256 of the model that `Split` is written for."""
_CONTEXT = 64
"""Samples before a step that the network sees as well."""
_MIRRORED = 64
"""Samples behind it that are its last ones backwards."""
_FRAME, _HOP, _FRAMES = 256, 128, 4
_BINS = _FRAME // 2 + 1
_WIDTH = 128
"""Of the LSTM and of what it is fed with."""
_ENCODED = "/Transpose_output_0"
"""What the LSTM is fed with, in the file."""
_AT_ONCE = 128
"""Steps per matrix product: what belongs to them fits a core's cache (measured: 64 to 256
differ by a tenth)."""
_PER_RUN = 2048
"""Steps per call of onnxruntime: about a minute, 1 MB."""


class State:
    """What the network remembers of a recording."""

    def __init__(self) -> None:
        self.hidden: Floats = np.zeros((1, 1, _WIDTH), np.float32)
        self.cell: Floats = np.zeros((1, 1, _WIDTH), np.float32)


class Network(Protocol):
    """Silero VAD. May be used by several threads at once, each with a state of its own."""

    def hear(self, samples: Samples, state: State) -> Floats:
        """A probability per step.

        Args:
            samples: `_CONTEXT` samples and then whole steps, contiguous.
            state: of the recording; changed.
        """


class Whole:
    """The network as the file has it, by onnxruntime."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def hear(self, samples: Samples, state: State) -> Floats:
        steps = np.empty(((len(samples) - _CONTEXT) // STEP, _CONTEXT + STEP), np.float32)
        _lay_out(samples, steps)
        inputs = {"input": steps / np.float32(32768), "h": state.hidden, "c": state.cell}
        found, state.hidden, state.cell = self._session.run(None, inputs)
        return np.asarray(found, np.float32).reshape(-1)


class Split:
    """The network in two: matrix products, then the LSTM and what follows by onnxruntime."""

    def __init__(self, model: bytes) -> None:
        self._encoder = _Encoder(onnx.weights(model))
        self._room = _Room()
        rest = onnx.rest_of(model, "LSTM", "input", _ENCODED, (0, 1, _WIDTH))
        self._session = _session(rest)

    def hear(self, samples: Samples, state: State) -> Floats:
        count = (len(samples) - _CONTEXT) // STEP
        encoded = np.empty((count, _WIDTH), np.float32)
        for at in range(0, count, _AT_ONCE):
            end = min(count, at + _AT_ONCE)
            block = samples[at * STEP : end * STEP + _CONTEXT]
            self._encoder.encode(block, encoded[at:end], self._room)
        inputs = {_ENCODED: encoded[:, None], "h": state.hidden, "c": state.cell}
        found, state.hidden, state.cell = self._session.run(None, inputs)
        return np.asarray(found, np.float32).reshape(-1)


class Listener:
    """Listens to one recording, block by block."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or silero()
        self._state = State()
        self._rest: Samples = np.zeros(_CONTEXT, np.int16)
        """The last samples before the next step, and those of it that are there already."""

    def hear(self, block: Samples) -> Floats:
        """Probability of speech in each `STEP` samples that are whole now.

        Args:
            block: the next samples, int16, mono, 16 kHz; any number. The cost per call is that
                of about 5 steps, so a second or more at once is well spent.
        """
        samples = np.concatenate([self._rest, block])
        count = (len(samples) - _CONTEXT) // STEP
        self._rest = samples[count * STEP :].copy()
        return self._run(samples, count)

    def end(self) -> Floats:
        """The last, partial step, padded with silence; nothing where there is none."""
        samples = np.pad(self._rest, (0, (_CONTEXT - len(self._rest)) % STEP))
        self._rest = np.zeros(_CONTEXT, np.int16)
        return self._run(samples, (len(samples) - _CONTEXT) // STEP)

    def _run(self, samples: Samples, count: int) -> Floats:
        found = np.empty(count, np.float32)
        for at in range(0, count, _PER_RUN):
            end = min(count, at + _PER_RUN)
            part = samples[at * STEP : end * STEP + _CONTEXT]
            found[at:end] = self._network.hear(part, self._state)
        return found


@functools.cache
def silero() -> Network:
    """The network, loaded once for the process."""
    path = Path(get_assets_path()) / "silero_vad_v6.onnx"
    try:
        model = path.read_bytes()
        if hashlib.sha256(model).hexdigest() == KNOWN:
            return Split(model)
        log.warning("%s is not the voice detection known here: it will be slower", path)
    except Exception as error:  # onnxruntime's errors share no class
        log.warning("the fast voice detection cannot be used (%s): it will be slower", error)
    return Whole(get_vad_model().session)


def _session(model: bytes) -> Any:
    """onnxruntime on one thread, with the options that faster-whisper uses."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model, providers=["CPUExecutionProvider"], sess_options=options
    )


def _lay_out(samples: Samples, rows: Floats) -> None:
    """A row per step, what comes before it included: `_CONTEXT` + `STEP` of each row."""
    rows[:, :_CONTEXT] = samples[:-_CONTEXT].reshape(-1, STEP)[:, :_CONTEXT]
    rows[:, _CONTEXT : _CONTEXT + STEP] = samples[_CONTEXT:].reshape(-1, STEP)


class _Room(threading.local):
    """Memory for `_AT_ONCE` steps in the encoder, of one thread."""

    def __init__(self) -> None:
        def room(*shape: int) -> Floats:
            return np.empty((_AT_ONCE, *shape), np.float32)

        self.samples = room(_CONTEXT + STEP + _MIRRORED)
        windows = np.lib.stride_tricks.sliding_window_view(self.samples, _FRAME, axis=1)
        self.frames = windows[:, ::_HOP]
        self.fourier = Room(_FRAME, _AT_ONCE * _FRAMES)
        self.bins = room(_FRAMES, _BINS)
        self.first = room(4, 128)
        self.second = room(2, 64)
        self.third = room(64)


class _Encoder:
    """The network up to its LSTM: magnitudes of four Fourier transforms, four convolutions.

    The convolutions see 4, 4, 2 and 1 frames. At the edges, the weights that would meet the
    padding are left out.
    """

    def __init__(self, weights: dict[str, Floats]) -> None:
        basis = weights["encoder.feature_extractor.forward_basis_buffer"][:, 0]
        basis = basis / np.float32(32768)  # samples come as int16
        self._fourier = Fourier(basis[:_BINS], basis[_BINS:])
        convolutions = [weights[f"encoder.conv_layers.{number}.weight"] for number in range(4)]
        convolutions[0] = convolutions[0][:, self._fourier.bins]
        # (out, in, 3) to (3 x in, out): frames lie one after the other.
        self._conv = [
            np.ascontiguousarray(each.transpose(2, 1, 0).reshape(-1, each.shape[0]))
            for each in convolutions
        ]
        self._bias = [weights[f"encoder.conv_layers.{number}.bias"] for number in range(4)]

    def encode(self, block: Samples, out: Floats, room: _Room) -> None:
        """Samples of n steps, `_CONTEXT` before them, to (n, 128) for the LSTM.

        n is at most `_AT_ONCE`.
        """
        count = len(out)
        samples = room.samples[:count]
        _lay_out(block, samples)
        samples[:, _CONTEXT + STEP :] = samples[:, -_MIRRORED - 2 : -2 * _MIRRORED - 2 : -1]
        bins = room.bins[:count]
        flat = bins.reshape(count * _FRAMES, _BINS)
        self._fourier.powers(room.frames[:count], flat, room.fourier)
        np.sqrt(flat, out=flat)
        w, b = self._conv, self._bias

        row = bins.reshape(count, _FRAMES * _BINS)
        first = room.first[:count]
        np.matmul(row[:, : 2 * _BINS], w[0][_BINS:], out=first[:, 0])
        np.matmul(row[:, : 3 * _BINS], w[0], out=first[:, 1])
        np.matmul(row[:, _BINS:], w[0], out=first[:, 2])
        np.matmul(row[:, 2 * _BINS :], w[0][: 2 * _BINS], out=first[:, 3])
        _rectify(first, b[0])

        row = first.reshape(count, 4 * 128)
        second = room.second[:count]
        np.matmul(row[:, : 2 * 128], w[1][128:], out=second[:, 0])
        np.matmul(row[:, 128:], w[1], out=second[:, 1])
        _rectify(second, b[1])

        third = room.third[:count]
        np.matmul(second.reshape(count, 2 * 64), w[2][64:], out=third)
        _rectify(third, b[2])
        np.matmul(third, w[3][64:128], out=out)
        _rectify(out, b[3])


def _rectify(values: Floats, bias: Floats) -> None:
    np.add(values, bias, out=values)
    np.maximum(values, np.float32(0), out=values)
