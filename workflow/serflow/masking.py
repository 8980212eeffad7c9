"""Which frames a masked-prediction model has to guess."""

import torch


def random_spans(lengths, span, probability, minimum, generator):
    """Spans of `span` frames whose starts are drawn without replacement, vectorised over the batch.

    An utterance of T frames gets `max(minimum, floor(probability T / span + u))` starts, u ~ U(0,1) once a batch;
    spans may overlap, so with probability .8 and span 10 about 57 % of the frames are covered.

    `lengths` int `[B]` on any device -> bool `[B, max(lengths)]`, never set beyond an utterance's length. The number
    of frames may differ between utterances. Source: HuBERT (Hsu et al. 2021), as fairseq draws it; METHODS 5.
    """
    device, longest = lengths.device, int(lengths.max())
    starts = (lengths - span + 1).clamp(min=1)  # a clip shorter than a span is masked from its first frame on
    dither = torch.rand(1, generator=generator, device=device)
    count = torch.floor(probability * lengths / span + dither).long().clamp(min=minimum).minimum(starts)
    position = torch.arange(longest, device=device)
    order = torch.rand(len(lengths), longest, generator=generator, device=device)
    rank = order.masked_fill(position >= starts[:, None], 2.0).argsort(dim=1).argsort(dim=1)
    chosen = (rank < count[:, None]).long()
    running = chosen.cumsum(dim=1)
    before = torch.nn.functional.pad(running, (span, 0))[:, :longest]
    return (running > before) & (position < lengths[:, None])
