# What the rules of features.smk read.


def summarised(wildcards):
    """The audio, or the frames, that features of a whole utterance are taken from."""
    return store_of(UTTERANCE_FEATURES[wildcards.feature])
