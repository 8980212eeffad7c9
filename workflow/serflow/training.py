"""One way to train anything: transformers' Trainer, resumable at any moment, the same bits every time."""

import contextlib
import json
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from tqdm import tqdm
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.modeling_utils import PreTrainedModel
from transformers.trainer_utils import EvalPrediction, get_last_checkpoint

from serflow import artifacts
from serflow.errors import UserError
from serflow.kernels import FastTraining, kept_memory
from serflow.progress import LINE, say
from serflow.shares import Shares, StopTogether, takes_shares, together


def train(
    model: torch.nn.Module,
    batches: torch.utils.data.Dataset,
    folder: str | Path,
    schedule: dict,
    seed: int,
    made: dict,
    validation: torch.utils.data.Dataset | None = None,
    measure: Callable | None = None,
    selection: str = "last",
    processes: int = 1,
) -> pd.DataFrame:
    """Train `model` for `len(batches)` steps; resumes from a checkpoint in `folder` when `made` is unchanged.

    `batches`: dataset whose item i is the ready batch of step i. `schedule`: dict with `learning_rate, warmup`
    (share of the steps), `weight_decay, betas, epsilon, clip, checkpoint_steps, report_steps`. `made`: JSON-able
    description of everything that decides the result. `validation`: dataset of ready batches, scored by
    `measure(predictions) -> dict` every `report_steps`. `selection`: `last` keeps the last step, `validation` the
    step of the best `UA`.

    A model that can be told what a share of a batch weighs (`takes_shares`: those that guess what masks hide) can
    train in several `processes`, a GPU each, and in `schedule["parts"]` one after the other: a step is that of the
    whole batch, to rounding, dropout aside. Any other trains in one process.

    Returns the history, a frame `step, quantity, value`. The model is trained in place. Raises UserError when it
    diverged, or when a SIGTERM stopped it before its last step; what it had learned by then is kept in `folder`.
    """
    folder = Path(folder)
    checkpoint = _own_checkpoint(folder, made)
    if checkpoint:
        say(f"going on from step {checkpoint.rpartition('-')[2]}")
    if not takes_shares(model):
        processes = 1
    told = (batches, folder, schedule, seed, validation, measure, selection, processes, has_bfloat16(), checkpoint)
    learning = {name for name, weights in model.named_parameters() if weights.requires_grad}
    with together(processes, _train_beside, type(model), model.config, learning, *told):
        trainer = _trained(model, *told)
    if trainer.state.global_step < len(batches):
        raise UserError(
            f"Training was stopped at step {trainer.state.global_step} of {len(batches)}: run again to go on."
        )
    if not all(weights.isfinite().all() for weights in model.parameters()):
        raise UserError("Training diverged, its weights are no longer numbers: lower learning_rate in its schedule.")
    # accelerate leaves its mixed precision on the model: predictions are to be the saved model's own.
    model.__dict__.pop("forward", None)
    return _history(trainer.state.log_history)


@kept_memory()
def _trained(model, batches, folder, schedule, seed, validation, measure, selection, processes, bfloat16, checkpoint):
    """The Trainer that has trained `model`, in this process as one of `processes`."""
    choose = selection == "validation"
    parts = schedule.get("parts", 1) if takes_shares(model) else 1
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=len(batches),
        per_device_train_batch_size=1,  # an item is a whole batch already
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=parts,
        train_sampling_strategy="sequential",
        dataloader_num_workers=0,  # data are memory-mapped: nothing to decode ahead
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        learning_rate=schedule["learning_rate"],
        warmup_steps=schedule["warmup"],
        weight_decay=schedule["weight_decay"],
        adam_beta1=schedule["betas"][0],
        adam_beta2=schedule["betas"][1],
        adam_epsilon=schedule["epsilon"],
        max_grad_norm=schedule["clip"],
        bf16=bfloat16,
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        full_determinism=True,
        save_strategy="steps",
        save_steps=schedule["report_steps"] if choose else _checkpoint_steps(schedule),
        save_total_limit=2 if choose else 1,
        enable_jit_checkpoint=processes == 1,  # SIGTERM, as SLURM sends it, saves before it ends
        load_best_model_at_end=choose,
        metric_for_best_model="UA" if choose else None,
        greater_is_better=True if choose else None,
        eval_strategy="steps" if validation is not None else "no",
        eval_steps=schedule["report_steps"],
        logging_steps=schedule["report_steps"],
        logging_nan_inf_filter=False,
        report_to=["tensorboard"],
        disable_tqdm=True,
        label_names=[model.target],
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # a process has one, however many it sees
    trainer = _Trainer(
        model,
        arguments,
        train_dataset=Shares(batches, processes * parts),
        eval_dataset=None if validation is None else Shares(validation, processes, cut=False),
        data_collator=_only_item,
        compute_metrics=measure,
        callbacks=[_ProgressLines(), *([StopTogether()] if processes > 1 else [])],
    )
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it is written before it is read
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def _train_beside(kind, config, learning, *told):
    """What the other processes do; the first one's weights come over when training begins."""
    model = kind(config)
    for name, weights in model.named_parameters():
        weights.requires_grad_(name in learning)
    _trained(model, *told)


def fit(
    model: PreTrainedModel,
    batches: torch.utils.data.Dataset,
    folder: str | Path,
    schedule: dict,
    seed: int,
    made: dict,
    files: dict | None = None,
    told: dict | None = None,
    **more: object,
) -> None:
    """`train`, then save what was learned as the model folder `folder`, whole or not at all, with `history.csv` and
    `made.json` in it and the JSON `files` beside.

    `told`: what columns of the history say of this run (system, fold, seed); `more`: what else `train` takes. What is
    kept for resuming lies beside until `forget_checkpoints`.
    """
    folder = Path(folder)
    history = train(model, batches, checkpoints_of(folder), schedule, seed, made, **more)
    with artifacts.replacing(folder) as temporary:
        model.save_pretrained(temporary)
        for name, value in {"made.json": made, **(files or {})}.items():
            artifacts.write_json(temporary / name, value)
        artifacts.write_text(temporary / "history.csv", history.assign(**(told or {})).to_csv(index=False))


def checkpoints_of(folder: str | Path) -> Path:
    """Where what is kept for resuming the training of a model folder lies."""
    return Path(folder).with_name(f"{Path(folder).name}.checkpoints")


def masked_accuracy(predictions: EvalPrediction) -> dict[str, float]:
    """Share of the masked tokens whose unit was guessed, from the counts that `MaskedPrediction` carries."""
    correct, masked = predictions.predictions
    return {"masked_accuracy": float(correct.sum() / masked.sum())}


def unweighted_accuracy(predictions: EvalPrediction) -> dict[str, float]:
    """UA of `[N, classes]` logits: the mean recall over the classes that occur."""
    labels, right = predictions.label_ids, predictions.predictions.argmax(-1) == predictions.label_ids
    return {"UA": float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))}


def forget_checkpoints(folder: str | Path) -> None:
    """Remove what `fit` kept for resuming, once everything that goes with the model folder is written."""
    shutil.rmtree(checkpoints_of(folder), ignore_errors=True)


def _checkpoint_steps(schedule):
    """A multiple of the report steps: a checkpoint between two reports would lose the first half of a mean loss."""
    return max(1, schedule["checkpoint_steps"] // schedule["report_steps"]) * schedule["report_steps"]


def _own_checkpoint(folder, made):
    """The newest checkpoint that the same configuration, inputs and code left in `folder`, or None."""
    note = folder / "made.json"
    if note.is_file() and note.read_bytes() == artifacts.encode(made):
        for checkpoint in folder.glob("checkpoint-*"):
            if not _is_whole(checkpoint):
                shutil.rmtree(checkpoint)
        return get_last_checkpoint(str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    note.write_bytes(artifacts.encode(made))
    return None


def _is_whole(checkpoint):
    """Whether all of it was written and can be read: Trainer writes its state last, and marks what a SIGTERM made it
    begin, but a power cut may leave any file short."""
    if not (checkpoint / "trainer_state.json").is_file() or list(checkpoint.glob("*incomplete*")):
        return False
    try:
        for path in checkpoint.glob("*.json"):
            json.loads(path.read_bytes())
        for path in checkpoint.glob("*.safetensors"):
            safe_open(path, "pt")
    except (ValueError, SafetensorError):
        return False
    return all(zipfile.is_zipfile(path) for path in checkpoint.glob("*.pt*"))


def has_bfloat16() -> bool:
    """Whether this machine's GPU, or its CPU where it has none, computes in bfloat16 natively."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16") or abilities.get("amx_tile"))


def _only_item(items):
    (item,) = items
    return item


def _history(log):
    names = {"loss": "train loss", "eval_loss": "validation loss", "eval_UA": "validation UA"}
    names |= {"eval_masked_accuracy": "validation masked accuracy"}
    names |= {key: key for entry in log for key in entry if key.startswith("train ")}
    rows = [(entry["step"], name, entry[key]) for entry in log for key, name in names.items() if key in entry]
    return pd.DataFrame(rows, columns=["step", "quantity", "value"])


class _Trainer(Trainer):
    """Reports what a loss is made of, the named `terms` of a model's output, beside the loss."""

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self.terms = defaultdict(list)

    def training_step(self, *arguments):
        # Backward too: what a checkpoint forgot is computed again there, and has to be the same.
        with contextlib.nullcontext() if torch.cuda.is_available() else FastTraining():
            return super().training_step(*arguments)

    def compute_loss(self, model, inputs, return_outputs=False, **more):
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **more)
        for name, value in (getattr(outputs, "terms", None) or {}).items() if model.training else ():
            self.terms[name].append(value.detach())
        return (loss, outputs) if return_outputs else loss

    def log(self, logs, *more):
        if "loss" in logs:
            logs |= {f"train {name}": float(torch.stack(values).mean()) for name, values in self.terms.items()}
            self.terms.clear()
        super().log(logs, *more)

    def _save_rng_state(self, output_dir):
        super()._save_rng_state(output_dir)
        if self.args.world_size > 1:  # the trainer's state, which comes after, tells that all have written theirs
            torch.distributed.barrier()


class _ProgressLines(TrainerCallback):
    """How far and how long still, a line every few seconds."""

    def on_train_begin(self, args, state, control, **kwargs):
        first, telling = state.global_step, state.is_world_process_zero
        self.bar = tqdm(total=state.max_steps, initial=first, desc="steps", disable=not telling, **LINE)

    def on_step_end(self, args, state, control, **kwargs):
        self.bar.update(state.global_step - self.bar.n)

    def on_train_end(self, args, state, control, **kwargs):
        self.bar.close()
