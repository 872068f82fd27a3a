"""Contenders taking turns: what is counted, and what happens when one is lost.  Neither clock nor process is real."""

from __future__ import annotations

import numpy as np
import pytest
from fake_processes import FakeProcesses, lost

from scratchnst.bench import ladder, measure, report
from scratchnst.bench.measure import Conditions
from scratchnst.bench.names import OURS, PAINTING, PEERS, SGEMM, TRAINING, doing

CONTIGUOUS, CHANNELS_LAST = PEERS


@pytest.fixture
def processes(monkeypatch):
    processes = FakeProcesses()
    monkeypatch.setattr(measure, "Process", processes)
    monkeypatch.setattr(measure, "REST", 0)
    monkeypatch.setattr(ladder, "SIDE", 16)
    return processes


def speed(repeats=3, **settings):
    return {item.contender: item for item in measure.speed(64, repeats, Conditions(2, list(PEERS), **settings))}


def test_they_take_turns_after_being_checked(processes):
    results = speed(repeats=2)
    everybody = [OURS, *PEERS, SGEMM]
    assert processes.asked == [
        *((name, "set_up") for name in everybody),
        *((name, "gradient") for name in (OURS, *PEERS)),
        *((name, "evaluate") for _ in range(3) for name in everybody),
        *((name, "peak") for name in (OURS, *PEERS)),
    ]
    assert sorted(processes.ended) == sorted(everybody)
    assert list(results) == everybody


def test_peers_are_as_their_users_have_them_unless_asked(processes):
    speed()
    assert processes.plain == {OURS: False, CONTIGUOUS: True, CHANNELS_LAST: True, SGEMM: False}
    speed(prepare_peers=True)
    assert not any(processes.plain.values())


def test_the_warm_up_does_not_count(processes):
    for result in speed(repeats=3).values():
        assert (result.seconds, result.median, result.failure) == ([1, 2, 3], 2, None)


def test_facts(processes, monkeypatch):
    monkeypatch.setattr(measure.limit, "operations", lambda *_: 10**9)
    results = speed()
    assert results[OURS].facts == {"loss": 4.0, "peak_bytes": 5_000_000, "operations": 10**9}
    assert results[CONTIGUOUS].facts == {
        **{"loss": 4.0, "loss_distance": 0.0, "gradient_distance": 0.0},
        "peak_bytes": 5_000_000,
    }
    assert results[SGEMM].facts == {"operations_per_second": 2 * 2048**3 / 2}
    assert results[OURS].as_dict()["seconds"] == [1, 2, 3]


@pytest.mark.parametrize("when", ["set_up", "gradient", "evaluate", "peak"])
@pytest.mark.parametrize("who", [OURS, CONTIGUOUS])
def test_one_is_lost_and_the_others_go_on(processes, who, when):
    processes.plays[who, when] = lost("killed")
    results = speed()
    assert (results[who].failure, results[who].median) == ("killed", None)
    for name in {OURS, *PEERS, SGEMM} - {who}:
        assert (results[name].failure, results[name].seconds) == (None, [1, 2, 3])
    after = processes.asked[processes.asked.index((who, when)) + 1 :]
    assert who not in [name for name, _ in after]
    assert report.speed(list(results.values()))[-1] == f"{who} at 64x64: killed"


def test_a_peer_with_another_gradient_is_not_timed(processes):
    processes.plays[CONTIGUOUS, "gradient"] = lambda: {"loss": 4.0, "gradient": np.full((2, 2, 3), 1.02)}
    results = speed()
    assert results[CONTIGUOUS].failure == "computes another function: its gradient is 2e-02 from ours"
    assert (CONTIGUOUS, "evaluate") not in processes.asked
    assert results[CHANNELS_LAST].failure is None


@pytest.mark.parametrize("loss", [4.2, float("nan")])
def test_a_peer_with_another_loss_is_not_timed(processes, loss):
    processes.plays[CONTIGUOUS, "gradient"] = lambda: {"loss": loss, "gradient": np.ones((2, 2, 3))}
    assert speed()[CONTIGUOUS].failure.startswith("computes another function")


def test_ctrl_c_ends_all(processes):
    def interrupt():
        raise KeyboardInterrupt

    processes.plays[CHANNELS_LAST, "evaluate"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        speed()
    assert sorted(processes.ended) == sorted([OURS, *PEERS, SGEMM])


def test_training_takes_turns_step_by_step_and_piece_by_piece(processes):
    first, second = TRAINING
    results = [item for task in TRAINING for item in measure.training(task, 2, Conditions(1, list(PEERS)))]
    asked = [do for name, do in processes.asked if name == doing(OURS, first)]
    assert asked == ["set_up", "gradient", *3 * ["evaluate"], *2 * ["pieces"]]
    assert (doing(OURS, second), "pieces") not in processes.asked
    assert [item.contender for item in results] == 2 * [OURS, *PEERS, SGEMM]
    assert [item.facts["task"] for item in results] == [*4 * [first], *4 * [second]]
    assert results[1].facts["pieces"]["conv1"] == [0.25, 0.25]


def test_training_on_several_threads_has_no_pieces(processes):
    results = measure.training(TRAINING[0], 2, Conditions(2, list(PEERS)))
    assert (doing(OURS, TRAINING[0]), "pieces") not in processes.asked
    assert "--threads 1" in report.training(results)[-1]


def test_table_of_training(processes):
    """Steps of 2 s with 4 crops; a large product takes 2 s as well, conv1 there and back 0.25 s."""
    processes.plays[doing(CHANNELS_LAST, TRAINING[0]), "pieces"] = lambda: {"conv1": 0.125, "norm3": 0.1}
    processes.plays[doing(OURS, TRAINING[1]), "evaluate"] = lost("killed")
    conditions = Conditions(1, list(PEERS))
    results = [item for task in TRAINING for item in measure.training(task, 3, conditions)]
    lines = [line.split() for line in report.training(results)]
    assert lines[1] == ["crops", "of", "128x128", "pixels", "a", "second,", "median", "of", "3", "batches"]
    assert [*TRAINING[0].split(), "2.00", "2.00", "2.00", "1.00"] in lines
    assert [*TRAINING[1].split(), "-", "2.00", "2.00", "-"] in lines
    share = 2 * 2 * 4 * 128**2 * 25 * 3 * 16 / (2 * 2048**3 / 2) / 0.25
    assert ["conv1", "x", "1", "250.00", "12.5%", f"{share:.0%}", "0.50"] in lines
    assert ["norm3", "x", "5", "250.00", "12.5%", "1.00"] in lines
    assert ["adam", "x", "1", "125.00", "6.2%", "1.00"] in lines
    assert ["the", "rest", "1375.00", "68.8%"] in lines
    assert lines[-1] == ["scratchnst", "at", "128x128:", "killed"]


def test_training_by_us_alone(processes):
    lines = report.training(measure.training(TRAINING[0], 1, Conditions(1)))
    assert not [line for line in lines if "PyTorch" in line]
    processes.plays[doing(OURS, TRAINING[0]), "set_up"] = lost("killed")
    assert report.training(measure.training(TRAINING[0], 1, Conditions(1)))[-1] == "scratchnst at 128x128: killed"


@pytest.mark.parametrize("task", PAINTING)
def test_paintings(processes, task):
    processes.plays[doing(CONTIGUOUS, task), "gradient"] = lambda: {"loss": 4.0, "gradient": np.full((2, 2, 3), 2)}
    results = measure.painting(task, 64, 3, Conditions(2, list(PEERS)))
    assert results[0].facts == {"mean": 4.0, "peak_bytes": 5_000_000}
    assert results[1].failure == "computes another function: its painting is 1e+00 from ours"
    assert results[2].facts["painting_distance"] == 0
    rows = [line.split() for line in report.painting(results) if line.startswith("64 ")]
    assert rows == [["64", "2.0000", "lost", "2.0000", "1.00"], ["64", "5", "lost", "5", "1.00"]]


def test_whole_runs_one_after_the_other(processes):
    processes.plays[CONTIGUOUS, "run"] = lost("killed")
    results = [one for name in (OURS, *PEERS) for one in measure.whole_run(name, 32, 9, Conditions(2))]
    assert processes.ended == [OURS, CONTIGUOUS, CONTIGUOUS, CHANNELS_LAST]  # the lost one at once
    assert [item.failure for item in results] == [None, "killed", None]
    assert results[0].facts["evaluations"] == 13
    lines = report.whole_run(results)
    assert lines[3].split() == [OURS, "2.0", "9", "13", "0.5"]
    assert lines[-1] == "torch contiguous at 32x32: killed"


def test_the_ladder_scales_what_is_computed_in_part(processes):
    results = measure.climb(2, Conditions(1))
    loops, *others = results
    assert loops.seconds == [1 * 256 / 8, 2 * 256 / 8]
    assert loops.facts["computed_share"] == 8 / 256
    assert [item.contender for item in results] == list(ladder.RUNGS)
    assert all(item.seconds == [1, 2] for item in others)
    lines, scaled = report.climb(results), ["time", "scaled", "up", "from", "a", "few", "pixels"]
    assert lines[3].split() == ["loops", "48", "0.0", "1.0e-06", *scaled]
    assert lines[4].split() == ["im2col", "1.5", "32.0", "0.0", "1.0e-06"]


def test_a_lost_rung_is_left_out(processes):
    processes.plays["im2col", "check"] = lost("out of memory")
    lines = report.climb(measure.climb(1, Conditions(1)))
    assert [line.split()[0] for line in lines[3:]] == ["loops", "shifted", "winograd", "im2col"]
    assert lines[-1] == "im2col at 16x16: out of memory"


def test_table_of_times_and_memory():
    def result(name, size, seconds, facts=None, failure=None):
        return measure.ContenderResult(name, size, [seconds], {"peak_bytes": 1e6 * seconds, **(facts or {})}, failure)

    results = [
        result(OURS, 32, 2.0, {"operations": 3e9}),
        result(CONTIGUOUS, 32, 5.0),
        result(CHANNELS_LAST, 32, 4.0),
        result(SGEMM, 32, 1.0, {"operations_per_second": 2e9}),
        result(OURS, 64, 8.0, {"operations": 12e9}),
        result(CONTIGUOUS, 64, 20.0),
        result(CHANNELS_LAST, 64, 10.0, failure="killed"),
        result(SGEMM, 64, 1.0, failure="killed"),
    ]
    lines = [line.split() for line in report.speed(results)]
    assert lines[3] == ["32", "2.000", "5.000", "4.000", "2.00", "75%"]
    assert lines[4] == ["64", "8.000", "20.000", "lost", "2.50", "-"]
    assert lines[8] == ["32", "2", "5", "4", "2.00"]
    assert lines[9] == ["64", "8", "20", "lost", "2.50"]
    alone = [line.split() for line in report.speed([results[0], results[3]])]
    assert alone[3] == ["32", "2.000", "75%"]
