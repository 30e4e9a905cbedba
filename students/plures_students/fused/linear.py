"""The parts of a fused step that know no memory: normalisation and linear maps of a few rows at a time.

Rows lie in scratch memory, row after row. A row's results are sums in one written-down order, whatever the other rows.
Weights lie as `packing` lays them out.
"""

import math
from typing import Any

import numpy as np
import torch
from numba import njit
from plures_kernels.simd import (
    FLOAT_BYTES,
    dot,
    load,
    plus_products,
    plus_scaled,
    scaled,
    sigmoid,
    squared_relu,
    stacked,
    store,
)

from .packing import PANEL

PANEL_BYTES = PANEL * FLOAT_BYTES
EPSILON = np.float32(torch.finfo(torch.float32).eps)
"""As of torch's RMSNorm."""
ONE = np.float32(1)


@njit
def normalize(x: Any, out: Any, stride: Any, rows: Any, row: Any) -> None:
    """Each row of x divided by its root mean square; `row` is a row of x's shape."""
    for r in range(rows):
        values = load(x + r * stride, 0, row)
        mean_square = dot(values, values) / np.float32(stride // FLOAT_BYTES)
        store(out + r * stride, 0, scaled(ONE / np.float32(math.sqrt(mean_square + EPSILON)), values))


@njit
def product(x: Any, x_stride: Any, inputs: Any, weights: Any, weights_stride: Any, start: Any, row: Any) -> Any:
    """start + one panel of x times the matrix at `weights`."""
    for i in range(inputs):
        panel = load(weights + i * weights_stride, 0, row)
        start = plus_products(start, x + i * FLOAT_BYTES, x_stride, panel)
    return start


@njit
def linear(x: Any, x_stride: Any, inputs: Any, weights: Any, outputs: Any, out: Any, tile: Any, row: Any) -> Any:
    """out ← bias + x W; returns where the next map's weights begin."""
    stride = outputs * FLOAT_BYTES
    for o in range(0, stride, PANEL_BYTES):
        bias = stacked(load(weights + o, 0, row), tile)
        store(out + o, stride, product(x, x_stride, inputs, weights + stride + o, stride, bias, row))
    return weights + (1 + inputs) * stride


@njit
def add_linear(x: Any, x_stride: Any, inputs: Any, weights: Any, outputs: Any, out: Any, tile: Any, row: Any) -> Any:
    """out ← out + bias + x W; returns where the next map's weights begin."""
    stride = outputs * FLOAT_BYTES
    for o in range(0, stride, PANEL_BYTES):
        start = plus_scaled(stacked(load(weights + o, 0, row), tile), ONE, load(out + o, stride, tile))
        store(out + o, stride, product(x, x_stride, inputs, weights + stride + o, stride, start, row))
    return weights + (1 + inputs) * stride


@njit
def square_relu(x: Any, stride: Any, tile: Any) -> None:
    """Rows of whole panels ← max(x, 0)²."""
    for o in range(0, stride, PANEL_BYTES):
        store(x + o, stride, squared_relu(load(x + o, stride, tile)))


@njit
def to_rates(x: Any, stride: Any, start: Any, tile: Any) -> None:
    """The panels from byte `start` of a row on ← σ(x)."""
    for o in range(start, stride, PANEL_BYTES):
        store(x + o, stride, sigmoid(load(x + o, stride, tile)))
