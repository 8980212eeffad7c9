"""Models as ONNX graphs, for batches of any size and length, exact where they are padded.

Shapes: B utterances, N samples, F frames of 10 ms, T tokens, D hidden size.
"""

import contextlib
import importlib.util
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from serflow.audio import RATE
from serflow.errors import UserError
from serflow.features import WIDTHS
from serflow.heads.classifier import EmotionClassifier

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TRACED, CHECKED = (3, 2 * RATE), (2, 3 * RATE + 1111)  # utterances, samples; a single one would stay single


def write(model: PreTrainedModel, reads: str, file: Path, normalise: bool) -> None:
    """Write an encoder or a classifier, which reads `reads` (see serflow.models), as the ONNX `file`.

    Inputs: `input_values` float32, `[B, N]` samples in [-1, 1] at 16 kHz or `[B, F, width]` frames as serflow
    extracts them, and `lengths` int64 `[B]`, the valid ones of each row. Outputs: `logits` `[B, classes]`; or
    `last_hidden_state` `[B, T, D]` and its valid number `tokens` `[B]`. `normalise`: every utterance by its own mean
    and deviation, in the graph. Metadata: `reads`, and the `classes` as a JSON list.

    What ONNX Runtime makes of the file is compared with the model. Raises UserError where packages are missing, and
    for a network that cannot be written.
    """
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise UserError(f"--onnx needs {', '.join(missing)}: run .venv/bin/uv pip install {' '.join(missing)}.")
    classifies = isinstance(model, EmotionClassifier)
    if classifies and hasattr(model.head, "class_vectors"):  # of prompts, the same whatever is heard
        words, scales = model.head.class_vectors().detach(), model.head.scales().detach()
        model.head.class_vectors, model.head.scales = lambda: words, lambda: scales
    graph, free = Graph(model, normalise).eval(), torch.export.Dim.DYNAMIC
    try:
        with _quiet(), _symbolic(model):
            program = torch.onnx.export(
                graph,
                _example(reads, *TRACED),
                dynamo=True,
                dynamic_shapes=({0: free, 1: free}, {0: free}),
                input_names=["input_values", "lengths"],
                output_names=["logits"] if classifies else ["last_hidden_state", "tokens"],
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise _refusal(model, error.__cause__ or error) from error
    program.model.metadata_props["reads"] = reads
    if classifies:
        names = [model.config.id2label[number] for number in range(model.config.num_labels)]
        program.model.metadata_props["classes"] = json.dumps(names)
    program.save(file)
    _check(graph, file, reads)


def _example(reads, count, samples):
    """Noise: `count` utterances, each shorter than the one before, the longest of `samples`."""
    shape = (count, samples) if reads == "audio" else (count, samples * 100 // RATE, WIDTHS[reads])
    lengths = torch.tensor([shape[1] - number * shape[1] // (2 * count) for number in range(count)])
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)), lengths


def _check(graph, file, reads):
    """UserError unless ONNX Runtime gives what the model gives, for a batch of another size than the traced one."""
    import onnxruntime

    values, lengths = _example(reads, *CHECKED)
    with torch.no_grad():
        expected = graph(values, lengths)
    expected = expected if isinstance(expected, tuple) else (expected,)
    try:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        found = session.run(None, {"input_values": values.numpy(), "lengths": lengths.numpy()})
        torch.testing.assert_close(tuple(map(torch.from_numpy, found)), expected, atol=1e-3, rtol=1e-3)
    except Exception as error:  # ONNX Runtime's errors share no public class
        raise _refusal(graph.model, error) from error


def _refusal(model, error):
    what = model.config.model_type
    if isinstance(model, EmotionClassifier):
        what = f"{model.encoder.config.model_type} under the head {model.config.head}"
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{what} cannot become a graph ({reason}): load it with serflow instead, or choose another model."
    )


class Graph(nn.Module):
    """A model behind the normalisation of its inputs."""

    def __init__(self, model: PreTrainedModel, normalise: bool) -> None:
        super().__init__()
        self.model, self.normalise = model, normalise

    def forward(
        self, input_values: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        if self.normalise:
            input_values = normalised(input_values, lengths)
        with _Traced() if torch.compiler.is_exporting() else contextlib.nullcontext():
            output = self.model(input_values, lengths)
        if isinstance(self.model, EmotionClassifier):
            return output.logits
        return output.hidden_states[-1], output.lengths.clone()


def normalised(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """What `serflow.batches.Inputs` and `padded` make of waveforms `[B, N]` or frames `[B, F, C]`: mean 0 and
    deviation 1 over the valid ones, then zeros. Waveforms are stored as int16, so that what is added to their
    variance is small here."""
    valid = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
    if values.dim() == 3:
        valid = valid[..., None]
    count = valid.sum(1, keepdim=True)
    mean = (values * valid).sum(1, keepdim=True) / count
    centred = (values - mean) * valid
    variance = centred.square().sum(1, keepdim=True) / count
    return centred / (variance.sqrt() + 1e-10 if values.dim() == 3 else (variance + 1e-7 / 32768**2).sqrt())


class _Traced(TorchFunctionMode):
    """What a forward pass asks of the values of tensors, answered so that the graph holds for any.

    Whether nothing is padded, for a faster way: no, whose way is exact for both. Which rows are valid, to compute
    them alone: all are taken, in the same order, and those that are not are left out where they are put back.
    """

    def __torch_function__(self, function, types, arguments=(), named=None) -> object:
        if function is torch.Tensor.__bool__:
            return False
        chosen = arguments[1] if len(arguments) > 1 else None
        if isinstance(chosen, torch.Tensor) and chosen.dtype == torch.bool:
            if function is torch.Tensor.__getitem__:
                return arguments[0].flatten(0, chosen.dim() - 1)
            if function is torch.Tensor.__setitem__:
                whole, _, rows = arguments
                return whole.copy_(torch.where(chosen[..., None], rows.view_as(whole), whole))
        return function(*arguments, **(named or {}))


@contextlib.contextmanager
def _symbolic(model: nn.Module) -> Iterator[None]:
    """In the modules of serflow that `model` is of, `len` of a tensor is a symbol: Python's would be a constant."""
    names = {type(part).__module__ for part in model.modules()}
    with contextlib.ExitStack() as stack:
        for module in (sys.modules[name] for name in names if name.startswith("serflow.")):
            stack.enter_context(patch.object(module, "len", _length, create=True))
        yield


def _length(values):
    return values.shape[0] if isinstance(values, torch.Tensor) else len(values)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of packages that no model here needs, and of its own internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
