"""The frame store: ragged arrays, one row an utterance, in one memory-mapped Arrow IPC file.

Audio `[N]`, features and embeddings `[T, D]` and units `[T]` all live in this form.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from serflow.artifacts import encode, replacing
from serflow.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

VALUES_PER_SHARD = 8_000_000  # a record batch of about 16 MB in float16: what a writer holds in memory


class FrameWriter:
    """Appends utterances to an open store; `writing_frames` makes one."""

    def __init__(
        self, sink: pa.NativeFile, width: int, dtype: str, hop: float, made: dict | None, columns: list[str]
    ) -> None:
        import pyarrow as pa  # here, for it takes memory, and who predicts from files stores nothing

        self.width, self.dtype = width, np.dtype(dtype)
        metadata = {"width": str(width), "hop": repr(hop), "made": encode(made), "columns": encode(columns)}
        values = pa.large_list(pa.from_numpy_dtype(self.dtype))
        self.schema = pa.schema([("utterance", pa.string()), ("frames", values)], metadata=metadata)
        self.file = pa.ipc.new_file(sink, self.schema)
        self.utterances, self.arrays, self.pending = [], [], 0

    def append(self, utterance: str, frames: np.ndarray) -> None:
        """Add `frames`, `[T, width]` (or `[T]` where width is 0), under the name `utterance`."""
        frames = np.ascontiguousarray(frames, dtype=self.dtype)
        if frames.shape[1:] != ((self.width,) if self.width else ()):
            raise ValueError(f"{utterance}: frames of shape {frames.shape} in a store of width {self.width}")
        self.utterances.append(utterance)
        self.arrays.append(frames.reshape(-1))
        self.pending += frames.size
        if self.pending >= VALUES_PER_SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is pending as one shard (an Arrow record batch)."""
        if not self.utterances:
            return
        import pyarrow as pa

        offsets = np.cumsum([0, *map(len, self.arrays)])
        values = pa.LargeListArray.from_arrays(offsets, np.concatenate(self.arrays))
        self.file.write_batch(pa.record_batch([pa.array(self.utterances), values], schema=self.schema))
        self.utterances, self.arrays, self.pending = [], [], 0


@contextlib.contextmanager
def writing_frames(
    path: str | Path,
    width: int,
    dtype: str = "float16",
    hop: float = 0.01,
    made: dict | None = None,
    columns: list[str] | None = None,
) -> Iterator[FrameWriter]:
    """Yield a `FrameWriter`; `path` appears when the block ends without an error.

    `width` is D of frames `[T, D]`, or 0 for `[T]`; `hop` is the step between frames in seconds; `columns` names the
    D values, where they have names.
    """
    import pyarrow as pa

    with replacing(path) as temporary, pa.OSFile(str(temporary), "wb") as sink:
        writer = FrameWriter(sink, width, dtype, hop, made, columns or [])
        yield writer
        writer.flush()
        writer.file.close()


class Frames:
    """Frames by utterance, `width` values (0: one) every `hop` seconds: a store's, or computed as they are read."""

    width: int
    hop: float

    def lengths_of(self, utterances: list[str]) -> np.ndarray:
        """Frames of each named utterance, int64 `[utterances]`."""
        raise NotImplementedError

    def items(self, utterances: list[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield `(utterance, frames)` of the named utterances, in whatever order is fastest."""
        raise NotImplementedError

    def stack(self, utterances: list[str]) -> np.ndarray:
        """All frames of the named utterances in their order, `[frames, D]` float32; memory holds nothing else."""
        lengths = self.lengths_of(utterances)
        ends = np.cumsum(lengths)
        places = dict(zip(utterances, zip(ends - lengths, ends, strict=True), strict=True))
        stacked = np.empty((int(lengths.sum()), self.width), dtype=np.float32)
        for utterance, frames in self.items(utterances):
            first, end = places[utterance]
            if len(frames) != end - first:  # a single one would be taken for all
                raise ValueError(f"{utterance}: {len(frames)} frames, where {end - first} were to come")
            stacked[first:end] = frames
        return stacked

    def write(self, path: str | Path, utterances: list[str], made: dict | None = None) -> None:
        """A store of the named utterances at `path`, in float16."""
        with writing_frames(path, self.width, hop=self.hop, made=made) as writer:
            for utterance, frames in self.items(utterances):
                writer.append(utterance, frames)


class FrameStore(Frames):
    """Reads a store without copying: `store[i]` and `store["utterance"]` are views of the mapped file."""

    def __init__(self, path: str | Path) -> None:
        import pyarrow as pa

        self.path = path
        try:
            with pa.memory_map(str(path)) as source:
                file = pa.ipc.open_file(source)
                shards = [file.get_batch(i) for i in range(file.num_record_batches)]
            metadata = {key.decode(): value.decode() for key, value in file.schema.metadata.items()}
            self.width, self.hop = int(metadata["width"]), float(metadata["hop"])
        except (OSError, pa.ArrowInvalid, KeyError, AttributeError) as error:
            raise UserError(f"{path} is no frame store ({error}): delete it and run again.") from error
        self.made, self.columns = json.loads(metadata["made"]), json.loads(metadata.get("columns", "[]"))
        self.utterances, self._rows = [], []
        for shard in shards:
            values = shard.column("frames").values.to_numpy(zero_copy_only=True)
            offsets = shard.column("frames").offsets.to_numpy(zero_copy_only=True)
            self.utterances += shard.column("utterance").to_pylist()
            self._rows += [(values, start, end) for start, end in zip(offsets[:-1], offsets[1:], strict=True)]
        self._index = {utterance: row for row, utterance in enumerate(self.utterances)}

    def __reduce__(self) -> tuple:
        return FrameStore, (self.path,)  # another process maps the file itself

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, row: int | str) -> np.ndarray:
        values, start, end = self._rows[self._index[row] if isinstance(row, str) else row]
        return values[start:end].reshape(-1, self.width) if self.width else values[start:end]

    @property
    def lengths(self) -> np.ndarray:
        """Frames per utterance, int64 `[utterances]`."""
        return np.array([end - start for _, start, end in self._rows], dtype=np.int64) // max(self.width, 1)

    def rows(self, utterances: Iterable[str]) -> np.ndarray:
        """Row numbers of the named utterances; KeyError for one that is not there."""
        return np.array([self._index[utterance] for utterance in utterances], dtype=np.int64)

    def lengths_of(self, utterances: list[str]) -> np.ndarray:
        """See `Frames`."""
        return self.lengths[self.rows(utterances)]

    def items(self, utterances: list[str]) -> Iterator[tuple[str, np.ndarray]]:
        """See `Frames`; in the order they are named."""
        return ((utterance, self[utterance]) for utterance in utterances)


def drawn(utterances: list[str], lengths: np.ndarray, most: int | None, seed: int) -> list[str]:
    """As many utterances as have at most `most` frames together (None: all), but one at least, drawn at random, in
    the order they came in; `lengths`: frames of each."""
    if most is None or lengths.sum() <= most:
        return list(utterances)
    order = np.random.default_rng(seed).permutation(len(utterances))
    count = max(1, int((np.cumsum(lengths[order]) <= most).sum()))
    return [utterances[row] for row in np.sort(order[:count])]


def batches_by_length(lengths: np.ndarray, budget: float) -> list[np.ndarray]:
    """Split rows into batches of similar length: longest times count is at most `budget` (or a batch of one).

    `lengths` `[rows]` and `budget` in the same unit. Returns a list of row-number arrays, shortest first.
    """
    batches, batch = [], []
    for row in np.argsort(lengths, kind="stable"):
        if batch and lengths[row] * (len(batch) + 1) > budget:
            batches.append(np.array(batch))
            batch = []
        batch.append(row)
    return [*batches, np.array(batch)] if batch else batches


def centres(frames: int, hop: float = 0.01) -> np.ndarray:
    """Time in s of the centre of each of `frames` 25 ms windows `hop` s apart: 10 ms fbank frames, 20 ms tokens."""
    return 0.0125 + hop * np.arange(frames)


def on_grid(scores: ArrayLike, times: ArrayLike, wanted: ArrayLike) -> np.ndarray:
    """Frame `scores` `[T]` at `times` (s, rising), interpolated linearly to the times `wanted`; constant beyond."""
    return np.interp(wanted, times, scores).astype(np.float32)
