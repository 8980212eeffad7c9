"""MockingJay's pretraining steps by serflow against s3prl's own, and against the floor: the same steps, unmasked.

Same weights, frames, optimiser and precision, same machine, interleaved; masking counts, reading does not. Run:
.venv/bin/python benchmarks/mockingjay.py
"""

import argparse
import sys
import time
from pathlib import Path

import torch

from serflow.masking import corrupt, uniform_spans
from serflow.models import build
from serflow.models.mockingjay import MockingjayForReconstruction, MockingjayModel

sys.path.append(str(Path(__file__).parents[1] / "tests" / "conformance"))
from s3prl_reference import MockingjaySizes, MockingjayWithHead, mask_batch  # noqa: E402

SPAN, PROBABILITY, CLIP, LEARNING_RATE = 7, 0.15, 5.0, 2e-4  # the paper's, as s3prl has them


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["base", "small"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=2, help="steps a round")
    chosen = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for size in chosen.sizes:
        config = build("mockingjay", {"size": size}, 0).config
        frames = torch.randn(chosen.batch, chosen.frames, config.input_size, device=device)
        threads = torch.get_num_threads()
        print(f"{size}, {chosen.batch} utterances of {chosen.frames} frames, {device}, {threads} threads")
        ways = {"s3prl": s3prl(config, frames), "serflow": serflow(config, frames), "floor": floor(config, frames)}
        seconds = {name: [] for name in ways}
        for _ in range(chosen.rounds):
            for name, step in ways.items():
                step()  # what the caches held was another way's
                started = finished(device)
                for _ in range(chosen.steps):
                    step()
                seconds[name].append((finished(device) - started) / chosen.steps)
        taken = {name: min(values) for name, values in seconds.items()}  # the others were disturbed
        for name, value in taken.items():
            print(f"{name:>10}: {1 / value:7.2f} steps a second")
        print(f"serflow: {taken['s3prl'] / taken['serflow']:.2f} times s3prl's speed, "
              f"{taken['floor'] / taken['serflow']:.2f} of the floor's")  # fmt: skip


def serflow(config, frames):
    model = MockingjayForReconstruction.around(MockingjayModel(config), seed=0)
    lengths = torch.full((len(frames),), frames.shape[1], device=frames.device)
    generator = torch.Generator(frames.device).manual_seed(0)

    def loss():
        mask = uniform_spans(lengths, SPAN, PROBABILITY, generator)
        return model(corrupt(frames, mask, generator), frames, mask).loss

    return stepping(model, frames, loss)


def floor(config, frames):
    model = MockingjayForReconstruction.around(MockingjayModel(config), seed=0)
    lengths = torch.full((len(frames),), frames.shape[1], device=frames.device)
    mask = uniform_spans(lengths, SPAN, PROBABILITY, torch.Generator(frames.device).manual_seed(0))
    return stepping(model, frames, lambda: model(frames, frames, mask).loss)


def s3prl(config, frames):
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range")
    settings = {name: getattr(config, name) for name in (*sizes, "layer_norm_eps")}
    settings |= {"hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": config.attention_dropout}
    settings |= {"hidden_act": "gelu", "share_layer": False, "pre_layer_norm": False}
    model = MockingjayWithHead(MockingjaySizes(settings), config.input_size, None)
    masking = {
        "position_encoding_size": config.hidden_size, "mask_proportion": PROBABILITY, "mask_consecutive_min": SPAN,
        "mask_consecutive_max": SPAN, "mask_allow_overlap": True, "mask_frequency": 0, "noise_proportion": 0.0,
    }  # fmt: skip
    on_host = frames.cpu()  # where its data loader masks

    def loss():
        ready = (part.to(frames.device) for part in mask_batch((on_host.clone(),), masking))
        corrupted, position, mask, attended, clean = ready
        return model(corrupted, position.expand(len(corrupted), -1, -1), mask, attended, clean)[0]

    return stepping(model, frames, loss)


def stepping(model, frames, loss):
    """A function that takes one step, by the same optimiser for all."""
    model.to(frames.device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)

    def step():
        optimiser.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()

    return step


def finished(device):
    """The time once the device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
