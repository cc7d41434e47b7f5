"""The report as a file that stands alone, and what it says."""

import json
import re
import shutil

import pytest

import main
from efficientnet_tf.run_report import write_report


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "<i>run</i>"
    shutil.copytree(small_run, folder)
    return folder


@pytest.fixture(scope="module")
def text(run):
    path = write_report(str(run))
    assert path == str(run / "report.html")
    return (run / "report.html").read_text()


def test_it_stands_alone(text):
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    sources = re.findall(r'src="([^"]{0,40})', text)
    assert sources
    assert all(source.startswith("data:image/jpeg") for source in sources)
    assert "default-src 'none'" in text


def test_its_figures_are_those_of_the_run(run, text, see):
    seen = see(text)
    result = json.loads((run / "result.json").read_text())
    for name, figure in (
        ("top-1", "top1"),
        ("top-5", "top5"),
        ("top-1, raw weights", "raw_top1"),
    ):
        place = seen.texts.index(name)
        assert seen.texts[place - 1] == f"{result[figure]:.4f}"
    assert seen.count("img") == 24
    # A point of each curve for each line of metrics.
    lines = (run / "metrics.jsonl").read_text().splitlines()
    curves = sum(
        attributes.get("class") == "chart" for _, attributes in seen.tags
    )
    assert curves == 7
    assert seen.count("circle") == curves * len(lines)


def test_it_shows_what_was_decided_and_where(run, text, see):
    texts = see(text).texts
    config = json.loads((run / "config.json").read_text())
    place = texts.index("batch_norm_momentum")
    assert texts[place + 1 : place + 3] == ["0.9", "0.99"]
    for section, fields in config["config"].items():
        assert section in texts
        assert set(fields) <= set(texts)
    for name, version in config["versions"].items():
        assert texts[texts.index(name) + 1] == version
    assert str(run) in texts
    assert sum("UTC" in said for said in texts) == 3


def test_all_classes_have_a_row_the_worst_one_first(run, text, see):
    texts = see(text).texts
    texts = texts[texts.index("Classes, worst first") :]
    texts = texts[: texts.index("Config")]
    shares = [
        float(texts[texts.index(name) + 2])
        for name in (run / "labels.txt").read_text().splitlines()
    ]
    order = [
        float(said) for said in texts if re.fullmatch(r"[01]\.\d{4}", said)
    ]
    assert order[::2] == sorted(shares)


def test_other_data_without_a_background(run, small_data, capsys):
    command = [
        "report",
        f"--model_dir={run}",
        f"--data_dir={small_data['part']}",
        "--json",
    ]
    assert main.main(command) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"report": str(run / "report.html")}
    assert shown.err.count("taken for the background") == 1
    assert "on part" in (run / "report.html").read_text()


def test_a_run_that_goes_on_has_one_too(small_run, tmp_path, see):
    folder = tmp_path / "run"
    shutil.copytree(small_run, folder)
    (folder / "result.json").unlink()
    (folder / "metrics.jsonl").unlink()
    write_report(str(folder))
    texts = see((folder / "report.html").read_text()).texts
    assert "This run left no metrics." in texts
    assert "top-1, raw weights" not in texts


def test_without_a_run_there_is_none(tmp_path, capsys):
    assert main.main(["report"]) == 2
    assert main.main(["report", f"--model_dir={tmp_path}"]) == 2
    assert "holds no run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
