"""Which frames a self-supervised model has to guess. Vectorised over the batch, on the device of the lengths.

Shapes: B utterances, T frames (the longest utterance's). Masks are bool `[B, T]`, never set beyond a length.
"""

import torch

SPREADS = ("random", "matched", "as-released")  # how MockingJay's spans can be placed


def random_spans(
    lengths: torch.Tensor, span: int, probability: float, minimum: int, generator: torch.Generator
) -> torch.Tensor:
    """HuBERT's masks: an utterance of t frames gets `max(minimum, floor(probability t / span + u))` spans.

    u ~ U(0,1) once a batch; starts are drawn without replacement, spans may overlap, so with probability .8 and span
    10 about 57 % of the frames are covered. `lengths` int `[B]`, `span` in frames.

    The number of covered frames may differ between utterances. Source: Hsu et al. 2021, as fairseq draws it.
    """
    dither = torch.rand(1, generator=generator, device=lengths.device)
    count = torch.floor(probability * lengths / span + dither).long().clamp(min=minimum)
    return _covered(_drawn(lengths, span, count, generator), span, lengths)


def uniform_spans(lengths: torch.Tensor, span: int, probability: float, generator: torch.Generator) -> torch.Tensor:
    """MockingJay's masks: `round(probability t / span)` starts without replacement, at least one; spans may overlap.

    Source: Liu et al. 2020 (arXiv 1910.12638), as s3prl draws it; but s3prl masks nothing in a clip so
    short that this rounds to 0, and the loss over no frame is not a number.
    """
    return _covered(_drawn(lengths, span, _count(lengths, span, probability), generator), span, lengths)


def intense_spans(
    intensity: torch.Tensor, lengths: torch.Tensor, span: int, probability: float, generator: torch.Generator
) -> torch.Tensor:
    """Masks where `intensity` `[B, T]` is high, with as many frames as `uniform_spans` covers.

    Spans do not overlap and are taken greedily by mean intensity; the last one is cut to the count. For probability
    up to .5: beyond, spans that fit between the others run out. Source: ours.
    """
    wanted = uniform_spans(lengths, span, probability, generator).sum(dim=1)
    position = torch.arange(intensity.shape[1], device=lengths.device)
    sums = torch.nn.functional.pad(intensity.double().cumsum(dim=1), (1, span))
    means = sums[:, span:][:, : len(position)] - sums[:, : len(position)]
    means = means.masked_fill(position >= _starts(lengths, span)[:, None], -torch.inf)
    mask = torch.zeros_like(means, dtype=torch.bool)
    for taken in range(0, int(wanted.max()), span):
        best, start = means.max(dim=1, keepdim=True)
        left = (wanted[:, None] - taken).clamp(max=span) * best.isfinite()
        offset = position - start
        mask |= (offset >= 0) & (offset < left)
        means = means.masked_fill(offset.abs() < span, -torch.inf)
    return mask & (position < lengths[:, None])


def released_spans(
    intensity: torch.Tensor, lengths: torch.Tensor, span: int, probability: float, generator: torch.Generator
) -> torch.Tensor:
    """Masks as EMS' released code places them: spans start at the first n of the 2 n most intense frames that can
    start one, or at random if there are fewer, n as in `uniform_spans`.

    Intensity is smooth, so starts are neighbours, spans overlap, and 4 to 6 % of the frames are covered where random
    starts cover about 14 %: the comparison is then about amount as well.
    Source: EMS' code (Liu & Ma, arXiv 2406.06646).
    """
    starts, count = _starts(lengths, span)[:, None], _count(lengths, span, probability)[:, None]
    position = torch.arange(intensity.shape[1], device=lengths.device)
    intense = intensity.masked_fill(position >= lengths[:, None], -torch.inf)
    order = intense.argsort(dim=1, descending=True, stable=True)
    candidate = (position < 2 * count) & (order < starts)
    candidate &= candidate.cumsum(dim=1) <= count
    chosen = torch.zeros_like(candidate).scatter(1, order, candidate)
    drawn = _drawn(lengths, span, count[:, 0], generator)
    chosen = torch.where(candidate.sum(dim=1, keepdim=True) < count.minimum(starts), drawn, chosen)
    return _covered(chosen, span, lengths)


def corrupt(frames: torch.Tensor, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What MockingJay reads: `frames` `[B, T, D]` with what is behind `mask` replaced, one die an utterance: zeros
    (80 %), other frames of the utterance (10 %), or nothing (10 %).

    Other frames are those a random distance further on, counted around. For frames without padding.
    Source: Liu et al. 2020, 3.2; the distance is ours.
    """
    size, length, device = len(frames), frames.shape[1], frames.device
    die = torch.rand(size, 1, 1, generator=generator, device=device)
    distance = torch.randint(1, max(2, length), (size, 1), generator=generator, device=device)
    other = (torch.arange(length, device=device) + distance) % length
    replaced = torch.where(die < 0.8, 0, frames.gather(1, other[..., None].expand_as(frames)))
    return torch.where(mask[..., None] & (die < 0.9), replaced, frames)


def _starts(lengths, span):
    """Frames at which a span can start; a clip shorter than a span is masked from its first frame on."""
    return (lengths - span + 1).clamp(min=1)


def _count(lengths, span, probability):
    return torch.round(probability * lengths / span).long().clamp(min=1)


def _drawn(lengths, span, count, generator):
    """Bool `[B, T]`: `count` `[B]` starts drawn without replacement."""
    starts = _starts(lengths, span)
    position = torch.arange(int(lengths.max()), device=lengths.device)
    order = torch.rand(len(lengths), len(position), generator=generator, device=lengths.device)
    rank = order.masked_fill(position >= starts[:, None], 2.0).argsort(dim=1).argsort(dim=1)
    return rank < count.minimum(starts)[:, None]


def _covered(starts, span, lengths):
    """The frames that spans from `starts` bool `[B, T]` cover."""
    running = starts.long().cumsum(dim=1)
    longest = starts.shape[1]
    before = torch.nn.functional.pad(running, (span, 0))[:, :longest]
    return (running > before) & (torch.arange(longest, device=lengths.device) < lengths[:, None])
