"""Pictures made into sharded TFRecords, from whatever source they come.

One plan says which pictures go to which shard, in which order. It follows from
the seed and the pictures' places in their source; time, place, runner and
number of workers leave no trace, so that the same call gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import tensorflow as tf

from efficientnet_tf.data.archives import archive_source, has_archives
from efficientnet_tf.data.beam import (
    PROCESSES,
    local_runner,
    new_pipeline,
    run_beam,
)
from efficientnet_tf.data.dataset import UNFINISHED, RecordDataset, open_dataset
from efficientnet_tf.data.folders import folder_source
from efficientnet_tf.data.manifest import (
    LABELS,
    MANIFEST,
    Manifest,
    Split,
    read_manifest,
    write_manifest,
)
from efficientnet_tf.data.pictures import (
    Picture,
    Source,
    both_splits,
    few,
    mean_bytes,
)
from efficientnet_tf.data.records import shard_name
from efficientnet_tf.data.shards import (
    Job,
    make_shard,
    shard_results,
    write_job,
    write_result,
)
from efficientnet_tf.data.tfds_source import PREFIX, tfds_source
from efficientnet_tf.data.workers import IMAGES_PER_PROCESS, share_out
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import read_text, write_text

SHARD_IMAGES = 1024
SHARD_BYTES = 100_000_000


# Small files on gs:// take a while each.
_FILES_AT_ONCE = 16
_TEMPORARY = r"\.[0-9a-f]{8}\.tmp"
_SHARD = r"(train|validation)-\d{5}-of-\d{5}"
_OURS = re.compile(
    rf"\.{{0,2}}({_SHARD}(\.job|\.done)?|{LABELS}|{MANIFEST}|{UNFINISHED})"
    rf"({_TEMPORARY})?"
)
# Before anything else is there.
_BEGINNING = re.compile(rf"\.{UNFINISHED}{_TEMPORARY}")


def prepare(
    source: str,
    out: str,
    *,
    shards: int | None = None,
    holdout: float = 0.2,
    seed: int = 0,
    tfds_dir: str = "",
    validation_labels: str = "",
    runner: str = "",
    beam_options: Sequence[str] = (),
) -> RecordDataset:
    """Writes TFRecords, `labels.txt` and `manifest.json` of pictures.

    Every picture is read to its end, so that training meets no broken one; how
    each becomes a JPEG says `as_jpeg`. Classes of a folder are sorted by name,
    those of other sources come in their order; the records call the first one
    1. Order and what is held out follow from the seed.

    A call that was killed goes on when it is made again: shards that are
    finished, by their checksum, are kept, and the bytes are those of a call
    that was left alone.

    Args:
        source: A folder of pictures, as `folder_source` takes it; one that
            holds ImageNet's archives, as `archive_source` does; or
            "tfds:NAME". Local or gs://.
        out: A folder that is absent, empty, or holds such an unfinished call.
        shards: Files of the training split, of ceil(images / shards) pictures
            each, so that a few less may do; the validation split has an
            eighth of them. None makes files of about 100 MB or 1024 pictures,
            whichever is smaller.
        holdout: Share of every class that becomes the validation split where
            the source has none, at least one picture.
        seed: Decides which pictures that are, and the order in both splits.
        tfds_dir: Where TFDS keeps data sets; empty for its default.
        validation_labels: Of ImageNet's archives, see `archive_source`.
        runner: "processes" for one on each core of this machine; else the name
            of a runner of Apache Beam, such as DataflowRunner. Empty for
            Beam's DirectRunner where Beam is installed, else for processes.
        beam_options: Its options, "--project=mine" and so on.

    Returns:
        The data set, as `open_dataset` finds it.

    Raises:
        InputError: An argument, the source's layout or a picture in it is
            wrong; all such pictures are named, and `out` is left empty.
        RunError: A worker died, or a data set of TFDS could not be made.
    """
    runner = runner or local_runner()
    _check(source, out, shards, holdout, runner, beam_options)
    found = _find(source, tfds_dir, validation_labels)
    train, validation = both_splits(found, holdout, seed)
    train_shards = _train_shards(train) if shards is None else shards
    plan = _plan("train", train, train_shards)
    plan |= _plan("validation", validation, max(1, train_shards // 8))
    jobs = _jobs(plan, found)
    # Asked now, since nothing may be written where it is wrong.
    pipeline = (
        None if runner == PROCESSES else new_pipeline(runner, beam_options)
    )
    _claim(out, jobs)
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        list(pool.map(partial(write_job, out), jobs, jobs.values()))
    if runner == PROCESSES:
        images = len(train) + len(validation)
        share_out(
            "writing",
            partial(make_shard, out),
            list(jobs),
            images,
            IMAGES_PER_PROCESS,
        )
    else:
        run_beam(partial(make_shard, out), list(jobs), pipeline, runner)
    _finish(out, list(jobs), found.labels)
    return open_dataset(out)


def _check(
    source: str,
    out: str,
    shards: int | None,
    holdout: float,
    runner: str,
    beam_options: Sequence[str],
) -> None:
    if shards is not None and shards < 1:
        raise InputError(f"shards {shards} must be 1 or more")
    if not 0 < holdout < 1:
        raise InputError(f"holdout {holdout} must be between 0 and 1; try 0.2")
    if os.path.abspath(out).startswith(os.path.abspath(source) + os.sep):
        raise InputError(f"out {out} lies inside {source}; take one outside")
    if beam_options and runner == PROCESSES:
        raise InputError(
            f"beam_option {beam_options[0]} is of Apache Beam; give a runner "
            "too, such as DirectRunner"
        )


def _find(source: str, tfds_dir: str, validation_labels: str) -> Source:
    if source.startswith(PREFIX):
        found, archives = tfds_source(source, tfds_dir), False
    elif archives := has_archives(source):
        found = archive_source(source, validation_labels)
    else:
        found = folder_source(source)
    if validation_labels and not archives:
        raise InputError(
            "validation_labels is for ImageNet's archives; other sources say "
            "themselves what their pictures show"
        )
    if tfds_dir and not source.startswith(PREFIX):
        raise InputError(
            f"data_dir {tfds_dir} is where TFDS keeps data sets; it says "
            "nothing of other sources"
        )
    return found


def _train_shards(train: list[Picture]) -> int:
    """Enough for both limits, judged by every so many-th picture's size."""
    share = max(1 / SHARD_IMAGES, mean_bytes(train) / SHARD_BYTES)
    return math.ceil(len(train) * share)


def _plan(
    split: Split, pictures: list[Picture], shards: int
) -> dict[str, list[Picture]]:
    """What every file of a split gets: none is empty."""
    size = math.ceil(len(pictures) / shards)
    starts = range(0, len(pictures), size)
    return {
        shard_name(split, index, len(starts)): pictures[start : start + size]
        for index, start in enumerate(starts)
    }


def _jobs(plan: dict[str, list[Picture]], source: Source) -> dict[str, Job]:
    numbers = {label: number for number, label in enumerate(source.labels, 1)}
    return {
        name: Job(
            source.holder,
            source.upright,
            source.image_key,
            tuple(pictures),
            tuple(numbers[picture.class_name] for picture in pictures),
        )
        for name, pictures in plan.items()
    }


def _claim(out: str, jobs: dict[str, Job]) -> None:
    """Makes the folder ours, or refuses; keeps what the same call has done."""
    names = tf.io.gfile.listdir(out) if tf.io.gfile.isdir(out) else []
    names = [name for name in names if not _BEGINNING.fullmatch(name)]
    begun = UNFINISHED in names
    foreign = [name for name in names if not _OURS.fullmatch(name)]
    if MANIFEST in names and not begun:
        raise InputError(
            f"out {out} already holds a prepared data set; "
            "remove it or take another folder"
        )
    if foreign or (names and not begun):
        raise InputError(
            f"out {out} holds other files ({few(sorted(foreign or names))}); "
            "take a new or empty folder"
        )
    if begun and _is_of_this_call(out, jobs):
        _go_on(out, names, list(jobs))
        return
    try:
        tf.io.gfile.makedirs(out)
        text = {"plan": _digest(jobs), "cure": "run the same `prepare` again"}
        write_text(os.path.join(out, UNFINISHED), json.dumps(text))
    except tf.errors.OpError as error:
        raise InputError(
            f"out {out} cannot be written: {error.message}"
        ) from error
    _clear(out, keep={UNFINISHED})


def _is_of_this_call(out: str, jobs: dict[str, Job]) -> bool:
    """Whether an unfinished folder is; False of one that can be taken."""
    text = read_text(os.path.join(out, UNFINISHED)) or ""
    try:
        begun = json.loads(text)["plan"]
    except (ValueError, TypeError, KeyError):
        # Of a version that began each call anew.
        return False
    if begun != _digest(jobs):
        raise InputError(
            f"out {out} was begun with other pictures, shards, seed or "
            "holdout; give the same ones, or remove it"
        )
    return True


def _digest(jobs: dict[str, Job]) -> str:
    digest = hashlib.sha256()
    for name, job in jobs.items():
        digest.update(f"{name}\n{job.to_json()}\n".encode())
    return digest.hexdigest()


def _go_on(out: str, names: list[str], shards: list[str]) -> None:
    """Clears away what a killed call left, but for what it had done."""
    if MANIFEST in names:
        # Killed while it cleared away its results: there they all are.
        manifest = read_manifest(out)
        for shard in manifest.train + manifest.validation:
            write_result(out, shard)
    done = {f".{name}.done" for name in shards}
    _clear(out, keep={UNFINISHED, *shards, *done})
    kept = sum(name in done for name in names)
    if kept:
        print(
            f"{out} was begun before: {kept:,} of {len(shards):,} shards are "
            "kept where their checksums are right",
            file=sys.stderr,
        )


def _finish(out: str, shards: list[str], labels: tuple[str, ...]) -> None:
    """Writes what describes the shards, once all are there."""
    files, reasons = shard_results(out, shards)
    if reasons:
        _clear(out)
        raise InputError(
            f"{len(reasons)} pictures cannot be used; mend or remove them:\n  "
            + "\n  ".join(sorted(reasons))
        )
    write_text(os.path.join(out, LABELS), "\n".join(labels) + "\n")
    manifest = Manifest(
        name=os.path.basename(os.path.abspath(out)),
        first_label=1,
        labels=labels,
        train=tuple(f for f in files if f.file.startswith("train-")),
        validation=tuple(f for f in files if f.file.startswith("validation-")),
    )
    write_manifest(out, manifest)
    _clear(out, keep={LABELS, MANIFEST, *shards})


def _clear(out: str, keep: frozenset[str] | set[str] = frozenset()) -> None:
    """Removes what calls of `prepare` have left, the marker last."""
    names = [
        name
        for name in tf.io.gfile.listdir(out)
        if _OURS.fullmatch(name) and name not in keep
    ]
    last = [name for name in names if name == UNFINISHED]
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        for some in (set(names) - set(last), last):
            paths = [os.path.join(out, name) for name in some]
            list(pool.map(tf.io.gfile.remove, paths))
