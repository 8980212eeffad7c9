"""Steps and memory of GEmo-CLAP's contrastive training against the same encoder under cross-entropy.

WavLM from random weights on random waveforms, each way in a process of its own; `parts` is the batch worked in four
parts, with the same gradient. Run: .venv/bin/python benchmarks/gemo_clap.py
"""

import argparse
import multiprocessing
import resource
import time

CLASSES = ["anger", "happiness", "neutral", "sadness"]
WAYS = {
    "cross-entropy": {"head": "pooled"},
    "SL-GEmo-CLAP": {"head": "gemo-clap", "options": {"gender": "sl"}},
    "SL-GEmo-CLAP, in 4 parts": {"head": "gemo-clap", "options": {"gender": "sl"}, "schedule": {"parts": 4}},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="small", help="of WavLM")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--steps", type=int, default=5)
    chosen = parser.parse_args()
    print(f"WavLM {chosen.size}, {chosen.batch} utterances of {chosen.seconds:g} s")
    taken = {}
    for name, settings in WAYS.items():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            taken[name] = pool.apply(measured, (settings, chosen))
        step, memory = taken[name]
        times = [value / other for value, other in zip(taken[name], taken["cross-entropy"], strict=True)]
        told = f"{step:6.2f} s a step ({times[0]:.2f} times cross-entropy's), {memory:6.0f} MB ({times[1]:.2f} times)"
        print(f"{name:>25}: {told}", flush=True)


def measured(settings, chosen):
    """Seconds a step, the best, and what memory grew by, in MB."""
    import torch

    from serflow.heads.classifier import EmotionClassifier
    from serflow.models import build

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = EmotionClassifier.around(build("wavlm", {"size": chosen.size}, 0), CLASSES, settings, 0).to(device)
    samples = int(chosen.seconds * 16000)
    batch = {
        "input_values": torch.randn(chosen.batch, samples, device=device),
        "lengths": torch.full((chosen.batch,), samples, device=device),
        "emotions": torch.arange(chosen.batch, device=device) % 4,
    }
    if settings["head"] == "gemo-clap":
        batch["columns"] = {"gender": torch.arange(chosen.batch, device=device) // 4 % 2}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    before, seconds = peak(torch), []
    for _ in range(chosen.steps):
        started = time.perf_counter()
        optimiser.zero_grad()
        model(**batch).loss.backward()
        optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds), peak(torch) - before


def peak(torch):
    """The most memory that was used so far, of the GPU where there is one, in MB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main()
