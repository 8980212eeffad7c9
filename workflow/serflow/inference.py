"""Trained model -> frames or predictions. Evaluation mode, no masking, padded batches that equal one by one."""

from __future__ import annotations

import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

from serflow.batches import Inputs, WholeUtterances
from serflow.errors import UserError
from serflow.frames import Frames, FrameStore
from serflow.kernels import FastInference, kept_memory
from serflow.models import encoder_at, model_of, token_hop
from serflow.normalisation import shared_moments
from serflow.padding import batch_seconds
from serflow.progress import track

if TYPE_CHECKING:
    import pandas as pd

FRAME_SECONDS = 0.5  # around a frame, for what a system says of it: about a vowel and its neighbours


def embed(
    encoder: torch.nn.Module, inputs: Inputs, utterances: list[str], layer: int, seconds: float
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield `(utterance, frames [T, D] float32)` of hidden state `layer` (0 = input of the first layer), in
    length order."""
    if layer > encoder.config.num_hidden_layers:
        raise UserError(
            f"units: layer {layer} of an encoder with {encoder.config.num_hidden_layers}: lower units.*.layer."
        )
    for rows, frames in _evaluate(encoder, inputs, utterances, seconds, last_layer=layer):
        hidden = frames.hidden_states[layer].float().cpu().numpy()
        for row, states, length in zip(rows, hidden, frames.lengths.tolist(), strict=True):
            yield utterances[row], states[:length]


class HiddenStates(Frames):
    """A layer of an encoder as a store of it would give it, in float16, computed when it is read, never written."""

    def __init__(self, encoder: torch.nn.Module, inputs: Inputs, layer: int) -> None:
        """`layer`: see `embed`."""
        self.encoder, self.inputs, self.layer = encoder, inputs, layer
        self.width, self.hop = encoder.config.hidden_size, token_hop(encoder.config)

    @classmethod
    def of(
        cls, start: dict, settings: dict, store: FrameStore, utterances: pd.DataFrame, heard: list[str]
    ) -> HiddenStates:
        """Of the encoder of a starting point (see `encoder_at`), which reads `store`. `settings`: `layer`, `seed` and
        `normalisation`, for which see `shared_moments`, as for `utterances` and `heard`."""
        moments = shared_moments(settings["normalisation"], store, utterances, heard)
        inputs = Inputs(store, model_of(start).stack, moments)
        return cls(encoder_at(start, settings["seed"]), inputs, settings["layer"])

    def lengths_of(self, utterances: list[str]) -> np.ndarray:
        """See `Frames`."""
        return self.inputs.tokens(self.inputs.store.rows(utterances))

    def items(self, utterances: list[str]) -> Iterator[tuple[str, np.ndarray]]:
        """See `Frames`; in length order."""
        for utterance, frames in embed(self.encoder, self.inputs, utterances, self.layer, batch_seconds()):
            yield utterance, frames.astype(np.float16)


def predict(
    model: torch.nn.Module,
    inputs: Inputs,
    utterances: Collection[str],
    seconds: float,
    choices: list[int] | None = None,
    vectors: bool = False,
    keep: Callable[[str, np.ndarray], None] | None = None,
) -> tuple[np.ndarray, dict[str, list]]:
    """Class probabilities `[utterances, classes]` float32, of the classes numbered `choices` alone where they are
    given, and, where the head's named `vectors` are asked for, {`vector_<name>`: list of `[D]`, one an utterance}.

    `keep`: is called with every utterance and what is told of its frames, `[T, 1 + classes]` float32: each one's
    share in the pooling, the same for all where the head has no attention, and the posteriors of the half second
    around it (see `EmotionClassifier`), or of the one segment, where tokens are segments.
    """
    utterances, window = list(utterances), max(1, round(FRAME_SECONDS / token_hop(model.encoder.config)))
    probabilities, told = [None] * len(utterances), defaultdict(lambda: [None] * len(utterances))
    for rows, output in _evaluate(model, inputs, utterances, seconds, window=window if keep else None):
        scores = _posteriors(output.logits, choices)
        shown = {f"vector_{name}": values for name, values in output.vectors.items()} if vectors else {}
        shown = {name: values.float().cpu().numpy() for name, values in shown.items()}
        for number, row in enumerate(rows):
            probabilities[row] = scores[number]
            for name, values in shown.items():
                told[name][row] = values[number]
        if keep:
            frames, lengths = _posteriors(output.frame_logits, choices), output.lengths.tolist()
            weights = None if output.frame_weights is None else output.frame_weights.float().cpu().numpy()
            for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
                shares = np.full(length, 1 / length) if weights is None else weights[number, :length]
                keep(utterances[row], np.column_stack([shares, frames[number, :length]]))
    return np.stack(probabilities) if utterances else np.empty((0, model.config.num_labels)), dict(told)


def _posteriors(logits, choices):
    """`[..., classes]` float32, of the classes numbered `choices` alone where they are given."""
    logits = logits.float()
    if choices is not None:
        every, logits = logits, torch.full_like(logits, -torch.inf)
        logits[..., choices] = every[..., choices]
    return logits.softmax(-1).cpu().numpy()


def _evaluate(model, inputs, utterances, seconds, **options):
    """Yield `(rows, output)` of every batch. On CPUs each batch has a thread to itself: cores need not wait for each
    other within a layer, and how many there are changes no bit."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device).eval()
    batches = WholeUtterances(inputs, utterances, seconds=seconds)
    fast = contextlib.nullcontext() if device == "cuda" else FastInference()

    def output(number):
        with torch.inference_mode(), fast:
            batch = {name: values.to(device) for name, values in batches[number].items()}
            return batches.plan[number], model(**batch, **options)

    threads = 1 if device == "cuda" else torch.get_num_threads()
    with kept_memory(), _threads_alone(), ThreadPoolExecutor(threads) as pool:
        ahead = deque()
        longest_first = reversed(range(len(batches)))  # short ones leave no thread waiting at the end
        for number in track(longest_first, len(batches), "batches"):
            ahead.append(pool.submit(output, number))
            if len(ahead) > 2 * threads:  # more would wait in memory for who takes them
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


@contextlib.contextmanager
def _threads_alone():
    """Inside, threads that begin compute by themselves instead of sharing a computation among all."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
