"""A shard's task as a file beside it, and whoever fulfils it.

`prepare` writes `.NAME.job` for every shard NAME of its plan. A worker, in
whatever process and on whatever machine, reads that, writes the shard and then
`.NAME.done`. The same task gives the same bytes.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass

import tensorflow as tf

from efficientnet_tf.data.images import EncodedImage, as_jpeg
from efficientnet_tf.data.manifest import ShardFile
from efficientnet_tf.data.pictures import Holder, Picture, read_span
from efficientnet_tf.data.records import encode_record, measure, write_shard
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import read_text, write_text

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """What a shard is to hold.

    Attributes:
        holder: How the pictures lie in their files.
        upright: Whether they are turned as their EXIF says.
        image_key: Feature of an example that holds the picture.
        pictures: In the order of the records.
        labels: What the records call their classes.
    """

    holder: Holder
    upright: bool
    image_key: str
    pictures: tuple[Picture, ...]
    labels: tuple[int, ...]

    def to_json(self) -> str:
        """The job as text, the same for the same job."""
        content = {
            "holder": self.holder,
            "upright": self.upright,
            "image_key": self.image_key,
            "pictures": [astuple(picture) for picture in self.pictures],
            "labels": self.labels,
        }
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Reads what `to_json` gave."""
        content = json.loads(text)
        return cls(
            holder=content["holder"],
            upright=content["upright"],
            image_key=content["image_key"],
            pictures=tuple(Picture(*row) for row in content["pictures"]),
            labels=tuple(content["labels"]),
        )


class _Unreadable(Exception):
    """Pictures of a shard that could not be read, each with its reason."""


def write_job(out: str, name: str, job: Job) -> None:
    """Leaves a shard's job for whoever calls `make_shard`."""
    write_text(_beside(out, name, "job"), job.to_json())


def make_shard(
    out: str, name: str, advance: Advance = lambda done: None
) -> None:
    """Fulfils a shard's job, unless that has been done.

    A shard that is there counts for nothing; it is kept where a result says
    that it was finished and its bytes are still those.

    Args:
        out: The folder, local or gs://.
        name: Of the shard.
        advance: Is told how many pictures are done, each time some are.
    """
    text = read_text(_beside(out, name, "job"))
    if text is None:
        raise InputError(f"{out} has no job for {name}; run `prepare` anew")
    job = Job.from_json(text)
    path = os.path.join(out, name)
    if _is_done(path, _result(out, name)):
        advance(len(job.pictures))
        return
    try:
        write_result(out, write_shard(path, _records(job, advance)))
    except _Unreadable as error:
        made = {"unreadable": list(error.args)}
        write_text(_beside(out, name, "done"), json.dumps(made))


def write_result(out: str, shard: ShardFile) -> None:
    """Says that a shard is finished."""
    write_text(_beside(out, shard.file, "done"), json.dumps(asdict(shard)))


def shard_results(
    out: str, names: list[str]
) -> tuple[list[ShardFile], list[str]]:
    """What the jobs came to.

    Args:
        out: The folder.
        names: Of the shards.

    Returns:
        The shards in that order, and why pictures could not be used.
    """
    shards, reasons = [], []
    for name in names:
        result = _result(out, name)
        if result is None:
            raise InputError(
                f"{out} lacks {name}; run the same `prepare` again"
            )
        if isinstance(result, ShardFile):
            shards.append(result)
        else:
            reasons += result
    return shards, reasons


def _result(out: str, name: str) -> ShardFile | list[str] | None:
    text = read_text(_beside(out, name, "done"))
    if text is None:
        return None
    content = json.loads(text)
    if "unreadable" in content:
        return list(content["unreadable"])
    return ShardFile(**content)


def _is_done(path: str, result: ShardFile | list[str] | None) -> bool:
    if not isinstance(result, ShardFile) or not tf.io.gfile.exists(path):
        return False
    return measure(path) == (result.bytes, result.sha256)


def _beside(out: str, name: str, kind: str) -> str:
    return os.path.join(out, f".{name}.{kind}")


def _records(job: Job, advance: Advance) -> Iterator[bytes]:
    broken: list[str] = []
    for picture, label in zip(job.pictures, job.labels, strict=True):
        try:
            image = _image(job, picture)
        except InputError as error:
            broken.append(str(error))
        else:
            yield encode_record(
                image,
                label=label,
                class_name=picture.class_name,
                filename=picture.place,
            )
        advance(1)
    if broken:
        raise _Unreadable(*broken)


def _image(job: Job, picture: Picture) -> EncodedImage:
    content = _CONTENT[job.holder](picture, job.image_key)
    name = picture.path
    if job.holder != "file":
        name = f"{picture.place} in {name}"
    with warnings.catch_warnings():
        # Of odd metadata and large pictures, which are no errors.
        warnings.filterwarnings("ignore", module="PIL")
        return as_jpeg(content, name, upright=job.upright)


def _file(picture: Picture, image_key: str) -> bytes:
    try:
        with tf.io.gfile.GFile(picture.path, "rb") as file:
            return bytes(file.read())
    except tf.errors.OpError as error:
        raise InputError(
            f"{picture.path} cannot be read: {error.message}"
        ) from error


def _span(picture: Picture, image_key: str) -> bytes:
    return read_span(picture.path, picture.offset, picture.size or 0)


def _example(picture: Picture, image_key: str) -> bytes:
    example = tf.train.Example.FromString(_span(picture, image_key))
    return bytes(example.features.feature[image_key].bytes_list.value[0])


_CONTENT: dict[Holder, Callable[[Picture, str], bytes]] = {
    "file": _file,
    "span": _span,
    "example": _example,
}
