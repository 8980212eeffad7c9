"""GEmo-CLAP (Pan et al. 2023, arXiv 2306.07848): an utterance is drawn to the words for its emotion, and away from
those for others; more softly from where the speaker's gender is its own. An emotion is recognised by its prompts, so
that one which nobody trained on can be, too.

Symbols are the paper's: A `[B, D]` and T `[B, D]` are unit vectors of the utterances of a batch and of their
emotions' prompts, C_a = tau_a A T', C_t = tau_t T A', and M `[B, B]` says which items belong together. S is the
softmax of a row.
"""

import math
from typing import Literal, Self

import torch
from torch import nn
from torch.nn.functional import normalize
from transformers import RobertaConfig, RobertaModel

from serflow.errors import UserError
from serflow.heads import HeadOutput
from serflow.heads.pooling import POOLINGS, Pooling
from serflow.heads.prompts import check_tokens, text_tower, written_prompts

NEEDS = {"gender": "gender"}
FIXED = ("tower",)
FOLDERS, PROMPTS = ("text",), "prompts"
UNDER = {"alpha": "gender"}


class GEmoCLAP(nn.Module):
    """Emo-CLAP's loss is 1/2 [KL(S(M_e) || S(C_a)) + KL(S(M_e) || S(C_t))], the means over rows, with M_e = 1 where
    two emotions are one; ML adds the same of M_g, where two genders are, as a x L(M_e) + (1 - a) x L(M_g), and SL
    takes L(a M_e + (1 - a) M_g). An unknown gender is no one else's: its row of M_g is left out of the mean.

    Before the paper's projections stand (ours) standardised pooling of mean and deviation, as in all rows, and
    prompts that are standardised over each other, for what a text encoder says of a few words is nearly the same
    whichever they are. Tested, and watched on validation speakers, by the prompts of all classes: nothing depends on
    what else is in the batch.
    """

    def __init__(
        self,
        width: int,
        classes: list[str],
        *,
        text: str | None = None,
        prompts: dict | None = None,
        shuffled: bool = False,
        gender: Literal["ml", "sl"] | None = None,
        alpha: float = 0.8,
        target: Literal["softmax", "normalised"] = "softmax",
        dimension: int = 512,
        pooling: Literal["mean", "mean+std", "attention", "attention+std"] = "mean+std",
        standardise: bool = True,
        tower: dict | None = None,
    ) -> None:
        """`text`: folder or hub id of a RoBERTa with its tokenizer, None makes a small one for these prompts;
        `prompts`: {class: its prompts}, whose vectors are averaged, None: "emotion is <class>"; `shuffled` gives
        every class the prompts of the next, so that what the text encoder knows is of no use; `gender`: how the
        speaker's is heard, by a loss of its own (`ml`) or in the one (`sl`), `alpha`: the emotion's share in it;
        `target`: S(M) as in the paper, or, `normalised`, M divided by the sum of its row (ours)."""
        super().__init__()
        if not 0 <= alpha <= 1 or dimension < 1:
            raise UserError(f"gemo-clap needs alpha from 0 to 1 and dimension of 1 on, not {alpha} and {dimension}.")
        if tower is None:  # else it is what a saved head knows of its text encoder
            self.text, self.tokenizer, tower = text_tower(text, written_prompts(prompts, classes))
        else:
            self.text, self.tokenizer = RobertaModel(RobertaConfig(**tower["config"]), add_pooling_layer=False), None
            check_tokens(tower["tokens"], self.text.config, "of a saved head")
        self.kept, self.options = {"tower": tower}, (gender, alpha, target)
        turned = classes[1:] + classes[:1] if shuffled else classes
        self.tokens = [tower["tokens"][name] for name in turned]
        self.standard = standardise
        self.pooling = Pooling(width, *POOLINGS[pooling])
        self.standardise = nn.BatchNorm1d(self.pooling.width, affine=False) if standardise else nn.Identity()
        sizes = self.pooling.width, self.text.config.hidden_size
        self.from_audio, self.from_text = (
            nn.Sequential(nn.Linear(size, dimension), nn.ReLU(), nn.Linear(dimension, dimension)) for size in sizes
        )
        self.log_scales = nn.Parameter(torch.full((2,), math.log(1 / 0.07)))  # of C_a and of C_t
        self.known = None
        if self.pooling.score is not None:
            nn.init.normal_(self.pooling.score.weight, std=0.02)

    def train(self, mode: bool = True) -> Self:
        self.known = None  # prompts are to be read anew: weights may change
        return super().train(mode)

    def scales(self) -> torch.Tensor:
        """tau_a and tau_t, between 1 and 100."""
        with torch.no_grad():
            self.log_scales.clamp_(0, math.log(100))  # itself, lest one that went beyond has no gradient back
        return self.log_scales.exp()

    def class_vectors(self) -> torch.Tensor:
        """Unit vectors of the classes, `[classes, dimension]`: the mean over a class' prompts of what is read at
        their first token."""
        if self.known is not None and torch.is_inference_mode_enabled():
            return self.known
        prompts = [prompt for own in self.tokens for prompt in own]
        longest = max(map(len, prompts))
        filler = self.text.config.pad_token_id
        tokens = torch.tensor([[*prompt, *[filler] * (longest - len(prompt))] for prompt in prompts])
        tokens = tokens.to(self.log_scales.device)
        states = self.text(tokens, attention_mask=tokens != filler).last_hidden_state[:, 0]
        if self.standard:
            states = standardised(states.float())
        vectors = normalize(self.from_text(states).float(), dim=1).split([len(own) for own in self.tokens])
        found = normalize(torch.stack([own.mean(0) for own in vectors]), dim=1)
        self.known = found if torch.is_inference_mode_enabled() else None
        return found

    def forward(
        self,
        frames: torch.Tensor,
        valid: torch.Tensor,
        emotions: torch.Tensor | None = None,
        gender: torch.Tensor | None = None,
    ) -> HeadOutput:
        """`gender`: numbers `[B]`, negative where it is unknown."""
        pooled, weights = self.pooling(frames, valid)
        audio = normalize(self.from_audio(self.standardise(pooled.float())).float(), dim=1)
        words, scales = self.class_vectors(), self.scales()
        with torch.autocast(audio.device.type, enabled=False):  # bfloat16 would blur them by a tenth of a logit
            logits, terms = scales[0] * (audio @ words.T), {}
        if emotions is not None:
            terms = self._terms(logits[:, emotions], scales[1] / scales[0], emotions, gender)
        shown = None if self.pooling.score is None else weights
        return HeadOutput(logits, sum(terms.values()) if terms else None, terms, shown, {"audio": audio})

    def _terms(self, similarities, ratio, emotions, gender):
        (kind, alpha, target), both = self.options, (similarities, ratio * similarities.T)
        same_emotion = alike(emotions)
        if kind is None:
            return {"emotion": contrast(same_emotion, both, target)}
        same_gender = alike(gender)
        if kind == "sl":
            return {"soft": contrast(alpha * same_emotion + (1 - alpha) * same_gender, both, target)}
        genders = contrast(same_gender, both, target)
        return {"emotion": alpha * contrast(same_emotion, both, target), "gender": (1 - alpha) * genders}


def standardised(states: torch.Tensor) -> torch.Tensor:
    """`[P, H]` of mean 0 over the prompts, and of deviation 1 over all of it: one scale for all dimensions, for with
    two prompts a scale for each would leave nothing but signs."""
    centred = states - states.mean(0)
    return centred / (centred.square().mean() + 1e-12).sqrt()


def alike(numbers: torch.Tensor) -> torch.Tensor:
    """`[B]` -> M `[B, B]`: 1 where two numbers are the same and not negative, else 0."""
    return ((numbers[:, None] == numbers) & (numbers >= 0)[:, None]).float()


def contrast(together: torch.Tensor, similarities: tuple[torch.Tensor, ...], target: str) -> torch.Tensor:
    """L(M): the mean of KL(target of M || S(C)) over the rows of `together` that have someone, and over the
    `similarities` C, `[B, B]` each; 0 where no row has."""
    rows = together.sum(1) > 0
    if not rows.any():
        return similarities[0].sum() * 0
    mass = together[rows]
    goal = mass.softmax(1) if target == "softmax" else mass / mass.sum(1, keepdim=True)
    found = [nn.functional.kl_div(one[rows].log_softmax(1), goal, reduction="batchmean") for one in similarities]
    return torch.stack(found).mean()


HEAD = GEmoCLAP
