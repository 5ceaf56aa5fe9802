"""``prune`` lists files that no study needs, and keeps all that may be needed."""

import errno
import json
from pathlib import Path

import pytest
from made_stores import everything, make

from disobey.locks import Holder, Lock
from disobey.stores.layout import lock_of, states_of
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests
from disobey.tools import prune
from disobey.tools.prune import main

STUDY = """
study: small
seeds: [0]
datasets:
  d: {source: builtin, name: digits}
  c: {source: builtin, name: digits, augment: {crop_padding: 1}}
models: {m: {family: mlp, hidden: [4]}}
recipes:
  r: {optimizer: sgd, lr: 0.1, epochs: 1}
  kept: {optimizer: sgd, lr: 0.1, epochs: 2, snapshots: [1]}
settings:
  s: {dataset: d, teacher: m, student: m, recipe: r, distill: {temperature: 2}}
  c: {dataset: c, teacher: m, student: m, recipe: kept, distill: {temperature: 2},
      over_training: true}
"""
SETTING_C = "\n".join(STUDY.splitlines()[-2:])


@pytest.fixture
def digests():
    return CodeDigests()


@pytest.fixture
def made(tmp_path, monkeypatch, digests):
    """A finished study with logs, from whose file one of two settings was then removed."""
    monkeypatch.chdir(tmp_path)
    path = Path("config.yaml")
    path.write_text(STUDY)
    plan = make_plan(load_study(path))
    for (stage, key), job in plan.jobs.items():
        make(job, digests)
        log = Path(f"results/logs/{stage}/{key}.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("said")
    path.write_text(STUDY.replace(SETTING_C, ""))
    return plan, make_plan(load_study(path))


def listed(capsys):
    lines = capsys.readouterr().out.splitlines()
    rows = (line.split() for line in lines)
    return {row[-1] for row in rows if row and row[0] in ("store", "log", "states")}


def stores(paths):
    return {path for path in paths if "/logs/" not in path}


def test_what_the_studies_ask_for_is_no_orphan(made, capsys):
    Path("config.yaml").write_text(STUDY)
    assert main([]) == 0
    assert listed(capsys) == set()


def test_stores_and_logs_of_a_setting_that_is_gone_are_listed_and_kept(made, tmp_path, capsys):
    before, now = made
    gone = set(before.manifests()) - set(now.manifests())
    assert gone
    untouched = everything(tmp_path)
    assert main([]) == 0
    found = listed(capsys)
    assert stores(found) == {name.removesuffix(".json") for name in gone}
    assert len(found) == 2 * len(gone)
    assert everything(tmp_path) == untouched


def test_delete_takes_those_alone_and_the_study_is_still_all_there(made, capsys):
    before, now = made
    assert main(["--delete"]) == 0
    assert {path for path in before.manifests() if Path(path).exists()} == set(now.manifests())
    views = next(job for (stage, _), job in before.jobs.items() if stage == "views")
    assert not Path(views.manifest).parent.exists()
    capsys.readouterr()
    assert main([]) == 0
    assert listed(capsys) == set()


def test_a_users_own_files_are_not_looked_at(made, capsys):
    own = ["results/notes.md", "results/runs/mine/model.bin", "results/data/raw.nc",
           "results/small/tables/mine.csv", "results/logs/train/thoughts.log"]  # fmt: skip
    for name in own:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("mine")
    assert main(["--delete"]) == 0
    assert all(Path(name).exists() for name in own)


def test_half_written_files_of_a_killed_process_count(made, capsys):
    left = Path("results/logits/.digits-mlp4-onehot-s0-0123abcd.nc.77.tmp")
    left.write_text("half")
    assert main(["--delete"]) == 0
    assert str(left.with_name("digits-mlp4-onehot-s0-0123abcd.nc")) in listed(capsys)
    assert not left.exists()


def test_what_a_running_job_holds_stays(made, capsys):
    before, now = made
    run = next(
        job for name, job in before.jobs.items() if name not in now.jobs and name[0] == "train"
    )
    log = Path(f"results/logs/train/{run.key}.log")
    lock = Lock(lock_of(run.manifest))
    assert lock.try_take()
    assert main(["--delete"]) == 1
    assert Path(run.manifest).exists() and log.exists()
    assert "a running job holds it" in capsys.readouterr().out
    lock.release(remove=True)
    assert main(["--delete"]) == 0
    assert not Path(run.manifest).exists() and not log.exists()


def test_the_lock_of_a_killed_job_goes_with_what_it_left(made, capsys):
    before, now = made
    run = next(job for name, job in before.jobs.items() if name not in now.jobs)
    lock = lock_of(run.manifest)
    lock.write_text(json.dumps(vars(Holder(123, "node7", "2026-01-01 00:00:00 UTC"))))
    assert main(["--delete"]) == 0
    assert not lock.exists() and not Path(run.manifest).exists()


@pytest.mark.parametrize("lock_there", [False, True])
def test_nothing_is_deleted_where_nobody_can_tell_which_jobs_run(
    made, tmp_path, monkeypatch, capsys, lock_there
):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    before, now = made
    gone = [job for name, job in before.jobs.items() if name not in now.jobs]
    for job in gone if lock_there else ():
        lock_of(job.manifest).touch()
    kept = set(everything(tmp_path / "results"))
    monkeypatch.setattr("disobey.locks.fcntl.flock", no_locks)
    assert main(["--delete"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "this file system has no locks" in said and "delete by hand what is listed" in said
    assert set(everything(tmp_path / "results")) == kept


def test_nothing_is_deleted_while_snakemake_works(made, tmp_path, capsys):
    lease = Lock(Path(".snakemake/lease"))
    assert lease.try_take()
    assert main([]) == 0
    assert main(["--delete"]) == 2
    lease.release()
    assert "another snakemake works in this folder" in capsys.readouterr().err
    assert all(Path(name).exists() for name in made[0].manifests())


def test_a_study_that_does_not_load_makes_nothing_an_orphan(made, capsys):
    Path("workflow/studies").mkdir(parents=True)
    Path("workflow/studies/bad.yaml").write_text("study: bad\nsettings: 3\n")
    for words in (["config.yaml", "workflow/studies/bad.yaml"], ["--delete"]):
        assert main(words) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "workflow/studies/bad.yaml:" in printed.err
        assert "python -m disobey prune config.yaml" in printed.err
    assert all(Path(name).exists() for name in made[0].manifests())
    assert main(["config.yaml"]) == 0
    capsys.readouterr()
    assert main([]) == 0  # listing changes nothing
    printed = capsys.readouterr().out
    assert "workflow/studies/bad.yaml:" in printed
    assert "nothing is kept for it: Snakemake was not called with it here" in printed
    called_with(Path("workflow/studies/bad.yaml"))
    assert main([]) == 2  # files that it needs may be here, unfinished


def called_with(path):
    """Write logs of Snakemake calls in this folder, one with a study and then one without."""
    log = Path(".snakemake/log/2026-01-01T000000.000000.snakemake.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"SNAKEMAKE\n  Config file(s): {[path.absolute()]}\n")
    log.with_name("2026-01-02T000000.000000.snakemake.log").write_text("SNAKEMAKE\n")


def test_a_study_under_way_is_kept_though_another_one_is_named(made, digests, capsys):
    """It has no folder in results/ before its first analysis: only Snakemake's log names it."""
    other = Path("other.yaml")
    other.write_text(STUDY.replace("study: small", "study: other").replace("lr: 0.1", "lr: 0.2"))
    training = [job for name, job in make_plan(load_study(other)).jobs.items()
                if name not in made[0].jobs and name[0] in ("train", "dump", "views")]  # fmt: skip
    for job in training:
        make(job, digests)
    called_with(other)
    assert training
    assert main(["config.yaml", "--delete"]) == 0
    assert all(Path(job.manifest).exists() for job in training)
    other.write_text("study: other\nsettings: 3\n")
    assert main(["config.yaml"]) == 2
    assert "other.yaml:" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["it's mine.yaml", 'a "b" c\'s.yaml', "ä\\b.yaml"])
def test_a_study_counts_however_its_file_is_called(made, capsys, name):
    Path(name).write_text(STUDY)
    called_with(Path(name))
    assert prune.configfiles() == [Path(name).absolute()]
    assert main([]) == 0
    assert listed(capsys) == set()


@pytest.mark.parametrize("text", ["{", "[]", '{"id": "a"}', '{"inputs": 3}', "\udcff"])
def test_a_file_that_is_no_manifest_makes_no_study(made, capsys, text):
    path = Path("results/mine/notes.json")
    path.parent.mkdir()
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["--delete"]) == 0
    assert "results/mine" not in capsys.readouterr().out
    assert path.exists()


def test_bytes_of_an_orphan_are_those_of_all_that_is_there(tmp_path):
    folder, link = tmp_path / "folder", tmp_path / "link"
    (folder / "within").mkdir(parents=True)
    for path, size in ((folder / "a", 3), (folder / "within" / "b", 40), (tmp_path / "c", 500)):
        path.write_bytes(b"x" * size)
    link.symlink_to(folder)  # its size is the length of the name in it
    parts = (folder, tmp_path / "c", link, tmp_path / "gone meanwhile")
    orphan = prune.Orphan("store", folder, parts, tmp_path / "lock")
    assert orphan.bytes() == 3 + 40 + 500 + len(str(folder))


def test_a_study_whose_own_files_are_missing_makes_nothing_an_orphan(made, capsys):
    mine = "{source: files, name: mine, train: a.npz, test: a.npz, columns: {image: x}}"
    text = STUDY.replace("{source: builtin, name: digits}", mine, 1).replace("small", "mine")
    Path("mine.yaml").write_text(text)
    assert main(["config.yaml", "mine.yaml"]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_the_folder_of_another_study_is_kept_with_all_that_it_stands_on(made, digests, capsys):
    Path("other.yaml").write_text(STUDY.replace("study: small", "study: other"))
    other = make_plan(load_study("other.yaml"))
    for name, job in other.jobs.items():
        if name not in made[0].jobs:
            make(job, digests)
    assert main([]) == 0
    assert stores(listed(capsys)) == {
        "results/small/analysis/c.nc",
        "results/small/analysis/c@1.nc",
        "results/small/figures/over-training-c",
        "results/small/figures/steps-c",
    }
    assert main(["other.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "results/small: its study was not given; kept" in printed


def test_studies_that_snakemake_was_called_with_count_and_those_gone_are_named(made, capsys):
    Path("elsewhere").mkdir()
    called = Path("elsewhere/full.yaml").absolute()
    called.write_text(STUDY)
    called_with(called)
    assert main([]) == 0
    assert listed(capsys) == set()
    called.unlink()
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert f"{called}: Snakemake was called with it here, and it is gone" in printed
    assert "store" in printed


def test_without_any_study_it_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert "name the studies" in capsys.readouterr().err


def test_states_of_other_code_or_data_are_orphans_and_those_to_go_on_from_are_not(
    made, digests, capsys
):
    _, now = made
    torch = prune.version("torch")
    run = next(job for (stage, _), job in now.jobs.items() if stage == "train")
    contents = [prune.read_manifest(path).content for path in run.inputs]
    to_go_on = states_of(run.key, digests.of(run), torch, contents)
    older = states_of(run.key, "other code", torch, contents)
    foreign = Path("results/checkpoints/digits-mlp4-onehot-s9-0123abcd-0123456789ab")
    for folder in (to_go_on, older, foreign, Path("results/checkpoints/mine")):
        folder.mkdir(parents=True)
        (folder / "1.pt").write_text("state")
    assert main([]) == 0
    states = {path for path in listed(capsys) if "/checkpoints/" in path}
    assert states == {str(older), str(foreign)}
    Path(run.inputs[0]).unlink()  # its inputs are unknown now
    assert main([]) == 0
    assert str(older) not in listed(capsys)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (2.5e9, "2.5 GB"),
        (1.5e12, "1.5 TB"),
        (2.5e15, "2,500.0 TB"),
    ],
)
def test_sizes_in_words(number, words):
    assert prune.size(number) == words
