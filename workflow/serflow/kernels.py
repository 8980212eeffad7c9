"""What torch is slow at on CPUs, in faster ways that give the same to rounding (dropout: other draws, as many)."""

import contextlib
import ctypes
from collections.abc import Iterator

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # of glibc's malloc.h
KEEPING = {TRIM_THRESHOLD: 2**31 - 1, MMAP_MAX: 0, ARENA_MAX: 1}
DEFAULTS = {TRIM_THRESHOLD: 128 * 1024, MMAP_MAX: 65536, ARENA_MAX: 0}

FEWEST_PACKED = 2**18  # weights: what a layer's new length costs oneDNN is more than small ones gain


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Inside, memory that a tensor leaves stays with the process, for the next one.

    The system gives new pages one by one and zeroes each: that takes as long as three or four operations on them, and
    glibc asks anew for every large tensor. Another C library than glibc, or a GPU, does without.
    """
    library = ctypes.CDLL(None)
    if torch.cuda.is_available() or not hasattr(library, "mallopt"):
        yield
        return
    for option, value in KEEPING.items():
        library.mallopt(option, value)
    try:
        yield
    finally:
        for option, value in DEFAULTS.items():
            library.mallopt(option, value)
        library.malloc_trim(0)


class FastTraining(TorchFunctionMode):
    """Inside, dropout, and under autocast to bfloat16 attention and convolutions over time, are computed in ways that
    CPUs are fast at."""

    def __torch_function__(self, function, types, args=(), kwargs=None) -> object:
        return FASTER.get(function, function)(*args, **(kwargs or {}))


class FastInference(TorchFunctionMode):
    """Inside, large linear layers have their weights in the order that oneDNN, where torch has it, wants, from their
    first use on."""

    def __init__(self) -> None:
        super().__init__()
        self.packed, self.packs = {}, torch.backends.mkldnn.is_available()

    def __torch_function__(self, function, types, args=(), kwargs=None) -> object:
        if self.packs and function is functional.linear and not kwargs and args[1].numel() >= FEWEST_PACKED:
            return self.linear(*args)
        return function(*args, **(kwargs or {}))

    def linear(self, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """`functional.linear`, of float32."""
        if weight not in self.packed:
            self.packed[weight] = torch.ops.mkldnn._reorder_linear_weight(weight)
        return torch.ops.mkldnn._linear_pointwise(values, self.packed[weight], bias, "none", [], "")


def dropout(values: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    """`functional.dropout`, which takes 6 ns a value to draw: 16 bits of the generator do, and p is met to 1e-5."""
    if not training or inplace or not 0 < p < 1:
        return functional.dropout(values, p, training, inplace)
    kept, share = _kept(values, p)
    return (values * kept).mul_(1 / share)


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **more: object,
) -> torch.Tensor:
    """`functional.scaled_dot_product_attention` written out: its bfloat16 kernel takes three times as long backward,
    and with dropout it writes attention out in float32."""
    if not _in_bfloat16() or is_causal or more.get("enable_gqa"):
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **more
        )
    scores = (query * (scale or query.shape[-1] ** -0.5)) @ key.transpose(-2, -1)
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            least = torch.finfo(scores.dtype).min
            attn_mask = torch.zeros_like(attn_mask, dtype=scores.dtype).masked_fill(~attn_mask, least)
        scores = scores + attn_mask.to(scores.dtype)
    weights = scores.softmax(-1).to(scores.dtype)
    if dropout_p:
        kept, share = _kept(weights, dropout_p)
        weights, value = weights * kept, value / share  # the smaller one
    return weights @ value


def conv1d(
    values: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | tuple = 1,
    padding: int | tuple | str = 0,
    dilation: int | tuple = 1,
    groups: int = 1,
) -> torch.Tensor:
    """`functional.conv1d` of `[B, C, T]` with the channels of a moment side by side, as oneDNN wants bfloat16."""
    if not _in_bfloat16() or isinstance(padding, str):
        return functional.conv1d(values, weight, bias, stride, padding, dilation, groups)
    options = {"stride": (1, stride), "padding": (0, padding), "dilation": (1, dilation)}
    options = {name: (no, one if isinstance(one, int) else one[0]) for name, (no, one) in options.items()}
    wide = values[:, :, None].contiguous(memory_format=torch.channels_last)
    return functional.conv2d(wide, weight[:, :, None], bias, **options, groups=groups)[:, :, 0]


def _kept(values, p):
    """1 where a value is kept and 0 where it is dropped, with a chance of `p`, and the share that is kept."""
    dropped = min(max(round(p * 2**16), 1), 2**16 - 1)
    bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    kept = bits[: values.numel()].view(values.shape) >= dropped - 2**15
    return kept.to(values.dtype), 1 - dropped / 2**16


def _in_bfloat16():
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


FASTER = {
    functional.dropout: dropout,
    functional.scaled_dot_product_attention: attention,
    functional.conv1d: conv1d,
}
