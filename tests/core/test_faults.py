"""What an error is: every text of the tables, and any text at all."""

from __future__ import annotations

import errno
import os

import av.error
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakeasy_tui.core.faults import (
    Rung,
    classify,
    classify_exit,
    climb,
    describe_exit,
)
from speakeasy_tui.core.faulttexts import (
    CUBLAS,
    CUDA_ERRORS,
    CUDNN,
    ERRNOS,
    TEXTS,
    XIDS,
    CudaError,
    Known,
)
from speakeasy_tui.core.job import ErrorKind


@pytest.mark.parametrize("error", CUDA_ERRORS, ids=lambda error: error.name)
def test_a_cuda_error_has_its_class_however_it_is_written(error: CudaError) -> None:
    for text in (
        f"CUDA failed with error {error.text}",  # CTranslate2
        f"CUDA error: {error.text}\nCUDA kernel errors might be asynchronously reported",  # torch
        f"RuntimeError: CUDA failed with error {error.text.upper()}",
    ):
        assert classify(text) is error.kind, text
    thrusts = classify(f"parallel_for failed: {error.name}: {error.text}")
    echo = error.name == "cudaErrorInvalidDevice"  # of whatever error was left before
    assert thrusts is (ErrorKind.STICKY if echo else error.kind)


@pytest.mark.parametrize(("status", "kind"), (CUBLAS | CUDNN).items())
def test_a_status_of_cublas_or_cudnn_has_its_class(status: str, kind: ErrorKind) -> None:
    assert classify(f"cuBLAS failed with status {status}") is kind
    torchs = f"RuntimeError: CUDA error: {status} when calling `cublasCreate(handle)`"
    assert classify(torchs) is kind


@pytest.mark.parametrize("known", TEXTS, ids=lambda known: known.text)
def test_a_known_text_has_its_class_within_others(known: Known) -> None:
    assert known.source
    assert classify(known.text) is known.kind
    assert classify(f"RuntimeError: {known.text} and more\n") is known.kind


@pytest.mark.parametrize("number", XIDS)
def test_an_xid_of_a_lost_gpu_means_the_device(number: int) -> None:
    text = f"NVRM: Xid (PCI:0000:01:00): {number}, pid='<unknown>', name=<unknown>"
    assert classify(text) is ErrorKind.DEVICE


def test_an_xid_of_a_program_does_not_mean_the_device() -> None:
    assert classify("NVRM: Xid (PCI:0000:01:00): 31, pid=79") is ErrorKind.CRASH


@pytest.mark.parametrize(("number", "kind"), ERRNOS.items(), ids=str)
def test_an_error_of_the_system_has_its_class(number: int, kind: ErrorKind) -> None:
    assert classify(str(OSError(number, os.strerror(number)))) is kind
    assert classify(str(OSError(number, os.strerror(number), "/rec/talk.mp3"))) is kind


@pytest.mark.parametrize(
    "name",
    [
        "INVALIDDATA",
        "DECODER_NOT_FOUND",
        "DEMUXER_NOT_FOUND",
        "PROTOCOL_NOT_FOUND",
        "PATCHWELCOME",
        "BUG",
        "EOF",
        "EXTERNAL",
    ],
)
def test_the_installed_ffmpegs_texts_are_those_of_the_table(name: str) -> None:
    code = av.error.ErrorType[name]
    text = str(av.error.FFmpegError(code.value, code.strerror, "CUDA out of memory.mp3"))
    assert classify(text) is ErrorKind.INPUT


@pytest.mark.parametrize(
    "name",
    [
        "/rec/an illegal memory access was encountered.mp3",
        "/rec/CUDA failed with error out of memory.wav",
        "/rec/it's a GPU is lost.wav",
        "/rec/No space left on device",
    ],
)
def test_a_file_name_does_not_decide(name: str) -> None:
    assert classify(str(OSError(errno.EISDIR, "Is a directory", name))) is ErrorKind.INPUT
    assert classify(f"[Errno 1094995529] Invalid data found when processing input: {name!r}") is (
        ErrorKind.INPUT
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # OpenNMT/CTranslate2#1933
        ("CUDA failed with error no CUDA-capable device is detected", ErrorKind.DEVICE),
        # OpenNMT/CTranslate2#1865
        ("cuBLAS failed with status CUBLAS_STATUS_NOT_SUPPORTED", ErrorKind.DEVICE),
        # SYSTRAN/faster-whisper#1431
        ("Library libcublas.so.12 is not found or cannot be loaded", ErrorKind.DEVICE),
        (
            "Requested int8_float16 compute type, but the target device or backend do not "
            "support efficient int8_float16 computation.",
            ErrorKind.DEVICE,
        ),
        (
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
            "7.79 GiB of which 1.20 GiB is free.",
            ErrorKind.OOM,
        ),
        (
            "Unable to load any of {libcudnn_ops.so.9.1.0, libcudnn_ops.so.9.1, "
            "libcudnn_ops.so.9, libcudnn_ops.so}\nInvalid handle. Cannot load symbol "
            "cudnnCreateTensorDescriptor",
            ErrorKind.DEVICE,
        ),
        (
            "File model.bin is incomplete: failed to read a buffer of size 1024 at position 99",
            ErrorKind.MODEL,
        ),
        ("CUDA failed with error something nobody has seen", ErrorKind.STICKY),
        ("cuBLAS failed with status UNKNOWN", ErrorKind.STICKY),
        ("cuBLAS failed with status CUBLAS_STATUS_OF_TOMORROW", ErrorKind.STICKY),
        ("CUDA_ERROR_SYSTEM_NOT_READY", ErrorKind.STICKY),
        ("list index out of range", ErrorKind.CRASH),
        ("", ErrorKind.CRASH),
    ],
)
def test_whole_messages_are_classified(text: str, kind: ErrorKind) -> None:
    assert classify(text) is kind


_PIECES = st.sampled_from(
    ["[Errno ", "] ", ": '", "CUDA failed with error ", "cudaError", "CUBLAS_STATUS_", "Xid ", "\n"]
)


@given(st.lists(st.one_of(st.text(), _PIECES, st.integers().map(str))).map("".join))
def test_any_text_has_a_class(text: str) -> None:
    assert classify(text) in ErrorKind
    assert classify_exit(text) in {ErrorKind.CRASH, ErrorKind.DEVICE, ErrorKind.STICKY}


def test_a_very_long_number_is_no_trouble() -> None:
    assert classify("[Errno " + "9" * 10_000 + "] what") is ErrorKind.CRASH
    assert classify("Xid " + "7" * 10_000) is ErrorKind.CRASH


def test_a_death_with_the_device_gone_is_no_files_fault() -> None:
    tail = (
        "terminate called after throwing an instance of 'std::runtime_error'\n"
        "  what():  CUDA failed with error no CUDA-capable device is detected\n"
    )
    assert classify_exit(tail) is ErrorKind.DEVICE
    stays = tail.replace("no CUDA-capable device is detected", "an illegal memory access")
    assert classify_exit(stays) is ErrorKind.STICKY
    thrusts = "  what():  parallel_for failed: {}: and what it means\n"
    assert classify_exit(thrusts.format("cudaErrorNoDevice")) is ErrorKind.DEVICE
    assert classify_exit(thrusts.format("cudaErrorIllegalAddress")) is ErrorKind.STICKY
    assert classify_exit("terminate called\n  what():  std::bad_alloc\n") is ErrorKind.CRASH
    assert classify_exit("Fatal Python error: Segmentation fault\n") is ErrorKind.CRASH
    assert classify_exit("") is ErrorKind.CRASH


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_class_has_a_rung_and_only_files_own_faults_are_final(kind: ErrorKind) -> None:
    verdict = climb(kind, batch_size=4)
    final = {ErrorKind.INPUT, ErrorKind.NO_AUDIO, ErrorKind.OUTPUT, ErrorKind.MODEL}
    assert verdict.retry is (kind not in final)
    assert (verdict.rung is Rung.NONE) is (kind in final)


@given(st.integers(1, 4096), st.sampled_from(Rung))
def test_out_of_memory_is_charged_only_when_the_batch_can_shrink_no_more(
    batch: int, before: Rung
) -> None:
    assert climb(ErrorKind.OOM, batch_size=batch, before=before).charged is (batch == 1)


@given(st.integers(-200, 300))
def test_any_exit_status_can_be_described(status: int) -> None:
    assert describe_exit(status).startswith("engine process ended ")


def test_an_unknown_end_can_be_described() -> None:
    assert describe_exit(None) == "engine process vanished"
