"""The error texts that engines meet, as their makers write them, and the class of each.

`faults.classify` reads these tables; nothing else decides. What a table of CUDA, cuBLAS or
cuDNN does not name is `sticky` there: a new process is always safe, a reload is not.
"""

from __future__ import annotations

import errno

from msgspec import Struct

from speakeasy_tui.core.job import ErrorKind

OOM, CUDA, STICKY = ErrorKind.OOM, ErrorKind.CUDA, ErrorKind.STICKY
DEVICE, DISK, CRASH = ErrorKind.DEVICE, ErrorKind.DISK, ErrorKind.CRASH
INPUT, MODEL = ErrorKind.INPUT, ErrorKind.MODEL


class Known(Struct, frozen=True):
    """One text."""

    kind: ErrorKind
    text: str
    """As it appears in a message; what varies in it is left out at its ends."""
    source: str
    """Where it is made: a header's name for it, a file of the project, or an issue."""


class CudaError(Struct, frozen=True):
    """One value of cudaError_t."""

    kind: ErrorKind
    name: str
    """Its name in driver_types.h."""
    text: str
    """What cudaGetErrorString says."""


# CUDA 13.0: names and meaning from driver_types.h, texts from cudaGetErrorString of its
# runtime. CTranslate2 writes "CUDA failed with error " before the text (src/cuda/utils.h),
# torch "CUDA error: ", thrust and cub the name. Of those marked † the header says that "the
# process must be terminated and relaunched".
CUDA_ERRORS: tuple[CudaError, ...] = (
    CudaError(OOM, "cudaErrorMemoryAllocation", "out of memory"),
    # sticky
    CudaError(STICKY, "cudaErrorContained", "Invalid access of peer GPU memory over nvlink"),  # †
    CudaError(STICKY, "cudaErrorIllegalAddress", "an illegal memory access was encountered"),  # †
    CudaError(STICKY, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"),  # †
    CudaError(STICKY, "cudaErrorAssert", "device-side assert triggered"),  # †
    CudaError(STICKY, "cudaErrorHardwareStackError", "hardware stack error"),  # †
    CudaError(STICKY, "cudaErrorIllegalInstruction", "an illegal instruction was encountered"),  # †
    CudaError(STICKY, "cudaErrorMisalignedAddress", "misaligned address"),  # †
    CudaError(
        STICKY,
        "cudaErrorInvalidAddressSpace",
        "operation not supported on global/shared address space",  # †
    ),
    CudaError(STICKY, "cudaErrorInvalidPc", "invalid program counter"),  # †
    CudaError(STICKY, "cudaErrorLaunchFailure", "unspecified launch failure"),  # †
    CudaError(STICKY, "cudaErrorTensorMemoryLeak", "tensor memory not completely freed"),  # †
    CudaError(
        STICKY, "cudaErrorMpsClientTerminated", "the MPS client has been terminated by the server"
    ),  # †
    CudaError(
        STICKY,
        "cudaErrorExternalDevice",
        "an async error has occured in external entity outside of CUDA",  # †, spelt so
    ),
    CudaError(STICKY, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"),
    CudaError(STICKY, "cudaErrorNvlinkUncorrectable", "uncorrectable NVLink error detected"),
    CudaError(STICKY, "cudaErrorPriorLaunchFailure", "unspecified launch failure in prior launch"),
    CudaError(STICKY, "cudaErrorContextIsDestroyed", "context is destroyed"),
    CudaError(STICKY, "cudaErrorCudartUnloading", "driver shutting down"),
    CudaError(STICKY, "cudaErrorIncompatibleDriverContext", "incompatible driver context"),
    CudaError(STICKY, "cudaErrorMpsRpcFailure", "the remote procedural call between the MPS"),
    CudaError(STICKY, "cudaErrorUnknown", "unknown error"),
    # The device, its driver or what this machine has of CUDA: no other try here can differ.
    CudaError(DEVICE, "cudaErrorNoDevice", "no CUDA-capable device is detected"),
    CudaError(DEVICE, "cudaErrorInvalidDevice", "invalid device ordinal"),
    CudaError(DEVICE, "cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or"),
    CudaError(DEVICE, "cudaErrorDeviceAlreadyInUse", "exclusive-thread device already in use"),
    CudaError(DEVICE, "cudaErrorDeviceNotLicensed", "device doesn't have valid Grid license"),
    CudaError(DEVICE, "cudaErrorStubLibrary", "CUDA driver is a stub library"),
    CudaError(
        DEVICE,
        "cudaErrorInsufficientDriver",
        "CUDA driver version is insufficient for CUDA runtime version",
    ),
    CudaError(
        DEVICE,
        "cudaErrorCallRequiresNewerDriver",
        "API call is not supported in the installed CUDA driver",
    ),
    CudaError(
        DEVICE,
        "cudaErrorNoKernelImageForDevice",
        "no kernel image is available for execution on the device",
    ),
    CudaError(DEVICE, "cudaErrorInvalidKernelImage", "device kernel image is invalid"),
    CudaError(DEVICE, "cudaErrorInvalidPtx", "a PTX JIT compilation failed"),
    CudaError(DEVICE, "cudaErrorJitCompilerNotFound", "PTX JIT compiler library not found"),
    CudaError(
        DEVICE,
        "cudaErrorUnsupportedPtxVersion",
        "the provided PTX was compiled with an unsupported toolchain.",
    ),
    CudaError(DEVICE, "cudaErrorJitCompilationDisabled", "PTX JIT compilation was disabled"),
    CudaError(DEVICE, "cudaErrorStartupFailure", "startup failure in cuda runtime"),
    CudaError(DEVICE, "cudaErrorSystemNotReady", "system not yet initialized"),
    CudaError(
        DEVICE, "cudaErrorSystemDriverMismatch", "system has unsupported display driver / cuda"
    ),
    CudaError(
        DEVICE, "cudaErrorCompatNotSupportedOnDevice", "forward compatibility was attempted on"
    ),
    CudaError(DEVICE, "cudaErrorMpsConnectionFailed", "MPS client failed to connect to the MPS"),
    CudaError(DEVICE, "cudaErrorMpsServerNotReady", "MPS server is not ready to accept new MPS"),
    CudaError(
        DEVICE,
        "cudaErrorMpsMaxClientsReached",
        "the hardware resources required to create MPS client have been exhausted",
    ),
    # not sticky: what a reload can cure
    CudaError(CUDA, "cudaErrorInvalidValue", "invalid argument"),
    CudaError(CUDA, "cudaErrorInitializationError", "initialization error"),
    CudaError(CUDA, "cudaErrorInvalidConfiguration", "invalid configuration argument"),
    CudaError(CUDA, "cudaErrorInvalidDevicePointer", "invalid device pointer"),
    CudaError(CUDA, "cudaErrorInvalidHostPointer", "invalid host pointer"),
    CudaError(CUDA, "cudaErrorInvalidDeviceFunction", "invalid device function"),
    CudaError(CUDA, "cudaErrorInvalidSymbol", "invalid device symbol"),
    CudaError(CUDA, "cudaErrorDeviceUninitialized", "invalid device context"),
    CudaError(CUDA, "cudaErrorInvalidResourceHandle", "invalid resource handle"),
    CudaError(CUDA, "cudaErrorIllegalState", "the operation cannot be performed in the present"),
    CudaError(CUDA, "cudaErrorNotReady", "device not ready"),
    CudaError(CUDA, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"),
    CudaError(CUDA, "cudaErrorNotPermitted", "operation not permitted"),
    CudaError(CUDA, "cudaErrorNotSupported", "operation not supported"),
    CudaError(CUDA, "cudaErrorOperatingSystem", "OS call failed or operation not supported on"),
    CudaError(CUDA, "cudaErrorSharedObjectInitFailed", "shared object initialization failed"),
    CudaError(CUDA, "cudaErrorTimeout", "wait operation timed out"),
    CudaError(CUDA, "cudaErrorCooperativeLaunchTooLarge", "too many blocks in cooperative launch"),
)

# Names: CTranslate2 src/cuda/utils.cc (cublasGetStatusName), which writes "cuBLAS failed with
# status " before them; meaning: the cuBLAS documentation, cublasStatus_t.
CUBLAS: dict[str, ErrorKind] = {
    "CUBLAS_STATUS_NOT_INITIALIZED": CUDA,
    "CUBLAS_STATUS_ALLOC_FAILED": OOM,
    "CUBLAS_STATUS_INVALID_VALUE": CUDA,
    "CUBLAS_STATUS_ARCH_MISMATCH": DEVICE,
    "CUBLAS_STATUS_MAPPING_ERROR": STICKY,
    "CUBLAS_STATUS_EXECUTION_FAILED": STICKY,
    "CUBLAS_STATUS_INTERNAL_ERROR": CUDA,
    # int8 on Blackwell: every file meets it (OpenNMT/CTranslate2#1865).
    "CUBLAS_STATUS_NOT_SUPPORTED": DEVICE,
    "CUBLAS_STATUS_LICENSE_ERROR": DEVICE,
}

# "cuDNN failed with status " + cudnnGetErrorString (CTranslate2 src/cuda/utils.h); only
# builds with cuDNN, which the Linux wheels are not since 4.6.3.
CUDNN: dict[str, ErrorKind] = {
    "CUDNN_STATUS_NOT_INITIALIZED": CUDA,
    "CUDNN_STATUS_ALLOC_FAILED": OOM,
    "CUDNN_STATUS_BAD_PARAM": CUDA,
    "CUDNN_STATUS_INTERNAL_ERROR": CUDA,
    "CUDNN_STATUS_MAPPING_ERROR": STICKY,
    "CUDNN_STATUS_EXECUTION_FAILED": STICKY,
    "CUDNN_STATUS_ARCH_MISMATCH": DEVICE,
    "CUDNN_STATUS_VERSION_MISMATCH": DEVICE,
    "CUDNN_STATUS_NOT_SUPPORTED": DEVICE,
}

_MODEL_CC = "CTranslate2 src/models/model.cc"
_WHISPER_CC = "CTranslate2 src/models/whisper.cc"

TEXTS: tuple[Known, ...] = (
    # the device and its driver
    Known(DEVICE, "GPU is lost", "nvml.h NVML_ERROR_GPU_IS_LOST"),
    Known(DEVICE, "GPU requires restart", "nvml.h NVML_ERROR_RESET_REQUIRED"),
    Known(DEVICE, "Driver Not Loaded", "nvml.h NVML_ERROR_DRIVER_NOT_LOADED"),
    Known(DEVICE, "Driver/library version mismatch", "nvidia-smi; mozilla/translations#1167"),
    Known(DEVICE, "fallen off the bus", "NVIDIA/open-gpu-kernel-modules#507, Xid 79"),
    Known(DEVICE, "Found no NVIDIA driver on your system", "torch c10/cuda/CUDAFunctions.cpp"),
    Known(DEVICE, "Torch not compiled with CUDA enabled", "torch/cuda/__init__.py"),
    Known(DEVICE, "not compiled with CUDA support", "CTranslate2 src/devices.cc"),
    Known(DEVICE, "unsupported device ", "CTranslate2 src/devices.cc"),
    Known(DEVICE, "is not found or cannot be loaded", "CTranslate2 src/cuda/cublas_stub.cc"),
    Known(DEVICE, "Cannot load symbol ", "CTranslate2 src/cuda/cublas_stub.cc; cuDNN 9"),
    Known(DEVICE, "Unable to load any of {libcudnn", "m-bain/whisperX#1297"),
    Known(DEVICE, "Could not load library libcudnn", "SYSTRAN/faster-whisper#516"),
    Known(DEVICE, "libcublas.so.12 not found", "speakeasy_tui/engine/cublas.py"),
    Known(
        DEVICE,
        "but the target device or backend do not support efficient",
        "CTranslate2 src/types.cc",
    ),
    Known(DEVICE, "Invalid CUDA allocator ", "CTranslate2 src/cuda/allocator.cc"),
    Known(DEVICE, "asynchronous CUDA allocator requires CUDA", "CTranslate2 src/cuda/allocator.cc"),
    Known(DEVICE, "The CPU does not support ", "CTranslate2 src/cpu/cpu_isa.cc"),
    Known(DEVICE, "This CTranslate2 binary was not compiled with ", "CTranslate2 src/cpu"),
    # memory
    Known(OOM, "CUDA out of memory", "torch c10/cuda/CUDACachingAllocator.cpp"),
    Known(OOM, "can't allocate memory: you tried to allocate", "torch c10/core/impl/alloc_cpu.cpp"),
    Known(OOM, "failed to allocate memory", "CTranslate2 src/cpu/allocator.cc"),
    Known(OOM, "std::bad_alloc", "libstdc++ <new>"),
    Known(OOM, "Unable to allocate ", "numpy/_core/_exceptions.py (_ArrayMemoryError)"),
    Known(OOM, "MemoryError", "Python"),
    Known(OOM, "Cannot allocate memory", "errno ENOMEM"),
    Known(OOM, "out of memory", "cudaErrorMemoryAllocation, without what goes before it"),
    # disk
    Known(DISK, "No space left on device", "errno ENOSPC"),
    Known(DISK, "Disk quota exceeded", "errno EDQUOT"),
    Known(DISK, "database or disk is full", "sqlite3.c SQLITE_FULL"),
    # the model
    Known(
        MODEL, "Unable to open file 'model.bin' in model", "CTranslate2 src/models/model_reader.cc"
    ),
    Known(MODEL, "File model.bin is incomplete", _MODEL_CC),
    Known(MODEL, "Invalid string length in model.bin", _MODEL_CC),
    Known(MODEL, "Unsupported model binary version", _MODEL_CC),
    Known(MODEL, "Unsupported model revision", _MODEL_CC),
    Known(MODEL, "has an invalid payload size", _MODEL_CC),
    Known(MODEL, "unknown data type of width", _MODEL_CC),
    Known(MODEL, "Cannot load the vocabulary from the model directory", _WHISPER_CC),
    Known(MODEL, "The model is not a Whisper model", _WHISPER_CC),
    Known(MODEL, "does not contain the field 'alignment_heads'", _WHISPER_CC),
    Known(MODEL, "Unknown model ", "CTranslate2 include/ctranslate2/models/model_factory.h"),
    Known(MODEL, "Invalid input features shape", "CTranslate2 src/layers/whisper.cc"),
    # the recording (PyAV av/error.py: "[Errno N] " + av_strerror's text + the file's name)
    Known(INPUT, "Invalid data found when processing input", "FFmpeg AVERROR_INVALIDDATA"),
    Known(INPUT, "Decoder not found", "FFmpeg AVERROR_DECODER_NOT_FOUND"),
    Known(INPUT, "Demuxer not found", "FFmpeg AVERROR_DEMUXER_NOT_FOUND"),
    Known(INPUT, "Protocol not found", "FFmpeg AVERROR_PROTOCOL_NOT_FOUND"),
    Known(INPUT, "Not yet implemented in FFmpeg, patches welcome", "FFmpeg AVERROR_PATCHWELCOME"),
    Known(INPUT, "Internal bug, should not have happened", "FFmpeg AVERROR_BUG"),
    Known(INPUT, "End of file", "FFmpeg AVERROR_EOF"),
    Known(INPUT, "Generic error in an external library", "FFmpeg AVERROR_EXTERNAL"),
    # The device, by a name or a text without what CTranslate2 and torch write before it.
    *(
        Known(error.kind, error.text, f"driver_types.h {error.name}")
        for error in CUDA_ERRORS
        if error.kind in {STICKY, DEVICE} and error.text != "unknown error"
    ),
)
"""Matched in this order, anywhere in a message, capitals or not."""

XIDS: dict[int, ErrorKind] = {
    46: DEVICE,  # GPU stopped processing
    48: DEVICE,  # double bit ECC error
    79: DEVICE,  # GPU has fallen off the bus
    95: DEVICE,  # uncontained memory error
    119: DEVICE,  # GSP RPC timeout
}
"""The driver's reports in the kernel's log ("NVRM: Xid (PCI:0000:01:00): 79, …"), by number:
NVIDIA, "XID Errors"."""

ERRNOS: dict[int, ErrorKind] = {
    errno.ENOSPC: DISK,
    errno.EDQUOT: DISK,
    errno.ENOMEM: OOM,
    errno.ENOENT: INPUT,
    errno.ENOTDIR: INPUT,
    errno.EISDIR: INPUT,
    errno.EACCES: INPUT,
    errno.EPERM: INPUT,
    errno.ELOOP: INPUT,
    errno.ENAMETOOLONG: INPUT,
    errno.ENXIO: INPUT,
    # These pass: a try more is worth it.
    errno.EIO: CRASH,
    errno.ESTALE: CRASH,
    errno.ETIMEDOUT: CRASH,
    errno.EMFILE: CRASH,
    errno.ENFILE: CRASH,
    errno.EAGAIN: CRASH,
    errno.EINTR: CRASH,
}
"""Of an OSError's text, "[Errno N] …": errno(3)."""
