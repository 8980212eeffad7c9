from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serflow import frames
from serflow.errors import UserError
from serflow.frames import FrameStore, batches_by_length, drawn, writing_frames


def write(path, arrays, width, **options):
    with writing_frames(path, width, **options) as writer:
        for number, array in enumerate(arrays):
            writer.append(f"u{number}", array)
    return FrameStore(path)


@pytest.mark.parametrize(("width", "dtype"), [(5, "float16"), (0, "int16"), (3, "float32"), (0, "int32")])
def test_what_is_written_is_read_without_copying_and_across_shards(tmp_path, monkeypatch, width, dtype):
    monkeypatch.setattr(frames, "VALUES_PER_SHARD", 40)
    rng = np.random.default_rng(0)
    shapes = [(length, width) if width else (length,) for length in (7, 1, 20, 0, 13)]
    arrays = [(rng.normal(size=shape) * 100).astype(dtype) for shape in shapes]
    store = write(tmp_path / "frames.arrow", arrays, width, dtype=dtype, hop=0.02, made={"by": "test"})
    assert (store.hop, store.width, store.made) == (0.02, width, {"by": "test"})
    assert store.lengths.tolist() == [7, 1, 20, 0, 13]
    for number, array in enumerate(arrays):
        assert store[number].dtype == dtype
        assert np.array_equal(store[f"u{number}"], array)
        assert not store[number].flags.owndata and not store[number].flags.writeable


def test_a_store_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "frames.arrow"
    with pytest.raises(RuntimeError), writing_frames(path, 2) as writer:
        writer.append("a", np.zeros((3, 2)))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_power_cut_left_goes_when_the_file_is_written_again(tmp_path):
    for left in (".frames.arrow.partial-1", ".other.arrow.partial-1"):
        (tmp_path / left).write_bytes(b"half")
    (tmp_path / ".frames.arrow.partial-2").mkdir()
    with writing_frames(tmp_path / "frames.arrow", 2) as store:
        store.append("a", np.zeros((3, 2)))
    assert {path.name for path in tmp_path.iterdir()} == {"frames.arrow", ".other.arrow.partial-1"}


@pytest.mark.parametrize("content", [b"", b"no arrow file", None])
def test_something_else_is_refused_by_name(tmp_path, content):
    path = tmp_path / "frames.arrow"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"frames\.arrow is no frame store"):
        FrameStore(path)


def test_a_truncated_store_is_refused(tmp_path):
    path = tmp_path / "frames.arrow"
    write(path, [np.ones((100, 4))], 4)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="is no frame store"):
        FrameStore(path)


def test_wrong_width_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="width 3"):
        write(tmp_path / "frames.arrow", [np.zeros((2, 4))], 3)


def test_frames_are_stacked_in_the_order_asked_for(tmp_path):
    arrays = [np.full((length, 2), number) for number, length in enumerate((50, 30, 20))]
    store = write(tmp_path / "frames.arrow", arrays, 2)
    assert np.array_equal(store.stack(["u2", "u0"]), np.concatenate([arrays[2], arrays[0]]))
    assert store.stack([]).shape == (0, 2)

    class Shorter(FrameStore):
        def items(self, utterances):
            return ((name, frames[1:]) for name, frames in super().items(utterances))

    with pytest.raises(ValueError, match="u1: 29 frames, where 30 were to come"):
        Shorter(store.path).stack(["u1"])


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.none() | st.integers(1, 300), st.integers(0, 9))
def test_all_are_drawn_or_as_many_as_have_room(lengths, most, seed):
    names = [f"u{number}" for number in range(len(lengths))]
    taken = drawn(names, np.array(lengths), most, seed)
    assert taken == [name for name in names if name in taken]  # in their order, each once
    frames = sum(lengths[names.index(name)] for name in taken)
    if most is None or sum(lengths) <= most:
        assert taken == names
    else:
        assert 0 < len(taken) < len(names) or len(names) == 1
        assert len(taken) == 1 or most - max(lengths) < frames <= most
    assert taken == drawn(names, np.array(lengths), most, seed)


def test_every_utterance_is_drawn_as_often():
    names, lengths = [f"u{number}" for number in range(10)], np.full(10, 7)
    counts = Counter(name for seed in range(2000) for name in drawn(names, lengths, 30, seed))
    assert sum(counts.values()) == 8000 and all(abs(counts[name] - 800) < 120 for name in names)  # five deviations


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(0, 120))
def test_batches_hold_every_row_once_within_the_budget(lengths, budget):
    lengths = np.array(lengths, dtype=int)
    batches = batches_by_length(lengths, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or lengths[batch].max() * len(batch) <= budget for batch in batches)
