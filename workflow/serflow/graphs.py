"""Models as ONNX graphs, for batches of any size and length, exact where they are padded.

Shapes: B utterances, N samples, F frames of 10 ms, T tokens, D hidden size.
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from serflow.audio import RATE
from serflow.errors import UserError
from serflow.features import WIDTHS
from serflow.heads.classifier import EmotionClassifier
from serflow.models.mel_hubert import MelFrontEnd

TRACED = (3, 2 * RATE)  # utterances and samples of the batch that is traced; not 1, which would stay 1


def write(model: PreTrainedModel, reads: str, file: Path, normalise: bool) -> None:
    """Write an encoder or a classifier, which reads `reads` (see serflow.models), as the ONNX `file`.

    Inputs: `input_values` float32, `[B, N]` samples in [-1, 1] at 16 kHz or `[B, F, width]` frames as serflow
    extracts them, and `lengths` int64 `[B]`, the valid ones of each row. Outputs: `logits` `[B, classes]`; or
    `last_hidden_state` `[B, T, D]` and its valid `lengths_out` `[B]`. `normalise`: every utterance by its own mean
    and deviation, in the graph. Metadata: `reads`, and the `classes` as a JSON list.

    Raises UserError where packages are missing, and for a network that the exporter cannot write.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--onnx needs the package {error.name}: install serflow's extra onnx (uv pip install onnx onnxscript)."
        ) from error
    classifies = isinstance(model, EmotionClassifier)
    encoder = model.encoder if classifies else model
    if isinstance(getattr(encoder, "feature_extractor", None), MelFrontEnd):
        encoder.feature_extractor = Stacking(encoder.config.stack)
    count, samples = TRACED
    shape = (count, samples) if reads == "audio" else (count, samples * 100 // RATE, WIDTHS[reads])
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0)), torch.full((count,), shape[1])
    free = torch.export.Dim.DYNAMIC
    try:
        with _quiet():
            program = torch.onnx.export(
                Graph(model, normalise).eval(),
                example,
                dynamo=True,
                dynamic_shapes=({0: free, 1: free}, {0: free}),
                input_names=["input_values", "lengths"],
                output_names=["logits"] if classifies else ["last_hidden_state", "lengths_out"],
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        what = (
            f"{encoder.config.model_type} under the head {model.config.head}"
            if classifies
            else encoder.config.model_type
        )
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise UserError(
            f"torch cannot write {what} as a graph ({reason}): use it with serflow, where it loads with load_encoder "
            "or EmotionClassifier.from_pretrained."
        ) from error
    program.model.metadata_props["reads"] = reads
    if classifies:
        program.model.metadata_props["classes"] = json.dumps(
            [model.config.id2label[i] for i in range(model.config.num_labels)]
        )
    program.save(file)


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
        with _AsPadded():
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


class Stacking(nn.Module):
    """`MelFrontEnd`, whose `len` of a batch would become a constant of the graph."""

    def __init__(self, stack: int) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, input_values: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        tokens = input_values.shape[1] // self.stack
        return input_values[:, : tokens * self.stack].unflatten(1, (tokens, self.stack)).flatten(2).transpose(1, 2)


class _AsPadded(TorchFunctionMode):
    """A forward pass asks values of tensors only whether nothing is padded, for a faster way: here the answer is no,
    whose way is exact for both."""

    def __torch_function__(self, function, types, arguments=(), named=None) -> object:
        if function is torch.Tensor.__bool__:
            return False
        return function(*arguments, **(named or {}))


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
