"""What a model has to guess in self-supervised pretraining.

An objective takes a batch of crops without padding, `input_values` `[B, ...]` and what goes with them token by token
(`units` `[B, T]` or `intensity` `[B, T]`), the pretraining's `settings` and a random `generator`, and returns the
batch as the model takes it.
"""

import torch

from serflow.masking import corrupt, intense_spans, random_spans, released_spans, uniform_spans


def masked_units(batch: dict, settings: dict, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """HuBERT: the units behind random spans."""
    schedule = settings["schedule"]
    chosen = {key: schedule[f"mask_{key}"] for key in ("probability", "span", "minimum")}
    return {**batch, "mask": random_spans(_lengths(batch["units"]), generator=generator, **chosen)}


def masked_frames(batch: dict, settings: dict, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """MockingJay: the frames behind spans that are placed at random or by intensity (`settings["masking"]`)."""
    frames, schedule = batch["input_values"], settings["schedule"]
    spans = _lengths(frames), schedule["mask_span"], schedule["mask_probability"], generator
    if settings["masking"] == "random":
        mask = uniform_spans(*spans)
    else:
        place = {"matched": intense_spans, "as-released": released_spans}[settings["masking"]]
        mask = place(batch["intensity"], *spans)
    read = torch.cat([frames, batch["intensity"][..., None]], dim=-1) if "intensity" in batch else frames
    read = corrupt(read, mask, generator)
    corrupted = {**batch, "input_values": read[..., : frames.shape[-1]], "frames": frames, "mask": mask}
    if "intensity" in batch:
        corrupted |= {"intensity": read[..., -1], "clean_intensity": batch["intensity"]}
    return corrupted


def frames(batch: dict, settings: dict, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """NPC: every frame, from what surrounds it; the network itself hides the frame."""
    return {**batch, "frames": batch["input_values"]}


OBJECTIVES = {"units": masked_units, "masked frames": masked_frames, "frames": frames}


def masking_summary(batches: list[dict]) -> dict[str, float | None]:
    """What masks cover, over some `batches`: dict with `share` of the frames, and mean intensity `inside` and
    `outside` of masks; None where there are no masks, or no intensity."""
    masks = [batch["mask"].flatten() for batch in batches if "mask" in batch]
    curves = [batch["clean_intensity"].flatten() for batch in batches if "clean_intensity" in batch]
    if not masks:
        return {"share": None, "inside": None, "outside": None}
    mask = torch.cat(masks)
    intensity = torch.cat(curves) if curves else None
    return {
        "share": float(mask.double().mean()),
        "inside": None if intensity is None else float(intensity[mask].double().mean()),
        "outside": None if intensity is None else float(intensity[~mask].double().mean()),
    }


def _lengths(values):
    return torch.full((len(values),), values.shape[1], device=values.device)
