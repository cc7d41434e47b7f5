from __future__ import annotations

from pathlib import Path

from benchmarks.build_time import write_table
from benchmarks.harness import Row
from efficientnet_tf.networks.table import read_build_seconds


def test_the_table_that_the_page_of_networks_is_made_of(tmp_path: Path) -> None:
    peer = "keras.applications EfficientNetB0"
    table = (
        Row("efficientnet-b0", "wall_seconds", 1.234, "s", peer=peer),
        Row(peer, "wall_seconds", 2.0, "s"),
        Row("efficientnet-lite0", "wall_seconds", 0.5, "s"),
    )
    path = tmp_path / "build_seconds.csv"
    write_table(table, path)
    assert path.read_text().splitlines() == [
        "name,seconds,keras_applications_seconds",
        "efficientnet-b0,1.23,2.00",
        "efficientnet-lite0,0.50,",
    ]
    assert read_build_seconds(path)["efficientnet-lite0"] == 0.5
    # What is measured anew is written anew, in the order of the networks.
    write_table((Row("efficientnet-b0", "wall_seconds", 3.0, "s"),), path)
    assert path.read_text().splitlines()[1:] == [
        "efficientnet-b0,3.00,",
        "efficientnet-lite0,0.50,",
    ]
