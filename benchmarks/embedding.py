"""Frame embedding of serflow against transformers' HubertModel used one utterance after the other.

Same random weights of HuBERT-base's shape, same clips, same machine, interleaved. Run:
.venv/bin/python benchmarks/embedding.py <folder of EMO-DB>
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import HubertModel

from serflow.audio import RATE, load, to_int16
from serflow.batches import Inputs
from serflow.corpora.folders import files
from serflow.frames import FrameStore, writing_frames
from serflow.inference import embed
from serflow.models import build
from serflow.padding import batch_seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", help="folder of speech; noise of the same lengths without one")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--size", default="base")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours = build("hubert", {"size": chosen.size}, 0).to(device).eval()
    theirs = HubertModel(ours.config).to(device).eval()
    theirs.load_state_dict(ours.state_dict())
    layers = ours.config.num_hidden_layers
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(speech(Path(folder) / "audio.arrow", chosen.clips, chosen.root))
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
        taken, frames = {name: [] for name in ways}, {}
        for _ in range(chosen.rounds):
            for name, way in ways.items():
                wall, cpu = time.perf_counter(), time.process_time()
                frames[name] = way()
                taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
        best = {name: np.min(times, axis=0) for name, times in taken.items()}  # the others were disturbed
        for name, (wall, cpu) in best.items():
            times = best["transformers"] / best[name]
            print(f"{name:>22}: {wall:6.2f} s, {seconds / wall:6.1f} s of audio a second, {cpu:6.2f} s of CPU; "
                  f"{times[0]:.2f} times transformers' speed, by CPU time {times[1]:.2f}")  # fmt: skip
        worst = max(np.abs(frames["serflow"][name] - frames["transformers"][name]).max() for name in names)
        print(f"largest difference of any value: {worst:.1e}")


def speech(path, clips, root):
    """Clips from all over the folder `root`, or noise of the lengths that acted speech has: 1 to 9 s."""
    rng = np.random.default_rng(0)
    with writing_frames(path, 0, "int16", 1 / RATE) as writer:
        if root:
            found = files(root, r"[^/]+\.wav")
            for name in np.array(found)[np.linspace(0, len(found) - 1, clips).astype(int)]:
                writer.append(name, to_int16(load(Path(root, name))))
        else:
            for number, seconds in enumerate(rng.uniform(1, 9, clips)):
                writer.append(f"clip-{number}", rng.normal(0, 3000, int(seconds * RATE)))
    return FrameStore(path)


if __name__ == "__main__":
    main()
