"""What every system gives: a label, a prediction and a probability per class for each test utterance."""

import pandas as pd


def predictions_frame(utterances, speakers, labels, probabilities, classes):
    """`speakers` a Series utterance -> speaker, `labels` int `[N]`, `probabilities` `[N, classes]` -> frame
    `utterance, speaker, label, prediction, p_<class>...`."""
    frame = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes])
    frame.insert(0, "utterance", utterances)
    frame.insert(1, "speaker", speakers.loc[utterances].to_numpy())
    frame.insert(2, "label", [classes[number] for number in labels])
    frame.insert(3, "prediction", [classes[number] for number in probabilities.argmax(1)])
    return frame
