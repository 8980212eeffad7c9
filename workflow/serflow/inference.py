"""Trained model -> frames or predictions. Evaluation mode, no masking, padded batches that equal one by one."""

import numpy as np
import torch

from serflow.batches import WholeUtterances
from serflow.errors import UserError
from serflow.progress import track


def embed(encoder, inputs, utterances, layer, seconds):
    """Yield `(utterance, frames [T, D] float32)` of hidden state `layer` (0 = input of the first layer), in
    length order."""
    if layer > encoder.config.num_hidden_layers:
        raise UserError(
            f"units: layer {layer} of an encoder with {encoder.config.num_hidden_layers}: lower units.*.layer."
        )
    for rows, batch in _evaluate(encoder, inputs, utterances, seconds):
        frames = encoder(**batch, last_layer=layer)
        hidden = frames.hidden_states[layer].float().cpu().numpy()
        for row, states, length in zip(rows, hidden, frames.lengths.tolist(), strict=True):
            yield utterances[row], states[:length]


def predict(model, inputs, utterances, seconds):
    """Class probabilities `[utterances, classes]` float32, and each utterance's frame weights `[T]`, None where the
    head has none."""
    probabilities, weights = [None] * len(utterances), [None] * len(utterances)
    for rows, batch in _evaluate(model, inputs, utterances, seconds):
        output = model(**batch)
        scores = output.logits.float().softmax(-1).cpu().numpy()
        for number, row in enumerate(rows):
            probabilities[row] = scores[number]
            if output.frame_weights is not None:
                weights[row] = output.frame_weights[number, : output.lengths[number]].float().cpu().numpy()
    return np.stack(probabilities), weights


def batch_seconds():
    """Audio a batch that is fastest: on CPU one by one in length order, on GPU large batches."""
    return 600.0 if torch.cuda.is_available() else 0.0


def _evaluate(model, inputs, utterances, seconds):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device).eval()
    batches = WholeUtterances(inputs, utterances, seconds=seconds)
    with torch.inference_mode():
        for number in track(range(len(batches)), len(batches), "batches"):
            rows = batches.plan[number]
            batch = {name: values.to(device) for name, values in batches[number].items()}
            yield rows, batch
