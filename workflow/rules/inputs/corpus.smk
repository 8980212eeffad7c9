# What the rules of corpus.smk read and are told.


def joined_parts():
    """The corpora of the adapter `joined`, by name; none for any other."""
    corpora = config["corpus"]["options"].get("corpora", {}) if config["corpus"]["adapter"] == "joined" else {}
    return (
        corpora.values()
        if isinstance(corpora, dict) and all(isinstance(part, dict) for part in corpora.values())
        else []
    )  # what is wrong with them the job tells


def adapter_modules():
    """The modules of the corpus' adapter and of those that it joins."""
    names = [config["corpus"]["adapter"], *(str(part.get("adapter")) for part in joined_parts())]
    return [f"serflow.corpora.{name}" for name in names if name in adapters()]


def corpus_folders():
    """The folders whose files are the corpus."""
    root = config["root"]
    if root is None:
        return []
    return [str(Path(root) / str(part.get("folder"))) for part in joined_parts()] or [root]


def heard_elsewhere():
    """The utterances of other corpora that encoders were pretrained on."""
    corpora = dict.fromkeys(entry["corpus"] for entry in config["encoders"].values() if entry["corpus"])
    return [f"results/{corpus}/corpus/utterances.parquet" for corpus in corpora]


def protocol_settings():
    """All that decides who heard what, and what is scored."""
    return {
        "corpus": CORPUS,
        "settings": config["folds"],
        "selection": config["protocol"]["selection"],
        "seeds": config["seeds"],
        "seeds_of": config["seeds_of"],
        "published": PUBLISHED,
        "transductive": [system["title"] for system in config["systems"].values() if system["transductive"]],
        "speaker_normalised": [
            system["title"]
            for name, system in config["systems"].items()
            if "encoder" in system and lineage.origin(config, name)["normalisation"] == "speaker"
        ],
    }
