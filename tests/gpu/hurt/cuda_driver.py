"""A few calls of CUDA's driver, by ctypes: an error that stays, and memory that is taken.

python cuda_driver.py DEVICE LEAVE STOP    takes all memory but LEAVE bytes until STOP exists
"""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path
from typing import Any

WILD = b"""
.version 6.4
.target sm_50
.address_size 64
.visible .entry wild()
{
    .reg .b64 %rd<2>;
    .reg .b32 %r<2>;
    mov.u64 %rd1, 16;
    mov.u32 %r1, 1;
    st.global.u32 [%rd1], %r1;
    ret;
}
\0"""
"""PTX of a kernel that writes to address 16, where nothing is."""

PATIENCE = 300
"""Seconds after which taken memory is given back in any case."""


class CudaError(RuntimeError):
    """What the driver answered."""


class Driver:
    """The primary context of a device: the one that the runtime, and so CTranslate2, uses.

    Raises:
        OSError: no driver is installed.
        CudaError: the device cannot be used.
    """

    def __init__(self, device: int) -> None:
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self.call("cuInit", 0)
        number, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(number), device)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), number)
        self.call("cuCtxSetCurrent", context)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver."""
        status = getattr(self._cuda, name)(*arguments)
        if status:
            text = ctypes.c_char_p()
            self._cuda.cuGetErrorString(status, ctypes.byref(text))
            raise CudaError(f"{name}: {status}, {(text.value or b'?').decode()}")

    def run_wild(self) -> None:
        """Run the kernel that writes where nothing is, and wait for it."""
        module, kernel = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), WILD)
        self.call("cuModuleGetFunction", ctypes.byref(kernel), module, b"wild")
        none = ctypes.c_void_p()
        self.call("cuLaunchKernel", kernel, 1, 1, 1, 1, 1, 1, 0, none, none, none)
        self.call("cuCtxSynchronize")

    def free(self) -> int:
        """Bytes free on the device."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def take(self, size: int) -> None:
        """Take `size` bytes, for as long as the process lives."""
        at = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(at), ctypes.c_size_t(size))


def poison(device: int) -> str:
    """Bring about an error that stays in this process's context; what the driver said of it.

    Raises:
        CudaError: the kernel could not even be loaded.
        RuntimeError: it was no error at all.
    """
    driver = Driver(device)
    try:
        driver.run_wild()
    except CudaError as error:
        if not str(error).startswith(("cuCtxSynchronize", "cuLaunchKernel")):
            raise
        return str(error)
    raise RuntimeError("a write to address 16 met no error")


def main() -> None:
    """Take the memory and hold it."""
    device, leave, stop = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    driver = Driver(device)
    piece = 2**28
    while piece >= 2**20:
        if driver.free() - leave < piece:
            piece //= 2
            continue
        try:
            driver.take(piece)
        except CudaError:
            piece //= 2
    print(f"another process left {driver.free() / 2**20:.0f} MB of the device", flush=True)
    until = time.monotonic() + PATIENCE
    while not stop.exists() and time.monotonic() < until:
        time.sleep(0.2)


if __name__ == "__main__":
    main()
