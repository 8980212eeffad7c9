"""Ways of CPUs against torch's own."""

import ctypes
import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from serflow.kernels import FastInference, FastTraining

BFLOAT16 = torch.autocast("cpu", torch.bfloat16)


def values(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(dtype).requires_grad_()


def with_gradients(function, *inputs):
    """What comes out, and the gradients of its sum weighted by position."""
    output = function(*inputs)
    weights = torch.linspace(-1, 1, output.numel()).view(output.shape)
    return output, *torch.autograd.grad(
        (output.float() * weights).sum(), [one for one in inputs if one.requires_grad]
    )


def assert_close(ours, theirs, share):
    """The same to a `share` of their size."""
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        assert (one - other).float().norm() < share * other.float().norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(p, dtype):
    ones = torch.ones(1000, 401, dtype=dtype, requires_grad=True)
    torch.manual_seed(0)
    with FastTraining():
        dropped = functional.dropout(ones, p)
        (gradient,) = torch.autograd.grad(dropped.sum(), ones)
        torch.manual_seed(0)
        assert torch.equal(functional.dropout(ones, p), dropped)
    assert dropped.dtype == dtype
    torch.testing.assert_close(dropped[dropped > 0].unique(), torch.tensor([1 / (1 - p)], dtype=dtype))
    assert abs((dropped == 0).double().mean().item() - p) < 4 * (p * (1 - p) / ones.numel()) ** 0.5
    assert ((dropped == 0).double().mean(0) - p).abs().max() < 0.08  # no place is favoured
    assert torch.equal(gradient, dropped.detach())


def test_dropout_outside_training_is_torch_s():
    one = values(20)
    with FastTraining():
        assert functional.dropout(one, 0.5, training=False) is one
        assert torch.equal(functional.dropout(one, 0.0), one)
        assert not functional.dropout(one, 1.0).any()
        copy = one.detach().clone()
        assert functional.dropout(copy, 0.5, inplace=True) is copy


MASKS = {
    "none": None,
    "padding": torch.arange(9).lt(torch.tensor([[9], [4]]))[:, None, None],
    "bias": values(1, 3, 9, 9, seed=9),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_attention_equals_torch_s(mask):
    inputs = [values(2, 3, 9, 8, seed=seed) for seed in range(3)]

    def attended(*inputs):
        return functional.scaled_dot_product_attention(*inputs, attn_mask=mask)

    expected = with_gradients(attended, *inputs)
    with FastTraining():
        assert_close(with_gradients(attended, *inputs), expected, 1e-6)
        with BFLOAT16:
            output, *gradients = with_gradients(attended, *inputs)
    assert output.dtype == torch.bfloat16
    assert_close((output.float(), *gradients), expected, 0.02)


def test_attention_drops_weights():
    query, key = values(1, 1, 1, 8), values(1, 1, 40_000, 8, seed=1)
    with FastTraining(), BFLOAT16, torch.no_grad():
        mean = functional.scaled_dot_product_attention(query * 0, key, torch.ones_like(key), dropout_p=0.2)
        causal = functional.scaled_dot_product_attention(key[:, :, :5], key[:, :, :5], key[:, :, :5], is_causal=True)
    assert (mean - 1).abs().max() < 0.02  # what is kept makes up for what is not
    assert torch.allclose(causal[:, :, 0].float(), key[:, :, 0], atol=0.05)


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2}, {"padding": 3, "groups": 2}, {"dilation": (2,), "padding": "same"}]
)
def test_convolution_equals_torch_s(options):
    inputs = values(2, 4, 30), values(6, 4 // options.get("groups", 1), 5, seed=1), values(6, seed=2)

    def convolved(*inputs):
        return functional.conv1d(*inputs, **options)

    expected = with_gradients(convolved, *inputs)
    with FastTraining():
        assert_close(with_gradients(convolved, *inputs), expected, 1e-6)
        with BFLOAT16:
            output, *gradients = with_gradients(convolved, *inputs)
    assert_close((output.float(), *gradients), expected, 0.02)


@pytest.mark.parametrize("width", [8, 512])
def test_packed_linear_layers_equal_torch_s(width):
    layer, inputs = torch.nn.Linear(width, 512), [values(1, length, width, seed=length) for length in (3, 7)]
    fast = FastInference()
    with torch.inference_mode():
        for one in inputs:
            with fast:
                ours = layer(one)
            torch.testing.assert_close(ours, layer(one), atol=1e-5, rtol=1e-5)
    assert len(fast.packed) == (fast.packs and width == 512)


FAULTS = """
import resource
import torch
from serflow.kernels import kept_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(4, 2**20)  # 16 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
with kept_memory():
    print([faults() for _ in range(20)][-1])  # until a block is found that is large enough with its alignment
print(faults())
"""


def test_memory_stays_inside_and_goes_back_outside():
    if torch.cuda.is_available() or not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("on a GPU, or without glibc, memory is left as it is")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True)
    inside, outside = map(int, done.stdout.split())
    assert inside < 100 and outside > 1000
