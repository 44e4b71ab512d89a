"""The figures of Li et al. 2016, as printed: RMSE, valence before arousal.

On the official test set of MediaEval 2015, with the labels of the challenge. The paper does not say
whether they are pooled or means over songs; the task's own scores were means over songs.
"""

from collections.abc import Mapping

Pair = tuple[float, float]

#: Table 1, by sequence length: validation data, test data.
SINGLE: Mapping[int, tuple[Pair, Pair]] = {
    10: ((0.181, 0.157), (0.364, 0.231)),
    20: ((0.188, 0.152), (0.360, 0.241)),
    30: ((0.180, 0.148), (0.363, 0.240)),
    60: ((0.162, 0.151), (0.333, 0.279)),
}

#: Table 2, by fusion and pretraining set ("training" is the paper's 431-full).
FUSED: Mapping[tuple[str, str], Pair] = {
    ("AVG", "with-test"): (0.331, 0.230),
    ("AVG", "training"): (0.331, 0.233),
    ("ELM", "with-test"): (0.308, 0.234),
    ("ELM", "training"): (0.318, 0.239),
}

#: Table 3.
OTHERS: Mapping[str, Pair] = {
    "MLR": (0.366, 0.270),
    "SVR": (0.366, 0.255),
    "RNN + smoothing": (0.365, 0.247),
    "LSTM": (0.373, 0.242),
}
