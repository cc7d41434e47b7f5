"""What every data set is taken for, whatever it lies in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

from efficientnet_tf.data.manifest import Split

# "tfrecords" in the layout of ImageNet; "tfds": those that tensorflow-datasets
# has written; "folder": files that are a picture each; "fake": nothing at all.
Kind = Literal["tfrecords", "tfds", "folder", "fake"]


@dataclass(frozen=True)
class Shards:
    """One split's files.

    Attributes:
        files: Their paths.
        counts: Records in each.
        bytes: Of all of them together; 0 where nobody has asked.
        labels: Of files that are a record each, their labels.
    """

    files: tuple[str, ...]
    counts: tuple[int, ...]
    bytes: int = 0
    labels: tuple[int, ...] = ()

    @property
    def images(self) -> int:
        """Records of all files."""
        return sum(self.counts)

    def some(self, files: slice) -> Shards:
        """Some of the files; their bytes are in proportion to the records."""
        counts = self.counts[files]
        return Shards(
            self.files[files],
            counts,
            self.bytes * sum(counts) // max(1, self.images),
            self.labels[files],
        )

    def stretch(
        self, first: int, last: int
    ) -> tuple[list[int], list[int], list[int]]:
        """The records from `first` to before `last`, as they lie in files.

        Returns:
            Numbers of files, the first record to take of each, and how many.
        """
        rows = []
        for file, (count, end) in enumerate(
            zip(self.counts, accumulate(self.counts), strict=True)
        ):
            begin = end - count
            taken = min(end, last) - max(begin, first)
            if taken > 0:
                rows.append((file, max(0, first - begin), taken))
        files, begins, counts = zip(*rows, strict=True) if rows else ((),) * 3
        return list(files), list(begins), list(counts)

    def place(self, number: int) -> tuple[str, int]:
        """The file of a record and its number in it, by that in the split."""
        (file,), (begin,), _ = self.stretch(number, number + 1)
        return self.files[file], begin


@dataclass(frozen=True)
class RecordDataset:
    """A data set.

    Attributes:
        name: "digits", "fake", what TFDS calls it, or the folder's name.
        path: Where it is, as a person would say it.
        train: The training split.
        validation: The validation split.
        labels: Names of the classes, in the order of the logits.
        first_label: What the records call the first class: 1 in ImageNet's
            layout, where 0 is the background.
        kind: What lies in the files.
        features: Of "tfds", the names of the picture and its class.
    """

    name: str
    path: str
    train: Shards
    validation: Shards
    labels: tuple[str, ...]
    first_label: int
    kind: Kind = "tfrecords"
    features: tuple[str, str] = ("", "")

    @property
    def classes(self) -> int:
        """Number of classes, which is that of logits."""
        return len(self.labels)

    def split(self, name: Split) -> Shards:
        """The files of a split."""
        return {"train": self.train, "validation": self.validation}[name]

    def hold_out(self, files: int) -> RecordDataset:
        """Takes the first training files for validation."""
        return replace(
            self,
            train=self.train.some(slice(files, None)),
            validation=self.train.some(slice(files)),
        )
