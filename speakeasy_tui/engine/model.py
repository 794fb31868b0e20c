"""The model in memory: loaded, probed, unloaded and loaded again."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speakeasy_tui.core.engineprotocol import Load
from speakeasy_tui.core.faults import classify
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.engine import cpu, cublas, shortwindow, vram
from speakeasy_tui.engine.echo import ECHO, PastEchoes
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.melspec import LogMel
from speakeasy_tui.engine.modelfolder import LoadError, check
from speakeasy_tui.engine.variables import chosen

if TYPE_CHECKING:
    from speakeasy_tui.engine.search import Searcher
    from speakeasy_tui.engine.shortwindow import Lengths
    from speakeasy_tui.engine.soundencoder import SoundEncoder
    from speakeasy_tui.engine.work import Mel

CPU_BATCH = 8
CUDA_BATCH = 16
"""Windows to begin with."""
CPU_WIDTH = 512
"""Of whisper base. Wider models get half of `CPU_BATCH`: a batch would take whisper small a minute,
and the keys and values of each of its windows 110 MB."""
CUDA_MOST = 64
"""Windows at most: their spectrograms, of three batches for each worker, wait in memory, 1.5 MB
each."""
SWITCH_S = 0.0005
"""How long a thread in pure Python keeps the lock while another wants it, where torch writes the
text on a GPU. Python's own is 5 ms, and what is asked for ahead there (`steps.AHEAD`) lasts 4."""
UNLOAD_PATIENCE_S = 10.0
"""How long CTranslate2 may hold on to a batch whose result it has returned."""


_NOT_THE_MODELS = frozenset(
    {ErrorKind.OOM, ErrorKind.CUDA, ErrorKind.STICKY, ErrorKind.DEVICE, ErrorKind.DISK}
)
"""Errors met while loading that say nothing about the model's files."""


class Model:
    """A `faster_whisper.WhisperModel` on one device."""

    def __init__(self, command: Load, injector: Injector) -> None:
        """Load what `command` asks for and send a probe through it.

        Raises:
            LoadError: it is not there, damaged, or the device cannot run it.
            RuntimeError: what CTranslate2 says of the device.
        """
        self._injector = injector
        self._workers = max(1, command.workers)
        self._cpu_threads = command.cpu_threads
        self._quantize = command.quantize
        self._width = 0
        self.searcher: Searcher | None = None
        """Generates text in place of CTranslate2."""
        self.encoder: SoundEncoder | None = None
        """Listens in place of CTranslate2."""
        self.aligns = True
        """Whether it can be told where it listened for each word."""
        self.device, _, index = command.device.partition(":")
        self.index = int(index or 0)
        self.name = command.device if index or self.device == "cpu" else f"{self.device}:0"
        self._folder = folder = Path(command.model)
        check(folder)
        injector.check_device()
        if self.device == "cuda":
            try:
                cublas.load()
            except cublas.NoCublas as error:
                raise LoadError(str(error), ErrorKind.DEVICE, cublas.HINT) from None
        self.compute_type = _compute_type(self.device, self.index, command)
        from faster_whisper import WhisperModel

        begun = time.monotonic()
        try:
            self.whisper: Any = WhisperModel(
                str(folder),
                device=self.device,
                device_index=self.index,
                compute_type=self.compute_type,
                cpu_threads=command.cpu_threads,
                num_workers=max(1, command.workers),
                local_files_only=True,
            )
            if self.device == "cuda":
                self.whisper.model = PastEchoes(self.whisper.model)
            self.multilingual = bool(self.whisper.model.is_multilingual)
            self.mel = LogMel(int(self.whisper.model.n_mels))
            self._take_torch()
            self.probe()
        except BaseException as error:
            if not _is_of_the_folder(error):
                raise
            raise LoadError(
                f"the model in {folder} is damaged or of another kind: {error}",
                ErrorKind.MODEL,
                "get it again with: speakeasy models get NAME",
            ) from error
        self.seconds = time.monotonic() - begun

    def probe(self) -> None:
        """Encode a second of silence and decode a few tokens of it; raises what fails.

        On a GPU by as many calls at once as there are workers: each goes to a thread of CTranslate2
        that is free, and every thread makes a cuBLAS handle of its own at its first product
        (src/cuda/utils.cc), which may fail or find no memory.

        Where only the alignment of words does, as on some GPUs (OpenNMT/CTranslate2#2064), the
        model goes without.
        """
        import numpy as np
        from faster_whisper.audio import pad_or_trim

        self._injector.check_device()
        mel = pad_or_trim(self.whisper.feature_extractor(np.zeros(16_000, np.float32)))
        calls = self._workers if self.device == "cuda" else 1
        with ThreadPoolExecutor(calls, "probe") as threads:
            self.aligns = all(list(threads.map(self._probe, [mel] * calls)))
        self.spare()  # of what those threads would have kept for their next batch

    def _probe(self, mel: Any) -> bool:
        """One call of each kind; False where words cannot be aligned."""
        window = self.encode([mel])
        encoded = window.rows([0])
        self._width = int(encoded.shape[-1])
        tokens = self.whisper.hf_tokenizer
        start = [tokens.token_to_id("<|startoftranscript|>")]
        if self.searcher is not None:
            self.searcher.generate(window.tensor([0]), [start], start=start[0], max_length=8)
        else:
            self.whisper.model.generate(encoded, [start], beam_size=1, max_length=8)
        try:
            self.whisper.model.align(encoded, start, [[0]], 100)
        except RuntimeError as error:
            if self.device != "cuda" or ECHO not in str(error):
                raise
            print(f"engine: no alignment of words: {error}", file=sys.stderr, flush=True)
            return False
        return True

    def encode(self, features: Sequence[Mel], known: Sequence[Any] | None = None) -> Encoded:
        """What the encoder makes of windows; `known` as `Encoded` takes it."""
        return Encoded(self.whisper, features, known, self.encoder)

    def _take_torch(self) -> None:
        """Have torch do what it does faster: on a GPU listen and write, where there is room for its
        weights; on a CPU with AMX listen.

        ``SPEAKEASY_TORCH`` says otherwise, for either.
        """
        wanted = chosen("SPEAKEASY_TORCH", self._usual_of_torch)
        if wanted == "none":
            return
        part = "encoder" if wanted == "encoder" else "decoder"
        try:
            from speakeasy_tui.engine.withtorch import Torch

            torch = Torch(
                self._folder / "model.bin",
                self.whisper,
                self.device,
                self.index,
                self.compute_type,
                self._cpu_threads,
                alone=wanted == "encoder",
            )
            if wanted != "encoder":
                self.searcher = torch.searcher(self._workers)
                if self.device == "cuda":
                    sys.setswitchinterval(SWITCH_S)
            if wanted != "decoder":
                part = "encoder"
                self.encoder = torch.encoder()
        except (ImportError, ValueError, OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and classify(str(error)) is not ErrorKind.OOM:
                raise
            print(f"engine: without torch's {part}: {error}", file=sys.stderr, flush=True)
            self._empty_cache()

    @property
    def _usual_of_torch(self) -> str:
        if self.device == "cuda":
            return "none" if self._quantize else "all"
        # Who asks for float32 wants no less. bfloat16 is nearer to it than int8 is.
        return "encoder" if cpu.tiles() and self.compute_type.startswith("int8") else "none"

    def spare(self) -> None:
        """Give back the GPU's memory that torch keeps for later; CTranslate2 cannot reach it."""
        if self.searcher is not None:
            self.searcher.spare()
            self._empty_cache()

    def _empty_cache(self) -> None:
        if "torch" in sys.modules and self.device == "cuda":
            sys.modules["torch"].cuda.empty_cache()

    def reload(self) -> None:
        """Unload, collect, clear torch's cache, load, probe.

        Raises:
            LoadError: the model cannot be unloaded.
            RuntimeError: what CTranslate2 says.
        """
        self._injector.check_device()
        begun = time.monotonic()
        replica = self.whisper.model
        self.searcher = self.encoder = None
        _unload(replica)
        gc.collect()
        self._empty_cache()
        replica.load_model()
        self._take_torch()
        self.probe()
        self.seconds = time.monotonic() - begun

    @property
    def lengths(self) -> Lengths | None:
        """Those that windows may have, of short pieces; None: these share full windows.

        Short ones were measured on a CPU alone; ``SPEAKEASY_WINDOWS`` says otherwise: ``short`` or
        ``shared``.
        """
        usual = "short" if self.device == "cpu" else "shared"
        if chosen("SPEAKEASY_WINDOWS", usual) != "short":
            return None
        full = int(self.whisper.feature_extractor.nb_max_frames)
        return shortwindow.seconds(full) if self.searcher is None else shortwindow.few(full)

    def expect(self, windows: int) -> None:
        """A full batch has so many from now on."""
        if self.searcher is not None:
            self.searcher.windows = windows
            self.searcher.tokens = vram.TOKENS if self.lengths is None else vram.TOKENS_SHORT

    @property
    def limit(self) -> int:
        """The most windows of a batch, whoever asks for more."""
        return sys.maxsize if self.device == "cpu" else vram.most_windows(self._width)

    def window_bytes(self) -> int:
        """Bytes that one window takes on a GPU at most."""
        layers = vram.decoder_layers(self._folder / "model.bin", self._width)
        size = 2 if "16" in self.compute_type else 4
        by_torch, lengths = self.searcher is not None, self.lengths
        parts = 1 if lengths is None else lengths.windows(1, lengths.every[0])
        return vram.window_bytes(self._width, layers, size, by_torch=by_torch, parts=parts)

    def batch_sizes(self) -> tuple[int, int]:
        """When nobody chose one: the batch size to begin with, and the largest that fits.

        On a CPU larger ones win little and report later (docs/throughput.md). On CUDA by what is
        free after loading and what a window of this model takes; whether more than the first pays,
        the runner finds out.
        """
        if self.device == "cpu":
            size = CPU_BATCH if self._width <= CPU_WIDTH else CPU_BATCH // 2
            if self.encoder is not None:  # for the 190 MB that torch takes (docs/throughput.md)
                size = size * 3 // 4
            return size, size
        free = vram.free_bytes(self.index)
        if free is None:
            return CUDA_BATCH, CUDA_BATCH
        fitting = max(1, int(0.8 * free / (self._workers * self.window_bytes())))
        return min(CUDA_BATCH, fitting), min(CUDA_MOST, fitting)


def _unload(replica: Any) -> None:
    """Unload CTranslate2's model.

    `unload_model` does nothing, silently, while a batch is active. One still counts for a moment
    after its result has been returned, until CTranslate2's thread has said that it is free: asked
    at once, 25 to 55 of 60 tries were refused, 2 ms later none; on a busy machine, where that
    thread has to wait for a core, it may take longer.
    """
    deadline = time.monotonic() + UNLOAD_PATIENCE_S
    replica.unload_model()
    while replica.model_is_loaded:
        if time.monotonic() > deadline:
            raise LoadError("CUDA: the model is still in use and cannot be unloaded")
        time.sleep(0.002)
        replica.unload_model()


def _is_of_the_folder(error: BaseException) -> bool:
    """Whether an error in loading lies in the model's files, not in the device or a signal."""
    if not isinstance(error, Exception):
        return type(error).__name__ == "PanicException"  # how Rust's tokenizers give up
    if isinstance(error, MemoryError):  # Python's own has no text
        return False
    return classify(str(error)) in (ErrorKind.CRASH, ErrorKind.MODEL)


def _compute_type(device: str, index: int, command: Load) -> str:
    import ctranslate2

    # Raises RuntimeError with CTranslate2's reason when there is no such device.
    supported = ctranslate2.get_supported_compute_types(device, index)
    asked = command.compute_type
    if asked == "auto":
        wanted = ("float16", "int8_float16", "float32") if device == "cuda" else ("int8",)
        if command.quantize:
            wanted = ("int8_float16", "int8", *wanted)
        return next((name for name in wanted if name in supported), "default")
    if asked not in supported:
        raise LoadError(
            f"{device} cannot calculate in {asked}",
            ErrorKind.MODEL,  # of what was asked, not of the device: others may go on there
            f"choose --compute-type auto or one of: {', '.join(sorted(supported))}",
        )
    return asked
