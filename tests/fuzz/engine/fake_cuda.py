"""As much of CUDA's streams and graphs as the engine uses, on the CPU: what is queued runs later, what is captured runs when replayed.

Every operation that torch dispatches is seen. On a stream that is busy, or that captures, it is put down instead of done;
what it returns is memory that it writes to later. Streams do not wait for each other unless they are told to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from fuzz.engine.side_stream import side_stream

NOT_PERMITTED = "CUDA error: operation not permitted when stream is capturing\nSearch for `cudaErrorStreamCaptureUnsupported' in a manual"
INVALIDATED = "CUDA error: operation failed due to a previous error during capture\nSearch for `cudaErrorStreamCaptureInvalidated'"


@dataclass(eq=False)
class FakeStream:
    """A stream: what is queued on it, if it is busy."""

    cuda: FakeCuda
    name: str
    busy: bool = False
    queue: list[Callable[[], object]] = field(default_factory=list)

    def wait_stream(self, other: FakeStream) -> None:
        """Nothing is queued here before all of `other` is done."""
        other.synchronize()

    def synchronize(self) -> None:
        """Do what is queued."""
        queue, self.queue, self.busy = self.queue, [], False
        with self.cuda.paused():
            for work in queue:
                work()


class FakeGraph:
    """What was captured."""

    def __init__(self) -> None:
        self.work: list[Callable[[], object]] = []
        self.replays = 0

    def replay(self) -> None:
        """Do it."""
        self.replays += 1
        with FakeCuda.current().paused():
            for work in self.work:
                work()


_AT_ONCE: Final = frozenset({torch.ops.aten.set_.source_Storage_storage_offset})
"""Operations that say where a tensor lies: they write to no memory, and no stream has to do with them."""


class FakeCuda(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The device: put it in place of torch.cuda by `install`."""

    _current: FakeCuda | None = None

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        FakeCuda._current = self
        self.default = FakeStream(self, "default")
        self.stream = self.default
        self.streams = [self.default]
        self.capturing: FakeGraph | None = None
        self.invalid = False
        self._paused = False
        self.synchronized = 0

    @classmethod
    def current(cls) -> FakeCuda:
        """The device that was made last."""
        assert cls._current is not None
        return cls._current

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Operations are done."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do an operation, or put it down."""
        named = kwargs or {}
        if self._paused or not (self.capturing is not None or self.stream.busy) or func in _AT_ONCE:
            return func(*args, **named)
        if func is torch.ops.aten._local_scalar_dense.default:
            if self.capturing is not None:
                self.invalid = True
                raise RuntimeError(NOT_PERMITTED)
            self.stream.synchronize()
            return func(*args, **named)
        return self._put_down(func, args, named)

    def _put_down(self, func: Any, args: Any, named: Any) -> Any:
        queue = self.stream.queue if self.capturing is None else self.capturing.work
        if func._schema.is_mutable:
            queue.append(lambda: func(*args, **named))
            written = [argument for argument, value in zip(func._schema.arguments, args, strict=False) if argument.alias_info is not None]
            return named.get("out", args[0]) if written or "out" in named else None
        with self.paused():
            placeholder = func(*args, **named)  # for its shape; what it holds was made of what is there now
        if any(a.alias_info is not None for a in func._schema.arguments):
            return placeholder  # a view, which sees what is written later

        def do() -> None:
            for memory, value in zip(_tensors(placeholder), _tensors(func(*args, **named)), strict=True):
                memory.copy_(value)

        queue.append(do)
        return placeholder

    def new_stream(self) -> FakeStream:
        """Another stream."""
        self.streams.append(FakeStream(self, f"side {len(self.streams)}"))
        return self.streams[-1]

    @contextlib.contextmanager
    def on(self, stream: FakeStream) -> Iterator[None]:
        """`torch.cuda.stream`."""
        before, self.stream = self.stream, stream
        try:
            yield
        finally:
            self.stream = before

    def set_stream(self, stream: FakeStream) -> None:
        """`torch.cuda.set_stream`."""
        self.stream = stream

    def sleep(self, cycles: int) -> None:
        """`torch.cuda._sleep`: what follows on this stream waits."""
        assert cycles > 0
        self.stream.busy = True

    def synchronize(self, device: object = None) -> None:  # noqa: ARG002 - torch's signature
        """`torch.cuda.synchronize`."""
        assert self.capturing is None, "not permitted during a capture"
        self.synchronized += 1
        for stream in self.streams:
            stream.synchronize()

    @contextlib.contextmanager
    def capture(self, graph: FakeGraph) -> Iterator[None]:
        """`torch.cuda.graph`: like the real one, it stays on its own stream if the capture cannot be ended."""
        self.synchronize()
        before, self.stream, self.capturing = self.stream, self.new_stream(), graph
        try:
            yield
        finally:
            self.capturing = None
            if self.invalid:
                raise RuntimeError(INVALIDATED)
            self.stream = before


def _tensors(result: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, torch.Tensor)]


@contextlib.contextmanager
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """A device in place of torch.cuda; the current process is on its default stream."""
    cuda = FakeCuda()
    side_stream.cache_clear()
    for name, value in {
        "Stream": cuda.new_stream,
        "stream": cuda.on,
        "current_stream": lambda: cuda.stream,
        "set_stream": cuda.set_stream,
        "synchronize": cuda.synchronize,
        "_sleep": cuda.sleep,
        "CUDAGraph": FakeGraph,
        "graph": cuda.capture,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    with cuda:
        yield cuda
    side_stream.cache_clear()
