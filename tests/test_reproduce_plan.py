import re
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve import InputError
from moodcurve.corpora.folder import Song
from moodcurve.corpora.rows import LabelledRows
from moodcurve.reproduce import plan
from moodcurve.reproduce.jobs import (
    NetworkJob,
    RegressionJob,
    autoencoder_of,
    task,
    training_songs,
)
from moodcurve.reproduce.recipes import RECIPES, recipe
from moodcurve.reproduce.split import TRAINING, WITH_TEST, Material, Split

PAPER = RECIPES["paper-2016"]
SCALES = (10, 20, 30, 60)


def song(number, half_seconds):
    starts = 15 + np.arange(half_seconds) / 2
    return Song(str(number), None, starts, np.zeros((half_seconds, 2)))


def split(official=True, length=60, count=25):
    """Development songs of 30 s, two test songs of 100 s; five sets of two."""
    development = tuple(song(k, length) for k in range(count))
    sets = tuple(np.array([2 * p, 2 * p + 1]) for p in range(5))
    return Split(development, (song(98, 200), song(99, 200)), sets, official)


def planned(*asked, chosen=PAPER, official=True):
    stages = plan.jobs(set(asked), chosen, split(official))
    return [job for stage in stages for job in stage]


def families(jobs):
    return dict(Counter(job.family for job in jobs))


# How many (section 3.2)


def test_a_pretraining_set_takes_120_networks():
    """4 scales x 5 partitions x 3 trials x 2 dimensions, and 4 autoencoders."""
    found = planned("table1")
    assert families(found) == {"autoencoder": 4, "blstm": 120}
    networks = [job for job in found if job.family == "blstm"]
    keys = [(job.scale, job.partition, job.trial, job.dimension) for job in networks]
    assert sorted(keys) == sorted(product(SCALES, range(5), range(3), (0, 1)))
    for job in networks:
        assert (job.layers, job.units, job.pretraining, job.without) == (5, 250, TRAINING, None)
    for job in found[:4]:
        assert (job.family, job.layers, job.units) == ("autoencoder", 2, 250)
        assert (job.dimension, job.partition) == (None, None)


def test_table_2_takes_both_pretraining_sets():
    found = planned("table2")
    assert families(found) == {"autoencoder": 8, "blstm": 240}
    assert Counter(j.pretraining for j in found) == {TRAINING: 124, WITH_TEST: 124}
    assert planned("table2", official=False) == planned("table1", official=False)


def test_the_search_goes_over_30_structures():
    found = planned("search")
    assert families(found) == {"blstm": 60}
    sizes = sorted((job.dimension, job.layers, job.units) for job in found)
    assert sizes == sorted(product((0, 1), range(1, 7), (100, 150, 200, 250, 300)))
    assert {job.pretraining for job in found} == {None}


def test_table_3_takes_the_baselines_as_well():
    """LSTM: 3 sizes, RNN: 2; each 5 partitions, 3 trials, 2 dimensions."""
    found = families(planned("table3"))
    assert found == {"autoencoder": 4, "blstm": 120, "lstm": 90, "rnn": 60, "mlr": 2, "svr": 2}


def test_the_nested_variant_trains_without_each_set():
    """4 scales x 5 sets left out x 4 others x 3 trials x 2 dimensions."""
    outer, found = set(planned("table1")), planned("nested")
    assert outer < set(found)
    inner = [job for job in found if job not in outer]
    assert len(inner) == 4 * 5 * 4 * 3 * 2
    assert all(job.without not in (None, job.partition) for job in inner)
    one = replace(PAPER, nested_trials=1)
    assert len(planned("nested", chosen=one)) == 124 + 4 * 5 * 4 * 2


def test_all_tables_need_what_each_of_them_needs_once():
    everything = planned(*plan.TABLES)
    assert len(everything) == len(set(everything))
    assert set(everything) == {job for name in plan.TABLES for job in planned(name)}
    blstm = 240 + 60 + 480
    others = {"autoencoder": 8, "lstm": 90, "rnn": 60, "mlr": 2, "svr": 2}
    assert families(everything) == {**others, "blstm": blstm}


@pytest.mark.parametrize("name", RECIPES)
def test_the_numbers_follow_the_recipe(name):
    chosen = RECIPES[name]
    found = planned("table1", "search", chosen=chosen)
    structures = len(chosen.searched_layers) * len(chosen.searched_units)
    assert families(found)["blstm"] == 40 * chosen.trials + 2 * structures


def test_no_more_than_a_table_needs():
    for name in plan.FROM_LABELS:
        assert planned(name) == []
    assert set(planned("lengths")) == set(planned("table1"))
    assert set(planned("measures")) == set(planned("tests"))
    assert set(planned("measures")) == set(planned("table2")) | set(planned("table3"))
    assert all(WITH_TEST not in job.name for job in planned("table1", "table3", "nested", "search"))
    assert all(WITH_TEST not in job.name for job in planned(*plan.TABLES, official=False))


# In which order, under which names


def test_an_autoencoder_comes_in_the_stage_before_those_who_need_it():
    for chosen in RECIPES.values():
        first, second = plan.jobs(set(plan.TABLES), chosen, split())
        assert all(job.family == "blstm" for job in second)
        for job in second:
            source = autoencoder_of(job, chosen)
            assert source in first
            assert (source.scale, source.units) == (job.scale, job.units)
            assert source.pretraining == job.pretraining


def test_every_job_has_a_name_of_its_own_that_any_file_system_takes():
    for chosen in RECIPES.values():
        names = [job.name for job in planned(*plan.TABLES, chosen=chosen)]
        assert len({name.casefold() for name in names}) == len(names)
        assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{2,99}", name) for name in names)


def test_names_by_hand():
    job = NetworkJob("blstm", 5, 250, 60, 1, 2, 0, 4, "with-test")
    assert job.name == "blstm-5x250-T60-arousal-p2-t0-without4-with-test"
    assert NetworkJob("rnn", 1, 10, 60, 0, 0, 2).name == "rnn-1x10-T60-valence-p0-t2"
    assert NetworkJob("autoencoder", 2, 32, 10, pretraining="training").name == (
        "autoencoder-2x32-T10-training"
    )
    assert RegressionJob("svr", 0).name == "svr-valence"


def test_together_are_networks_alike(monkeypatch):
    """Of one shape, trained alike and pretrained alike; each once; regressions alone."""
    found = planned(*plan.TABLES)
    assert sorted(map(len, plan.together(found, "cpu"))) == [1] * len(found)
    monkeypatch.setattr(plan, "GPU_AT_ONCE", 50)
    groups = plan.together(found, "cuda")
    assert Counter(job for jobs in groups for job in jobs) == Counter(found)
    for first, *others in groups:
        if isinstance(first, RegressionJob):
            assert not others
        for key in ("family", "layers", "units", "scale", "pretraining"):
            assert all(getattr(job, key) == getattr(first, key) for job in others)
    # 30 networks of each scale and pretraining set, 120 more for "nested"; 30 x 2 for "search"
    sizes = Counter(len(jobs) for jobs in groups if jobs[0].family == "blstm")
    assert sizes == {50: 4 * 3, 30: 4, 2: 30}


def test_tasks_by_their_names(tmp_path):
    first, *others = (NetworkJob("rnn", 1, 10, 60, 0, 0, trial) for trial in range(3))
    assert str(task((first,), PAPER, tmp_path)) == "rnn-1x10-T60-valence-p0-t0"
    assert (
        str(task((first, *others), PAPER, tmp_path)) == "rnn-1x10-T60-valence-p0-t0 and 2 like it"
    )


@pytest.mark.parametrize(("without", "kept"), [(None, 23), (4, 21)])
def test_a_network_is_trained_on_songs_of_neither_set(without, kept):
    found = split()
    rows = np.zeros((1, 260), np.float32)
    development = tuple(LabelledRows(s, rows, np.zeros((1, 2))) for s in found.development)
    material = Material(development, (), found.validation, {}, rows[0], rows[0])
    songs = training_songs(NetworkJob("blstm", 1, 2, 10, 0, 1, 0, without), material)
    names = [int(one.song.name) for one in songs]
    held = {2, 3} | ({8, 9} if without else set())
    assert names == [number for number in range(25) if number not in held]
    assert len(names) == kept


# How long


@pytest.fixture
def clock(monkeypatch):
    """Where a mini-batch takes as many milliseconds as its network has units."""
    monkeypatch.setattr(plan, "_time_batch", lambda layers, units, scale, batch: units / 1000)
    return plan.Clock(PAPER, split(count=102))


def test_the_time_of_a_network_by_hand(clock):
    """100 songs of 60 rows: at scale 20, 300 pieces, 6 batches of 0.25 s; 21 to 100 epochs."""
    job = NetworkJob("blstm", 5, 250, 20, 0, 0, pretraining=TRAINING)
    assert clock.seconds(job) == pytest.approx((21 * 1.5, 100 * 1.5))
    lstm = NetworkJob("lstm", 1, 64, 60, 0, 0)  # 100 pieces, 2 batches; 11 to 60 epochs
    assert clock.seconds(lstm) == pytest.approx((11 * 0.128, 60 * 0.128))


def test_the_time_of_an_autoencoder_by_hand(clock):
    """On the test songs too, 20 epochs: 102 x 3 + 2 x 10 pieces of 20."""
    job = NetworkJob("autoencoder", 2, 250, 20, pretraining=WITH_TEST)
    assert clock.seconds(job) == pytest.approx((20 * 0.25 * 326 / 50,) * 2)


def test_what_is_said_before_the_start(clock):
    text = plan.describe("paper-2016", ["table1"], split(count=102), [], 2, "cpu")
    assert "tables: table1" in text
    assert "preset paper-2016: 4 autoencoder, 120 blstm" in text
    epochs = 0.25 * sum(max(1, 100 * (60 // scale) / 50) for scale in SCALES)
    hours = (20 * epochs + 30 * 100 * epochs) / 2 / 3600
    assert f"on 2 processes, estimated: {(20 + 30 * 21) * epochs / 2 / 60:.0f} min if" in text
    assert f"{hours:.1f} h at most" in text
    assert "are done" not in text


def test_an_evening_is_offered_where_the_preset_takes_longer(clock):
    """1.1 to 5 h on one process, 0.5 to 2.5 h on two."""
    text = plan.describe("paper-2016", ["table1"], split(count=102), [], 1, "cpu")
    assert "an evening is enough for --preset quick" in text
    for name, processes in (("paper-2016", 2), ("quick", 1)):
        fits = plan.describe(name, ["table1"], split(count=102), [], processes, "cpu")
        assert "an evening" not in fits


def test_what_is_done_is_not_counted_again(clock):
    names = [job.name for job in planned("search")]
    text = plan.describe("paper-2016", ["search"], split(), names[:59], 1, "cpu")
    assert "59 of 60 are done" in text
    done = plan.describe("paper-2016", ["search"], split(), names, 1, "cpu")
    assert "60 of 60 are done" in done
    assert "time on" not in done
    assert "nothing to train" in plan.describe("quick", ["partitions"], split(), [], 1, "cpu")


def test_unknown_names():
    with pytest.raises(InputError, match=r"--only table4: no such table; use one of: partitions"):
        plan.tables("table4")
    with pytest.raises(InputError, match=r"--preset slow: no such preset; use one of: paper-2016"):
        recipe("slow")
    assert plan.tables(None) == plan.TABLES
    assert plan.tables("table2") == ("table2",)
