"""Frame embedding of serflow against transformers' HubertModel used one utterance after the other.

Same random weights of HuBERT-base's shape, same clips, same machine, interleaved. Run:
.venv/bin/python benchmarks/embedding.py
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import HubertModel

from serflow.audio import RATE
from serflow.batches import Inputs
from serflow.frames import FrameStore, writing_frames
from serflow.inference import batch_seconds, embed
from serflow.models import build


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--size", default="base")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours = build("hubert", {"size": chosen.size}, 0).to(device).eval()
    theirs = HubertModel(ours.config).to(device).eval()
    theirs.load_state_dict(ours.state_dict())
    layers = ours.config.num_hidden_layers
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(speech(Path(folder) / "audio.arrow", chosen.clips))
        names = inputs.store.utterances
        seconds = inputs.store.lengths.sum() / RATE
        told = f"{chosen.clips} clips, {seconds:.0f} s, HuBERT {chosen.size}"
        print(f"{told}, {device}, {torch.get_num_threads()} threads")

        def one_by_one():
            with torch.inference_mode():
                clips = (torch.from_numpy(inputs.read(row))[None].to(device) for row in range(len(names)))
                return {
                    name: theirs(clip).last_hidden_state[0].float().cpu().numpy()
                    for name, clip in zip(names, clips, strict=True)
                }

        def serflow(layer=layers):
            return dict(embed(ours, inputs, names, layer, batch_seconds()))

        ways = {"transformers": one_by_one, "serflow": serflow}
        if layers > 9:
            ways["serflow, layer 9 only"] = lambda: serflow(9)
        best = dict.fromkeys(ways, np.inf)
        frames = {}
        for _ in range(chosen.rounds):
            for name, way in ways.items():
                started = time.perf_counter()
                frames[name] = way()
                best[name] = min(best[name], time.perf_counter() - started)
        for name, taken in best.items():
            print(f"{name:>22}: {taken:6.2f} s, {seconds / taken:6.1f} s of audio a second, "
                  f"{best['transformers'] / taken:.2f} times transformers' speed")  # fmt: skip
        worst = max(np.abs(frames["serflow"][name] - frames["transformers"][name]).max() for name in names)
        print(f"largest difference of any value: {worst:.1e}")


def speech(path, clips):
    """Noise of the lengths that acted speech has: 1 to 9 s."""
    rng = np.random.default_rng(0)
    with writing_frames(path, 0, "int16", 1 / RATE) as writer:
        for number, seconds in enumerate(rng.uniform(1, 9, clips)):
            writer.append(f"clip-{number}", rng.normal(0, 3000, int(seconds * RATE)))
    return FrameStore(path)


if __name__ == "__main__":
    main()
