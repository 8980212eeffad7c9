import json

from tests.unit.test_folds import corpus, speakers

from serflow.folds import split
from serflow.protocol import card, sentences


def described(count, validation_speakers, **more):
    rows = corpus(speakers(4), utterances=8)
    rows = rows.assign(label=rows.emotion.replace("anger", "hot anger").where(rows.index != 1, "cold anger"))
    settings = {
        "protocol": "leave-one-speaker-out",
        "count": count,
        "validation_speakers": validation_speakers,
        "seed": 0,
    }
    rows = rows.assign(corpus=rows.speaker.map(lambda name: more.get("corpora", {}).get(name, "mine")))
    folds = split(rows, **settings)
    names = [more.get(key, []) for key in ("transductive", "speaker_normalised")]
    selection, seeds_of = more.get("selection", "last"), more.get("seeds_of", "chain")
    return card(rows, folds, "mine", settings, selection, [0, 1], seeds_of, *names)


def test_the_card_says_who_was_where():
    made = described(4, 1)
    assert json.loads(json.dumps(made)) == made
    assert made["classes"]["anger"] == {"labels": ["cold anger", "hot anger"], "utterances": 16}
    for fold in made["parts"]:
        names = [fold[part]["speakers"] for part in ("train", "validation", "test")]
        assert sorted(sum(names, [])) == ["s0", "s1", "s2", "s3"] and [len(part) for part in names] == [2, 1, 1]
        assert fold["train"]["classes"] == {"anger": 8, "neutral": 8}
    classes, folds, scored = sentences(made)
    assert classes.startswith(
        "mine, 2 classes: anger (of cold anger, hot anger), neutral; 32 utterances of 4 speakers"
    )
    assert classes.endswith("tested. Guessing has a UA of 50.0 %.")
    assert "leave-one-speaker-out, 4 by speaker" in folds
    assert "a fold trains on 3 speakers (24 utterances), tests 1 (8)." in folds  # nothing is chosen on the fourth
    assert made["joined"] == []
    assert scored.startswith("Scored: last step, seeds 0, 1 of the whole chain")
    assert scored.endswith("; nothing that was fitted heard a test speaker.")


def test_the_card_says_on_whom_a_step_is_chosen():
    _, folds, scored = sentences(described(4, 1, selection="validation", seeds_of="systems"))
    assert "trains on 2 speakers (16 utterances), tests 1 (8); 1 validation speakers, disjoint" in folds
    assert scored.startswith("Scored: step of the best validation UA, seeds 0, 1 of the systems alone;")


def test_the_card_tells_what_is_not_clean():
    names = {"transductive": ["HuBERT (transductive)"], "speaker_normalised": ["HuBERT (speaker-normalised)"]}
    _, folds, scored, normalised = sentences(described(4, 0, selection="validation", **names))
    assert "normalised by all utterances of its speaker" in normalised and "(speaker-normalised)" in normalised
    assert "validation is a part of the training speakers' utterances" in folds
    assert "heard in pretraining and clustering by: HuBERT (transductive)" in scored


def test_the_card_says_what_is_taken_for_granted_of_joined_corpora():
    _, joined, *_ = sentences(described(4, 1, corpora={"s0": "de", "s1": "us"}))
    assert joined == "Joined from de, mine, us, which are taken to have no speaker in common."
