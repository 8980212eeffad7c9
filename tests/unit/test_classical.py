import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from serflow.classical import CLASSICAL
from serflow.utterance_features import READS

SHARES = {2: [0.7, 0.3], 3: [0.8, 0.15, 0.05]}


def drawn(count, classes, seed, width=5):
    """Features `[count, width]` of unequal scales around a centre a class, and emotions of unequal shares."""
    rng, centres = np.random.default_rng(seed), np.random.default_rng(9).normal(0, 1.5, (classes, width))
    emotions = rng.choice(classes, count, p=SHARES[classes])
    return (centres[emotions] + rng.standard_normal((count, width))) * [1e-3, 1, 1, 1e3, 1] + 7, emotions


@pytest.mark.parametrize("classes", SHARES)
@pytest.mark.parametrize("name", CLASSICAL)
def test_each_gives_a_probability_to_each_class(name, classes):
    method = CLASSICAL[name]
    features, emotions = drawn(400, classes, seed=0)
    test_features, truth = drawn(200, classes, seed=1)
    probabilities = method.fit(features, emotions, test_features, classes, method.C)
    assert probabilities.shape == (200, classes)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert (probabilities >= 0).all()
    np.testing.assert_array_equal(probabilities, method.fit(features, emotions, test_features, classes, method.C))
    recalls = [(probabilities[truth == emotion].argmax(1) == emotion).mean() for emotion in range(classes)]
    assert recalls == [1] + [0] * (classes - 1) if method.reads is None else min(recalls) > 0.6  # rare ones count too


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_class_that_was_not_heard_is_never_expected(name):
    method, (features, emotions) = CLASSICAL[name], drawn(100, 2, seed=0)
    probabilities = method.fit(features, 2 * emotions, features, 3, method.C)
    assert probabilities.shape == (100, 3) and not probabilities[:, 1].any()
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("name", ["statistics", "nuisance"])
def test_logistic_regression_is_fitted_to_standardised_features(name):
    (features, emotions), (test_features, _) = drawn(400, 3, seed=0), drawn(50, 3, seed=1)
    mean, deviation = features.mean(0), features.std(0)
    weights = len(emotions) / 3 / np.bincount(emotions)
    C = CLASSICAL[name].C
    model = LogisticRegression(C=C, max_iter=1000).fit((features - mean) / deviation, emotions, weights[emotions])
    expected = model.predict_proba((test_features - mean) / deviation)
    np.testing.assert_allclose(CLASSICAL[name].fit(features, emotions, test_features, 3, C), expected, atol=1e-4)


def test_what_a_method_reads_is_known_without_its_library():
    assert {method.reads for method in CLASSICAL.values()} == {None, *READS}
    seen = "import sys, serflow.classical, serflow.utterance_features; print({'sklearn', 'torch'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
