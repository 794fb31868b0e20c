"""Just enough of ONNX to read a model's weights and to cut a model in two.

A model is a Protocol Buffers message (field numbers from onnx/onnx.proto). The `onnx` package
would do the same, but brings 20 MB and is needed by nobody else here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTH = {_FIXED64: 8, _FIXED32: 4}

_GRAPH = 7
"""Of ModelProto."""
_NODE, _INITIALIZER, _INPUT, _VALUE_INFO = 1, 5, 11, 13
"""Of GraphProto."""
_DIMS, _DATA_TYPE, _TENSOR_NAME, _RAW_DATA = 1, 2, 8, 9
"""Of TensorProto."""
_OP_TYPE = 4
"""Of NodeProto."""
_NAME = 1
"""Of ValueInfoProto."""
_FLOAT = 1
"""TensorProto.DataType."""

Field = tuple[int, int, "int | bytes"]
"""Number, wire type, value."""


def weights(model: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """The float32 initializers of `model` by name.

    Raises:
        ValueError: it is no such message, or holds them in another way than as raw data.
    """
    found: dict[str, npt.NDArray[np.float32]] = {}
    for number, _, value in _fields(_only(model, _GRAPH)):
        if number == _INITIALIZER:
            tensor = list(_fields(_as_bytes(value)))
            if (_DATA_TYPE, _VARINT, _FLOAT) in tensor:
                shape = [int(dim) for field, _, dim in tensor if field == _DIMS]
                raw = np.frombuffer(_only(_as_bytes(value), _RAW_DATA), "<f4")
                name = _only(_as_bytes(value), _TENSOR_NAME).decode()
                found[name] = raw.reshape(shape).astype(np.float32)
    return found


def rest_of(model: bytes, first: str, replaced: str, source: str, shape: tuple[int, ...]) -> bytes:
    """`model` from its first node of the type `first` on, what comes before left out.

    Args:
        model: nodes in the order in which they run.
        first: an operator, such as ``LSTM``.
        replaced: the input that nothing uses any more.
        source: the value that becomes an input instead, float32.
        shape: of `source`; 0 is any length.

    Raises:
        ValueError: it is no such message, or has no such node.
    """
    graph = bytearray()
    kept = False
    for number, kind, value in _fields(_only(model, _GRAPH)):
        if number == _NODE:
            kept = kept or _only(_as_bytes(value), _OP_TYPE).decode() == first
            if not kept:
                continue
        elif number == _VALUE_INFO:
            continue  # notes on values inside, some of which are gone
        elif number == _INPUT and _only(_as_bytes(value), _NAME).decode() == replaced:
            graph += _packed(number, kind, _value_info(source, shape))
            continue
        graph += _packed(number, kind, value)
    if not kept:
        raise ValueError(f"the model has no {first}")
    return b"".join(
        _packed(_GRAPH, _BYTES, bytes(graph)) if field[0] == _GRAPH else _packed(*field)
        for field in _fields(model)
    )


def _value_info(name: str, shape: tuple[int, ...]) -> bytes:
    """A ValueInfoProto: name 1, type 2 {tensor_type 1 {elem_type 1, shape 2 {dim 1}}}."""
    dims = (_packed(1, _VARINT, size) if size else _packed(2, _BYTES, b"n") for size in shape)
    whole = b"".join(_packed(1, _BYTES, dim) for dim in dims)
    tensor = _packed(1, _VARINT, _FLOAT) + _packed(2, _BYTES, whole)
    return _packed(1, _BYTES, name.encode()) + _packed(2, _BYTES, _packed(1, _BYTES, tensor))


def _only(message: bytes, wanted: int) -> bytes:
    """The value of a field that is there once, of bytes."""
    found = [value for number, _, value in _fields(message) if number == wanted]
    if len(found) != 1:
        raise ValueError(f"field {wanted} is there {len(found)} times, not once")
    return _as_bytes(found[0])


def _as_bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where a message was expected")
    return value


def _fields(message: bytes) -> Iterator[Field]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, kind, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in _WIDTH:
            size = _WIDTH[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(message):
            raise ValueError("cut short")
        yield number, kind, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("cut short")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _packed(number: int, kind: int, value: int | bytes) -> bytes:
    head = _number(number << 3 | kind)
    if isinstance(value, int):
        return head + _number(value)
    return head + (_number(len(value)) if kind == _BYTES else b"") + value


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
