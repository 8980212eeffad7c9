"""HuBERT's pretraining steps by serflow against torchaudio's model and against the package minimal-hubert.

Same sizes, batch, masks, dropout and precision, each in a process of its own, step by step in turn. serflow's step is
that of its training job: reading, masking and all that transformers' Trainer does. The others step on a resident
batch, as their recipes do, masking included. minimal-hubert gets an environment of its own, for which there has to be
a Python 3.12. Run: .venv/bin/python benchmarks/pretraining.py
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

UNITS, SPAN, PROBABILITY, CLIP = 100, 10, 0.8, 10.0
ADAM = {"lr": 5e-4, "betas": (0.9, 0.98), "eps": 1e-6, "weight_decay": 0.01}
# torchaudio 2.11, which minimal-hubert imports, refuses torch of another CUDA.
NEEDS = ["minimal-hubert==0.0.8", "torch==2.13.0", "torchaudio==2.11.0"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0, help="of an utterance")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="in place of bfloat16")
    parser.add_argument(
        "--environment", default=".cache/minimal-hubert", help="of minimal-hubert; made where it is not"
    )
    chosen = parser.parse_args()
    if chosen.side:
        SIDES[chosen.side](chosen)
        return
    pythons = dict.fromkeys(SIDES, sys.executable)
    pythons["minimal-hubert"] = environment(Path(chosen.environment))
    sides = {name: Side(name, python) for name, python in pythons.items() if python}
    try:
        measure(sides, chosen)
    finally:
        for side in sides.values():
            side.end()


def environment(folder):
    """The Python of an environment with minimal-hubert, None where there cannot be one."""
    python, uv = folder / "bin" / "python", Path(sys.executable).with_name("uv")
    if not python.is_file():
        made = subprocess.run([uv, "venv", "--quiet", "--python", "3.12", folder])  # noqa: S603
        if made.returncode:
            print("minimal-hubert is left out: no Python 3.12 for it")
            return None
    installed = subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *NEEDS])  # noqa: S603
    if installed.returncode:
        print("minimal-hubert is left out: it cannot be installed")
        return None
    return python


class Side:
    """A process that takes a step whenever it is asked to."""

    def __init__(self, name, python):
        self.process = subprocess.Popen(  # noqa: S603
            [python, __file__, *sys.argv[1:], "--side", name],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def step(self):
        """(seconds, seconds of CPU) of a step."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return tuple(map(float, self.process.stdout.readline().split()))

    def end(self):
        self.process.kill()
        self.process.wait()


def measure(sides, chosen):
    for side in sides.values():
        side.step(), side.step()  # the first ones fill caches
    taken = {name: [] for name in sides}
    for _ in range(chosen.rounds):
        for name, side in sides.items():
            taken[name].append(side.step())
    audio = chosen.batch * chosen.seconds
    precision = "float32" if chosen.float32 else "bfloat16"
    print(f"HuBERT base, {chosen.batch} utterances of {chosen.seconds:g} s, {precision}, {chosen.threads} threads")
    for number, clock in enumerate(("wall", "CPU")):
        best = {
            name: min(step[number] for step in steps) for name, steps in taken.items()
        }  # the others were disturbed
        fastest = min(value for name, value in best.items() if name != "serflow")
        rates = ", ".join(f"{name} {audio / value:.2f}" for name, value in best.items())
        print(
            f"{clock:>4}: {rates} s of audio a second; serflow {fastest / best['serflow']:.2f} times the faster one"
        )


def turns():
    """One turn a line that is read; says what the last one took."""
    import torch

    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        print(time.perf_counter() - wall, time.process_time() - cpu, file=sys.__stdout__, flush=True)


def resident(chosen):
    """Waveforms `[B, N]` and units `[B, T]` of a batch, on its device."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(chosen.threads)
    samples = round(chosen.seconds * 16000)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    waves = torch.randn(chosen.batch, samples, device=device)
    return waves, torch.randint(UNITS, (chosen.batch, (samples - 400) // 320 + 1), device=device)


def train(model, loss_of, waves, chosen):
    """Steps as the others' recipes take them; `loss_of() -> summed loss, how many tokens it has`."""
    import torch

    model.to(waves.device).train()
    optimiser = torch.optim.AdamW(model.parameters(), fused=True, **ADAM)
    for _ in turns():
        with torch.autocast(waves.device.type, torch.bfloat16, enabled=not chosen.float32):
            loss, count = loss_of()
        (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def torchaudio(chosen):
    import torch
    from torchaudio.models import hubert_pretrain_base

    waves, units = resident(chosen)
    model = hubert_pretrain_base(
        num_classes=UNITS, mask_prob=PROBABILITY, encoder_layer_drop=0.0, feature_grad_mult=None
    )

    def loss_of():
        logits, _, penalty = model(waves, units)
        target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        loss = torch.nn.functional.cross_entropy(logits.float(), target, reduction="sum")
        return loss + 10 * penalty * len(logits), len(logits)

    train(model, loss_of, waves, chosen)


def minimal_hubert(chosen):
    import torch
    from minimal_hubert.model import HuBERTPretrain
    from spidr.config import MaskingConfig
    from spidr.data.masks import MaskGenerator
    from spidr.models.components import mask_from_index

    waves, units = resident(chosen)
    model, masks = HuBERTPretrain(UNITS), MaskGenerator(MaskingConfig(mask_prob=PROBABILITY, mask_length=SPAN))
    model.encoder.layer_drop = 0.0
    nowhere = torch.zeros(units.shape, dtype=torch.bool)  # on the host, where its data loader masks

    def loss_of():
        mask = mask_from_index(masks(nowhere)[0], units.shape[1])
        loss, _ = model(waves, units, mask=mask.to(waves.device), attention_mask=None)
        return loss.sum(), mask.sum()

    train(model, loss_of, waves, chosen)


def serflow(chosen):
    import numpy as np

    from serflow import training
    from serflow.batches import Inputs, PretrainingBatches
    from serflow.frames import FrameStore, writing_frames
    from serflow.models import build, pretraining_class
    from serflow.objectives import masked_units

    class Turns(PretrainingBatches):
        """A batch whenever it is this process' turn."""

        def __getitem__(self, step):
            next(turn)
            return super().__getitem__(step)

    turn = turns()
    waves, units = resident(chosen)
    training.has_bfloat16 = lambda: not chosen.float32
    schedule = {
        "steps": 10_000, "batch_seconds": chosen.batch * chosen.seconds, "crop_seconds": chosen.seconds,
        "mask_probability": PROBABILITY, "mask_span": SPAN, "mask_minimum": 2, "learning_rate": ADAM["lr"],
        "warmup": 0.08, "weight_decay": ADAM["weight_decay"], "betas": ADAM["betas"], "epsilon": ADAM["eps"],
        "clip": CLIP, "checkpoint_steps": 10_000, "report_steps": 1000,
    }  # fmt: skip
    names = [f"utterance {number}" for number in range(chosen.batch)]
    with tempfile.TemporaryDirectory() as folder:
        audio, stored = Path(folder, "audio.arrow"), Path(folder, "units.arrow")
        with writing_frames(audio, 0, "int16", 1 / 16000) as one, writing_frames(stored, 0, "int32", 0.02) as other:
            for number, name in enumerate(names):
                one.append(name, (3000 * waves[number].cpu().numpy()).astype(np.int16))
                other.append(name, units[number].cpu().numpy())
        settings = {"schedule": schedule}
        batches = Turns(Inputs(FrameStore(audio)), {"units": FrameStore(stored)}, names, settings, masked_units, 0)
        batches.plan = [np.arange(chosen.batch)] * len(
            batches
        )  # batches by length have a few utterances more or less
        same = {"size": "base", "activation_dropout": 0.0, "layerdrop": 0.0}  # as the others have them
        encoder = build("hubert", same, 0)
        encoder.config.feat_proj_dropout = 0.1
        model = pretraining_class("hubert").around(encoder, UNITS, 0, frozen=False)
        training.train(model, batches, Path(folder, "training"), schedule, 0, {})


SIDES = {"torchaudio": torchaudio, "minimal-hubert": minimal_hubert, "serflow": serflow}


if __name__ == "__main__":
    main()
