"""What jobs cost on this machine: their work is done for a moment, on random input, in processes like theirs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serflow.errors import UserError

STEPS = 4  # of each training; the second is timed, the first of a process is slower
LONGEST = 300  # s that measuring may take
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # what Snakemake sets for a job
LIGHT = "import faiss, pandas, pyarrow, sklearn.cluster, sklearn.svm"  # what jobs without a network import


def measure(works, threads, side):
    """Do `works` in `side` processes at once, `threads` each, as the run would; the slowest process counts.

    Returns (the works, each with what was found out; seconds to start a job with a network, one without).
    """
    if not works:
        return [], 0.0, _light()
    with ThreadPoolExecutor(side) as pool:
        found = list(pool.map(lambda _: _process(works, threads), range(side)))
    wall, found = max(found, key=lambda result: result[0])
    first = found[0]
    started = wall - sum(result["wall"] for result in found) + first["wall"] - first["busy"]
    return [{**work, **result} for work, result in zip(works, found, strict=True)], started, _light()


def _light():
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", LIGHT], check=True)  # noqa: S603
    return time.monotonic() - began


def _process(works, threads):
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        library = {"PYTHONPATH": str(Path(__file__).parents[2]), "TENSORBOARD_LOGGING_DIR": folder}
        command = [sys.executable, "-m", "serflow.doctor.probe", json.dumps(works)]
        try:
            ended = subprocess.run(  # noqa: S603
                command,
                env=os.environ | library | dict.fromkeys(THREADS, str(threads)),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LONGEST,
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"{STEPS} steps of each training take more than {LONGEST / 60:.0f} minutes here: use a GPU, smaller "
                "encoders, or fewer batch_seconds and a smaller batch_size."
            ) from error
    if ended.returncode < 0:
        raise UserError(
            f"A training of this size was killed (signal {-ended.returncode}), for want of memory as a rule: lower "
            "batch_seconds and batch_size, or --cores, so that fewer folds run side by side."
        )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(last.removeprefix("serflow: "))
    return time.monotonic() - began, json.loads(ended.stdout.splitlines()[-1])


def _do(work):
    """Do `work` for a moment: seconds a `step` and an `utterance`, what of it was `busy`, and the model's size."""
    import torch

    began = time.perf_counter()
    if work["rule"] == "feature":
        from serflow import features, utterance_features
        from serflow.audio import RATE

        noise = torch.randn(int(RATE * work["seconds"])).numpy()
        kind = work["feature"]
        read = features.fbank(noise) if utterance_features.READS.get(kind) == "fbank" else noise
        extract = utterance_features.EXTRACTORS.get(kind) or getattr(features, kind)
        utterance = _second_time(lambda: extract(read))
        return {"utterance": utterance, "busy": 2 * utterance, "wall": time.perf_counter() - began}
    if work["rule"] == "train_intensity":
        model, batch, one = _intensity(work)
        found = {"step": _step(model, batch, work["schedule"]), "utterance": _second_time(_forward(model, one))}
        busy = STEPS * found["step"] + 2 * found["utterance"]
        return found | _told(model) | {"busy": busy, "wall": time.perf_counter() - began}
    from serflow.features import WIDTHS
    from serflow.inference import batch_seconds
    from serflow.models import family, load_encoder, pretraining_class

    encoder = load_encoder(work["start"])
    reads = family(work["start"]).reads
    shapes = (16000, ()) if reads == "audio" else (100, (WIDTHS[reads],))
    found, step = {"width": encoder.config.hidden_size}, 0.0
    if work["rule"] == "pretrain":
        model = pretraining_class(encoder.config.model_type).around(encoder, seed=0, **work["head"])
        rows = max(1, int(work["schedule"]["batch_seconds"] // work["seconds"]))
        step = _step(model, _guessed(rows, shapes, encoder, work), work["schedule"])
    elif work["rule"] == "finetune":
        from serflow.models.classifier import EmotionClassifier

        classes = [str(number) for number in range(work["classes"])]
        model = EmotionClassifier.around(encoder, classes, {"pooling": "mean", **work["settings"]}, seed=0)
        rows = work["schedule"]["batch_size"]
        batch = _padded(rows, shapes, work["seconds"]) | {"labels": torch.arange(rows) % work["classes"]}
        step = _step(model, batch, work["schedule"])
    else:
        model = encoder
    utterance = 0.0
    if work["rule"] != "pretrain":
        rows = max(1, int(batch_seconds() // work["mean"]))
        utterance = _second_time(_forward(model, _padded(rows, shapes, work["mean"])))
        found["utterance"] = utterance / rows
    found |= {"step": step, **_told(model)}
    return found | {"busy": STEPS * step + 2 * utterance, "wall": time.perf_counter() - began}


def _told(model):
    from serflow.training import _has_bfloat16

    parameters = sum(weights.numel() for weights in model.parameters())
    return {"precision": "bfloat16" if _has_bfloat16() else "float32", "parameters": parameters}


def _intensity(work):
    """The network of an intensity, a batch to train it on, and one utterance."""
    import torch

    from serflow.audio import RATE
    from serflow.intensity import network
    from serflow.intensity.batches import pad
    from serflow.intensity.spectrogram import spectrogram

    classes = ["neutral", *map(str, range(1, work["classes"]))]
    model = network(work["method"]).sized(f"{work['method']}-{work['size']}", classes, 0)
    rows = work["schedule"]["batch_size"] * (2 if work["method"] == "rank-model" else 1)
    crops, utterance = (torch.randn(int(RATE * work[key])).numpy() for key in ("seconds", "mean"))
    labels = {"labels": torch.rand(rows), "emotions": torch.arange(rows) % work["classes"]}
    return model, pad([spectrogram(crops)] * rows) | labels, pad([spectrogram(utterance)])


def _padded(rows, shapes, duration):
    import torch

    rate, width = shapes
    values = torch.randn(rows, max(int(rate * duration), 400 if not width else 2), *width)
    lengths = torch.full((rows,), values.shape[1])
    if rows > 1:
        lengths[0] -= 2  # as it is in a batch: not all are of one length
    return {"input_values": values, "lengths": lengths}


def _guessed(rows, shapes, encoder, work):
    """A batch of the pretraining that `work` describes."""
    import torch

    from serflow.models import family
    from serflow.objectives import OBJECTIVES

    values = _padded(rows, shapes, work["seconds"])["input_values"]
    crops, objective = {"input_values": values}, family(work["start"]).objective
    if objective == "units":
        tokens = int(encoder.tokens(torch.tensor([values.shape[1]])))
        crops["labels"] = torch.randint(work["head"]["units"], (rows, tokens))
    else:
        crops["intensity"] = torch.rand(values.shape[:2])
    return OBJECTIVES[objective](crops, work, torch.Generator().manual_seed(0))


def _step(model, batch, schedule):
    """Seconds of the second step of `serflow.training.train` on the same batch again and again."""
    from serflow.training import train

    asked = []

    class Batches:
        def __len__(self):
            return STEPS

        def __getitem__(self, step):
            asked.append(_now())
            return batch

    with tempfile.TemporaryDirectory() as folder:
        train(model, Batches(), Path(folder) / "checkpoints", schedule, seed=0, made={})
    return asked[3] - asked[2]  # one batch is fetched ahead


def _forward(model, batch):
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, batch = model.to(device).eval(), {name: values.to(device) for name, values in batch.items()}

    def forward():
        with torch.inference_mode():
            model(**batch)

    return forward


def _second_time(function):
    function()
    began = _now()
    function()
    return _now() - began


def _now():
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    try:
        print(json.dumps([_do(work) for work in json.loads(sys.argv[1])]))
    except UserError as error:
        sys.exit(f"serflow: {error}")
