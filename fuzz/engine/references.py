"""What the numbers of a path are compared with, computed once for a Case and only when it is asked for."""

from __future__ import annotations

import dataclasses

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.known_right import KnownRight
from fuzz.engine.path import Path, Yields
from fuzz.engine.tensors import FLOAT_DTYPES, Inputs, gradient
from fuzz.oracle.emulate import dequantized
from fuzz.oracle.expected import Arithmetic, Expected, expected
from fuzz.oracle.gradients import bias_gradient, input_gradient
from fuzz.oracle.operands import Decoded, Nested, Operands, decode_float32
from fuzz.oracle.reference import DecodedWeight, Product, decode, multiply
from strategies.case import Case, FloatDType, Layout, PackedView


class References:
    """The references of one prepared Case.

    Args:
        inputs: the Case's tensors, on the CPU unless the device itself is trusted with the reference.
        prepared: the same on the device, with the quantized weight.
        desk: where the kernels' own arithmetic is emulated, and results are compared with it; the device if not given.
    """

    def __init__(self, inputs: Inputs, prepared: Prepared, desk: torch.device | None = None) -> None:
        self._inputs, self._prepared = inputs, prepared
        self.desk = prepared.activation.device if desk is None else desk
        self.known_right = KnownRight()
        self._exact: DecodedWeight | None = None
        self._single: Decoded | None = None
        self._unbiased: Product | None = None
        self._products: dict[tuple[Yields, bool], Product] = {}
        self._expected: dict[tuple[Arithmetic, bool, FloatDType], Expected] = {}

    def product(self, path: Path) -> Product:
        """The float64 reference for what `path` yields, on the device of the inputs."""
        key = (path.yields, path.adds_bias)
        if key not in self._products:
            self._products[key] = self._product(path)
        return self._products[key]

    def _product(self, path: Path) -> Product:
        case = self._prepared.case
        if path.yields is Yields.WEIGHT:
            return product_of_weight(case, self._weight)
        if path.yields is Yields.PRODUCT:
            return self._multiplied(self._inputs.bias if path.adds_bias else None)
        handed = gradient(case).to(self._inputs.activation.device)
        return input_gradient(handed, self._weight) if path.yields is Yields.INPUT_GRADIENT else bias_gradient(handed)

    def _multiplied(self, bias: torch.Tensor | None) -> Product:
        if self._unbiased is None:
            self._unbiased = multiply(self._inputs.activation, self._weight, None)
        return self._unbiased if bias is None else dataclasses.replace(self._unbiased, bias=bias.detach().double())

    @property
    def _weight(self) -> DecodedWeight:
        if self._exact is None:
            prepared = self._prepared
            self._exact = decode(prepared.case, prepared.packed, prepared.state, self._inputs.activation.device)
        return self._exact

    def operands(self, path: Path) -> Operands:
        """What the kernel behind `path` multiplies, in float32 and the activation's dtype, on the desk."""
        prepared, decoded = self._prepared, self._decoded
        return Operands(
            activation=prepared.activation.to(self.desk).reshape(-1, prepared.case.weight.in_features),
            code=decoded.code,
            scales=decoded.scales,
            bias=prepared.bias.to(self.desk) if path.adds_bias and prepared.bias is not None else None,
            stored=FLOAT_DTYPES[path.stored(prepared.case, prepared.library)],
        )

    def expected(self, path: Path, arithmetic: Arithmetic) -> Expected:
        """What `arithmetic` gives on `path`; paths that are given the same share it."""
        prepared = self._prepared
        key = (arithmetic, path.adds_bias, path.stored(prepared.case, prepared.library))
        if key not in self._expected:
            self._expected[key] = expected(arithmetic, self.operands(path))
        return self._expected[key]

    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight that `dequantize_4bit` returns, bit for bit, in its stored orientation, on the desk."""
        weight = dequantized(self._decoded.code, self._decoded.scales[Nested.SEPARATE], dtype)
        return (weight if self._prepared.case.weight.layout is Layout.OUT_IN else weight.t()).contiguous()

    def linear(self, path: Path) -> torch.Tensor:
        """Torch's own linear on the emulated weight, with the shapes and strides that upstream hands it, on the desk.

        It is computed on the device: a dense product has other bits on another one.

        Upstream dequantizes into a contiguous tensor of the stored shape and passes that or its transposed view.
        """
        prepared = self._prepared
        activation = prepared.activation
        stored = self.weight(FLOAT_DTYPES[path.stored(prepared.case, prepared.library)]).to(activation.device).to(activation.dtype)
        weight = stored if prepared.case.weight.layout is Layout.OUT_IN else stored.t()
        return torch.nn.functional.linear(activation, weight, prepared.bias if path.adds_bias else None).to(self.desk)

    @property
    def _decoded(self) -> Decoded:
        if self._single is None:
            prepared = self._prepared
            self._single = decode_float32(prepared.case, prepared.packed, prepared.state, self.desk)
        return self._single


def product_of_weight(case: Case, weight: DecodedWeight) -> Product:
    """The reference of a dequantized weight, each element a product of one term, in the view that the Case asks for."""
    # Logical is [out, in]; the layout and the view transpose it once each.
    transposed = (case.weight.layout is Layout.IN_OUT) != (case.packed is PackedView.TRANSPOSED)
    parts = (weight.code, weight.scale, weight.scale_error)
    code, scale, scale_error = (part.t() for part in parts) if transposed else parts
    value, slack = code * scale, code.abs() * scale_error
    return Product(
        value=value,
        magnitude=value.abs() + slack,
        code_magnitude=code.abs(),
        activation_magnitude=torch.ones(1, dtype=torch.float64, device=value.device),
        scale_error=slack,
        bias=None,
        terms=1,
    )
