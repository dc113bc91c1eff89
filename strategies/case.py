"""The vocabulary: one complete test input as plain frozen data.

A `Case` holds no tensor. Equal Cases build bit-identical tensors on every machine, so a Case in a JSON file is a
complete reproduction. Every field has a *neutral* value, the dullest one, which is its default: `Case()` is the
dullest case there is. Dimensions (`out_features`, `in_features`, `leading`) are not neutralised but made small.

A new dimension is a new field with its neutral value as the default; old Case files then still load.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from strategies.misuse import Misuse

FORMAT_VERSION: Final = 1
"""Version of the JSON form. It changes when an old file would be read with another meaning."""

MAX_DIMENSION: Final = 2**16
"""Largest single dimension a Case may have."""

MAX_ELEMENTS: Final = 2**25
"""Largest weight or activation of a Case, in elements: 128 MiB in float32, so that a case never exhausts a device, and
every fused kernel is within reach: an H200 takes tensor cores at blocksize 4096 from 4161 outputs on."""

MAX_SEED: Final = 2**31 - 1
MAX_RANK: Final = 3
BLOCKSIZES: Final = (64, 32, 128, 256, 512, 1024, 2048, 4096)
"""Every blocksize that any release documents, the default first (docstring of `functional.quantize_4bit`)."""


class CaseError(ValueError):
    """A Case that no strategy could draw, or JSON that is not a Case."""


class Layout(enum.Enum):
    """Orientation of the weight tensor at the moment it is quantized."""

    OUT_IN = "out_in"  # (out_features, in_features), as torch.nn.Linear stores it
    IN_OUT = "in_out"  # (in_features, out_features), the corner of upstream issue #1862


class FloatDType(enum.Enum):
    """Floating dtypes that upstream documents for weights and activations."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


class StorageDType(enum.Enum):
    """Dtype of the tensor that holds the packed nibbles (`quant_storage`)."""

    UINT8 = "uint8"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return {"uint8": 1, "float16": 2, "bfloat16": 2, "float32": 4}[self.value]


class QuantType(enum.Enum):
    """The two 4-bit code tables."""

    NF4 = "nf4"
    FP4 = "fp4"


class PackedView(enum.Enum):
    """How the packed weight is handed on."""

    RETURNED = "returned"  # (n, 1), as quantize_4bit returned it
    TRANSPOSED = "transposed"  # (1, n), its transposed view


class Memory(enum.Enum):
    """How a tensor lies in memory. `strategies.memory` says what each one is."""

    CONTIGUOUS = "contiguous"
    GUARDED = "guarded"
    OFFSET = "offset"
    STRIDED = "strided"
    TRANSPOSED = "transposed"
    EXPANDED = "expanded"


class Fill(enum.Enum):
    """Named ways to fill a tensor, dullest first. `strategies.fills` says what each one is."""

    ONES = "ones"
    ONE_HOT = "one_hot"
    INTEGERS = "integers"
    NORMAL = "normal"
    HEAVY_TAILED = "heavy_tailed"
    CANCELLING = "cancelling"
    HUGE = "huge"
    TINY = "tiny"
    SUBNORMAL = "subnormal"
    STEPPED = "stepped"
    ZEROS = "zeros"
    ZERO_BLOCKS = "zero_blocks"
    INFINITE = "infinite"
    NAN = "nan"


NON_FINITE: Final = frozenset({Fill.INFINITE, Fill.NAN})
"""Fills that hold what is no number. What multiplies it is no number either, and everything else is not touched by it."""


class Relation(enum.Enum):
    """A second call whose result follows from the first one's, bit for bit. `fuzz.engine.relations` says when."""

    NONE = "none"
    RERUN = "rerun"
    SIGN = "sign"
    ZERO_INPUT = "zero_input"
    SCALED_ACTIVATION = "scaled_activation"
    SCALED_WEIGHT = "scaled_weight"
    ZERO_BIAS = "zero_bias"
    ROW_ALONE = "row_alone"
    PERMUTED_ROWS = "permuted_rows"
    PERMUTED_OUTPUTS = "permuted_outputs"
    APPENDED_ZEROS = "appended_zeros"
    HALVED_BLOCKSIZE = "halved_blocksize"
    STORAGE_VIEW = "storage_view"
    SECOND_GPU = "second_gpu"


class Mode(enum.Enum):
    """What else is asked of the library than to return a product. `fuzz.engine.paths` says which paths each one adds."""

    CALL = "call"
    OUT = "out"  # results are written to tensors that the caller hands over
    BACKWARD = "backward"  # gradients of activation and bias
    KEPT = "kept"  # a module that was saved and loaded, copied or pickled
    COMPILED = "compiled"  # the same calls through torch.compile
    OPCHECK = "opcheck"  # torch.library.opcheck of the ops
    GRAPH = "graph"  # captured as CUDA graphs, and replayed with other numbers in the same memory
    TRITON = "triton"  # the Triton functions, which are the ops of other devices and can be called on a GPU
    GIANT = "giant"  # the rows of the weight again and again, until 32 bits no longer count its elements (`strategies.giant`)


class CudaStream(enum.Enum):
    """The CUDA stream on which a call is made. A CPU has none."""

    DEFAULT = "default"  # the legacy default stream, which has done everything that the call reads
    SIDE = "side"  # a stream of the caller's, which has yet to write what the call reads, and does so before the call's kernels


class Stream(enum.IntEnum):
    """The random tensors of a Case. It has one seed, from which each stream takes its own."""

    WEIGHT = 0
    ACTIVATION = 1
    BIAS = 2
    GRADIENT = 3


_SEED_STEP: Final = 3
"""Between the seeds of two Cases. It stays as it is, so that what a Case in a file is filled with does: that the gradient of
one Case has the seed of another Case's weight does no harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """The weight before quantization; logical shape (out_features, in_features)."""

    out_features: int = 1
    in_features: int = 1
    layout: Layout = Layout.OUT_IN
    dtype: FloatDType = FloatDType.FLOAT32
    fill: Fill = Fill.ONES

    @property
    def stored_shape(self) -> tuple[int, int]:
        """Shape of the tensor that is handed to `quantize_4bit`."""
        if self.layout is Layout.OUT_IN:
            return (self.out_features, self.in_features)
        return (self.in_features, self.out_features)

    @property
    def elements(self) -> int:
        """Number of weight elements."""
        return self.out_features * self.in_features


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """Arguments of `quantize_4bit`."""

    quant_type: QuantType = QuantType.NF4
    blocksize: int = 64
    compress_statistics: bool = False
    storage: StorageDType = StorageDType.UINT8


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """The activation, shape `(*leading, in_features)`."""

    leading: tuple[int, ...] = ()
    dtype: FloatDType | None = None  # None: the weight's
    fill: Fill = Fill.ONES

    @property
    def rows(self) -> int:
        """Number of rows of the activation seen as a matrix."""
        return math.prod(self.leading)

    @property
    def rank(self) -> int:
        """Number of dimensions of the activation."""
        return len(self.leading) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layouts:
    """How the tensors of a Case lie in memory when they are handed over.

    An expanded tensor has the values of its first row throughout, so that it is no memory layout of the packed weight or
    of its scales.
    """

    weight: Memory = Memory.CONTIGUOUS
    packed: Memory = Memory.CONTIGUOUS
    absmax: Memory = Memory.CONTIGUOUS
    activation: Memory = Memory.CONTIGUOUS
    bias: Memory = Memory.CONTIGUOUS
    out: Memory = Memory.CONTIGUOUS  # of what a result is written to, where the caller hands that over


STORED_MEMORIES: Final = tuple(memory for memory in Memory if memory not in {Memory.EXPANDED, Memory.TRANSPOSED})
"""Memory layouts of what `quantize_4bit` returns, which has one column."""

FLAT_MEMORIES: Final = tuple(memory for memory in Memory if memory is not Memory.TRANSPOSED)
"""Memory layouts of a tensor of one dimension."""

OUT_MEMORIES: Final = tuple(memory for memory in Memory if memory not in {Memory.GUARDED, Memory.EXPANDED})
"""Memory layouts of what a result is written to: it always has a guard, and each element a place of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How the call is made."""

    grad: bool = False  # the activation requires grad, and grad mode is on
    mode: Mode = Mode.CALL
    relation: Relation = Relation.NONE
    misuse: Misuse = Misuse.NONE
    default_dtype: FloatDType = FloatDType.FLOAT32  # what the caller has told torch.set_default_dtype
    stream: CudaStream = CudaStream.DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One complete test input. `Case()` is all neutral.

    Raises:
        CaseError: a field lies outside of what the strategies can draw.
    """

    weight: Weight = field(default_factory=Weight)
    quantization: Quantization = field(default_factory=Quantization)
    packed: PackedView = PackedView.RETURNED
    activation: Activation = field(default_factory=Activation)
    bias: bool = False
    memory: Layouts = field(default_factory=Layouts)
    execution: Execution = field(default_factory=Execution)
    seed: int = 0

    def __post_init__(self) -> None:
        _require_dimension("weight.out_features", self.weight.out_features)
        _require_dimension("weight.in_features", self.weight.in_features)
        for size in self.activation.leading:
            _require_dimension("activation.leading", size)
        _require(self.activation.rank <= MAX_RANK, f"activation.leading has more than {MAX_RANK - 1} dimensions")
        _require(self.weight.elements <= MAX_ELEMENTS, f"the weight has more than {MAX_ELEMENTS} elements")
        rows = self.activation.rows
        _require(rows * self.weight.in_features <= MAX_ELEMENTS, f"the activation has more than {MAX_ELEMENTS} elements")
        _require(rows * self.weight.out_features <= MAX_ELEMENTS, f"the result has more than {MAX_ELEMENTS} elements")
        _require(self.quantization.blocksize in BLOCKSIZES, f"blocksize {self.quantization.blocksize} is not one of {BLOCKSIZES}")
        for name, allowed in _MEMORIES:
            memory = getattr(self.memory, name)
            _require(memory in allowed, f"memory.{name} is {memory.value!r}, not one of {', '.join(each.value for each in allowed)}")
        _require(0 <= self.seed <= MAX_SEED, f"seed {self.seed} is not between 0 and {MAX_SEED}")

    @property
    def activation_dtype(self) -> FloatDType:
        """Dtype of the activation, of the bias and of the result."""
        return self.activation.dtype or self.weight.dtype

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of `x @ W.T`, as `torch.nn.functional.linear` documents it."""
        return (*self.activation.leading, self.weight.out_features)

    @property
    def is_empty(self) -> bool:
        """Whether a size is zero, so that there is nothing to compute with or to compute."""
        return 0 in {self.weight.out_features, self.weight.in_features, self.activation.rows}

    def seed_of(self, stream: Stream) -> int:
        """The seed of one tensor's fill, so that no two tensors of a Case are filled alike."""
        return _SEED_STEP * self.seed + stream

    def to_json(self) -> dict[str, Any]:
        """The Case as JSON data, with `format_version`."""
        return {"format_version": FORMAT_VERSION, **_encode(self)}

    @classmethod
    def from_json(cls, data: object) -> Case:
        """The Case that `to_json` wrote.

        Raises:
            CaseError: another format version, an unknown field, a value of the wrong type or out of range.
        """
        if not isinstance(data, dict):
            raise CaseError("a Case is a JSON object")
        version = data.get("format_version")
        if version != FORMAT_VERSION:
            raise CaseError(f"Case format_version is {version!r}, this program reads {FORMAT_VERSION}")
        return _decode(cls, {key: value for key, value in data.items() if key != "format_version"}, "")


_MEMORIES: Final = (("packed", STORED_MEMORIES), ("absmax", STORED_MEMORIES), ("bias", FLAT_MEMORIES), ("out", OUT_MEMORIES))
"""Tensors that cannot have every memory layout."""


def _require(condition: object, message: str) -> None:
    if not condition:
        raise CaseError(message)


def _require_dimension(name: str, size: int) -> None:
    _require(0 <= size <= MAX_DIMENSION, f"{name} is {size}, not between 0 and {MAX_DIMENSION}")


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {item.name: _encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


_PARTS: Final[dict[str, type]] = {
    "weight": Weight,
    "quantization": Quantization,
    "activation": Activation,
    "memory": Layouts,
    "execution": Execution,
}
_CHOICES: Final[dict[str, type[enum.Enum]]] = {
    "weight.layout": Layout,
    "weight.dtype": FloatDType,
    "weight.fill": Fill,
    "quantization.quant_type": QuantType,
    "quantization.storage": StorageDType,
    "packed": PackedView,
    "activation.dtype": FloatDType,
    "activation.fill": Fill,
    **{f"memory.{item.name}": Memory for item in dataclasses.fields(Layouts)},
    "execution.mode": Mode,
    "execution.relation": Relation,
    "execution.misuse": Misuse,
    "execution.default_dtype": FloatDType,
    "execution.stream": CudaStream,
}
_FLAGS: Final = frozenset({"quantization.compress_statistics", "bias", "execution.grad"})

_T = TypeVar("_T")


def _decode(kind: type[_T], data: object, prefix: str) -> _T:
    if not isinstance(data, dict):
        raise CaseError(f"{prefix.rstrip('.')} is not a JSON object")
    known = {item.name for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(data) - known):
        raise CaseError(f"unknown field {prefix}{unknown[0]}")
    return kind(**{name: _decode_field(prefix + name, value) for name, value in data.items()})


def _decode_field(name: str, value: object) -> Any:
    if name in _PARTS:
        return _decode(_PARTS[name], value, name + ".")
    if name == "activation.dtype" and value is None:
        return None
    if name in _CHOICES:
        return _decode_choice(name, _CHOICES[name], value)
    if name in _FLAGS:
        _require(isinstance(value, bool), f"{name} is {value!r}, not true or false")
        return value
    if name == "activation.leading":
        _require(isinstance(value, list) and all(_is_integer(size) for size in value), f"{name} is not a list of integers")
        return tuple(value)  # type: ignore[arg-type]
    _require(_is_integer(value), f"{name} is {value!r}, not an integer")
    return value


def _decode_choice(name: str, kind: type[enum.Enum], value: object) -> enum.Enum:
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(str(member.value) for member in kind)
        raise CaseError(f"{name} is {value!r}, not one of {choices}") from None


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
