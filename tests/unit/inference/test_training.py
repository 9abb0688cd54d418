"""Training: what the networks are shown, what they are asked for, and a loop that can be interrupted."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inference.networks.landmark_network import Reading
from inference.networks.landmarks import build_landmark_net
from inference.networks.preprocessing import CROP_SIZE_PX
from inference.phantom.strip import make_phantom
from inference.training import fit_cycles, fit_landmarks, optimise
from inference.training.data import TRAINING_SEEDS, VALIDATION_SEEDS
from inference.training.hard_negatives import HardNegatives
from inference.training.losses import Targets, landmark_loss, two_cell_entropy
from inference.training.optimise import Task
from inference.training.sampling import depth_window, jittered, vary
from inference.training.stream import Batches, Mix, drawn

CPU = torch.device("cpu")
HEART = make_phantom(1, "LV")
ANYWHERE = HardNegatives(None)


def test_detector_examples_are_whitened_and_their_boxes_lie_inside() -> None:
    """Targets of the detector are what torchvision's losses expect."""
    shown = fit_cycles.example(np.random.default_rng(0), HEART)

    height, width = shown.image.shape
    assert height == 128
    assert abs(float(shown.image.mean())) < 0.01
    assert bool((shown.boxes[:, 2:] > shown.boxes[:, :2]).all())
    assert shown.boxes.min() >= -0.5
    assert (shown.boxes[:, 2] <= width + 0.5).all()


def test_a_degenerate_box_stops_with_the_name_of_its_image() -> None:
    """A box without width is an error of the data set that stops training."""
    cycle = HEART.cycles[0]
    x0, y0, _, y1 = cycle.box_px
    broken = replace(HEART, cycles=(replace(cycle, box_px=(x0, y0, x0, y1)),))

    with pytest.raises(ValueError, match=r"LV 1: .*degenerate"):
        fit_cycles.example(np.random.default_rng(0), broken)


def test_traced_borders_pass_through_the_landmarks() -> None:
    """The wall curves of an example agree with its eight points."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        shown = fit_landmarks.example(rng, HEART, ANYWHERE)
        assert shown is not None
        columns = (np.arange(fit_landmarks.TRACED) + 0.5) / fit_landmarks.TRACED
        for x, y, wall in zip(shown.points[:, 0], shown.points[:, 1], [0, 1, 2, 3] * 2, strict=True):
            assert np.interp(x, columns, shown.walls[wall]) == pytest.approx(y, abs=0.02)


def test_without_wall_curves_only_the_landmarks_columns_are_known() -> None:
    """Tracings of eight points teach two columns of each border, and say nothing of the others."""
    shown = fit_landmarks.example(np.random.default_rng(3), replace(HEART, walls_px=None), ANYWHERE)

    assert shown is not None
    assert (~np.isnan(shown.walls)).sum(axis=1).tolist() == [2, 2, 2, 2]


def test_lookalikes_are_shown_without_landmarks() -> None:
    """A crop of a look-alike only has the target "no left ventricle"; one in five is skipped."""
    rng, other = np.random.default_rng(0), make_phantom(1, "mitral")

    shown = [fit_landmarks.example(rng, other, ANYWHERE) for _ in range(60)]

    seen = [one for one in shown if one is not None]
    assert 38 < len(seen) < 58
    crops, targets = fit_landmarks.collate(seen)
    assert crops.shape[1:] == (1, *CROP_SIZE_PX)
    assert float(targets.is_lv.sum()) == 0.0


def test_boxes_are_shaken_as_a_detector_errs() -> None:
    """Most edges are off by little, some by a whole wall, and more so in depth than in time."""
    rng, box = np.random.default_rng(0), (100.0, 50.0, 200.0, 250.0)

    off = (np.array([jittered(rng, box) for _ in range(2000)]) - box) / (100, 200, 100, 200)

    assert np.median(np.abs(off)) < 0.05
    far = (np.abs(off) > 0.15).mean(axis=0)
    assert (far[[1, 3]] > 0.05).all()
    assert (far[[0, 2]] < 0.02).all()


@pytest.mark.parametrize("seed", range(8))
def test_what_is_varied_about_an_image_leaves_its_borders_in_place(seed: int) -> None:
    """Focus, gain, grain and patches change most pixels; a bright band stays where it is labelled."""
    rng = np.random.default_rng(seed)
    image = np.full((120, 90), 60, np.uint8)
    image[50:70] = 160

    shown = vary(rng, image).astype(float)

    assert (shown != image).mean() > 0.5
    rows = np.median(shown, axis=1)
    brighter = np.diff(np.convolve(rows, np.ones(3) / 3, mode="same"))[5:-5]
    assert abs(int(np.argmax(brighter)) + 5 - 49.5) <= 2
    assert abs(int(np.argmin(brighter)) + 5 - 69.5) <= 2


def test_a_depth_window_cuts_rows_but_never_a_cycle() -> None:
    """Some strips lose rows at either end, others none; boxes move with what is left."""
    rng, boxes = np.random.default_rng(0), np.array([[10.0, 25, 60, 170], [60.0, 20, 120, 180]])
    pixels = np.tile(np.arange(200, dtype=np.uint8)[:, None], (1, 130))

    cut = [depth_window(rng, pixels, boxes) for _ in range(100)]
    bare = [depth_window(rng, pixels, np.zeros((0, 4)))[0] for _ in range(100)]

    assert all(part[round(kept[1, 1]), 0] == 20 and len(part) >= kept[1, 3] - 0.5 for part, kept in cut)
    assert len({len(part) for part, _ in cut}) > 10
    assert any(len(part) == 200 for part, _ in cut)
    assert min(len(part) for part in bare) >= 200 * 0.7 - 1


def test_a_target_between_two_cells_is_met_by_a_split_distribution() -> None:
    """The loss is least where the distribution's mean is the position itself."""
    position = torch.tensor([5.25 / 20 + 0.5 / 20])
    losses = []
    for share in (0.0, 0.25, 0.5):
        logits = torch.full((1, 20), -20.0)
        logits[0, 5], logits[0, 6] = float(np.log(1 - share + 1e-9)), float(np.log(share + 1e-9))
        losses.append(float(two_cell_entropy(logits, position)))

    assert losses[1] == min(losses)


@pytest.mark.parametrize("traces", [True, False])
def test_the_loss_falls_as_the_points_come_closer(traces: bool) -> None:
    """Both heads are pulled towards the truth, and unknown columns pull at nothing."""
    truth = torch.full((1, 8, 2), 0.5)
    walls = torch.full((1, 4, 48), torch.nan)
    walls[0, :, 24] = 0.5
    targets = Targets(points=truth, walls=walls, is_lv=torch.ones(1))

    def loss(off: float) -> float:
        rows, columns = torch.full((1, 4, 80, 48), -9.0), torch.full((1, 2, 48), -9.0)
        rows[:, :, int(80 * (0.5 + off)), :] = 9.0
        columns[:, :, int(48 * (0.5 + off))] = 9.0
        reading = Reading(
            points=truth + off,
            lv_logit=torch.zeros(1),
            certainty=torch.ones(1),
            doubt=torch.zeros(1, 8),
            rows=rows if traces else None,
            columns=columns if traces else None,
        )
        return float(landmark_loss(reading, targets))

    assert loss(0.0) < loss(0.1) < loss(0.3)


def test_the_stream_draws_training_seeds_and_renews_them() -> None:
    """Each worker has seeds of its own, all of the training range, and a phantom is used a few times."""
    strips = {
        worker: list(islice(drawn(np.random.default_rng(worker), Mix(), first=worker, stride=2), 12))
        for worker in (0, 1)
    }

    names = {worker: {strip.name.split()[-1] for strip in drawn_} for worker, drawn_ in strips.items()}
    assert not names[0] & names[1]
    assert all(TRAINING_SEEDS <= int(name) < VALIDATION_SEEDS for name in names[0] | names[1])


def test_real_sets_are_mixed_in_by_their_weight() -> None:
    """A tenth of the examples asked for is about a tenth of the examples drawn."""
    real = [replace(HEART, name="real")]
    mix = Mix(real=real, real_share=0.5, phantoms=2)

    found = [strip.name for strip in islice(drawn(np.random.default_rng(0), mix, first=0, stride=1), 80)]

    assert 25 < found.count("real") < 55


def test_the_same_seed_gives_the_same_batches() -> None:
    """Anyone can repeat a run."""
    make = partial(fit_landmarks.example, hard_negatives=ANYWHERE)
    once, again = (next(iter(Batches(make, Mix(), batch=4, seed=7))) for _ in range(2))

    assert [one.name for one in once] == [one.name for one in again]
    assert all(np.array_equal(a.crop, b.crop) for a, b in zip(once, again, strict=True))


def numbers(count: int) -> Iterator[Tensor]:
    """A line to fit: y = 2 x."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield torch.tensor(rng.normal(size=(8, 1)), dtype=torch.float32)


def line_task(network: nn.Linear, batches: Iterator[Tensor]) -> Task[Tensor]:
    """Fits `network` to y = 2 x."""
    return Task(
        network=network,
        batches=batches,
        loss_of=lambda x: nn.functional.mse_loss(network(x).float(), 2 * x),
        held_out=[torch.tensor([[1.0], [-1.0]])],
        names_of=lambda batch: [f"point {len(batch)}"],
        halves=lambda batch: (batch[::2], batch[1::2]),
    )


def run(task: Task[Tensor], out: Path, *, steps: int, resume: bool = False) -> None:
    """A short run."""
    optimise.optimise(task, steps=steps, learning_rate=0.1, device=CPU, out=out, name="line", resume=resume)


def logged(folder: Path) -> list[dict[str, str]]:
    """The rows of the CSV log."""
    return list(csv.DictReader((folder / "line.csv").read_text().splitlines()))


def test_training_reaches_the_line_logs_it_and_leaves_no_checkpoint(tmp_path: Path) -> None:
    """The held-out loss falls, each look is a row, and the network ends at its best."""
    network = nn.Linear(1, 1)
    run(line_task(network, numbers(600)), tmp_path, steps=500)

    rows = logged(tmp_path)
    assert [int(row["step"]) for row in rows] == [250, 500]
    assert float(rows[-1]["best"]) < 0.01
    assert float(network.weight.detach()) == pytest.approx(2.0, abs=0.1)
    assert not (tmp_path / "line.checkpoint.pt").exists()


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """After a crash the checkpoint holds step, weights and optimiser; `--resume` uses them."""
    with pytest.raises(StopIteration):
        run(line_task(nn.Linear(1, 1), numbers(300)), tmp_path, steps=500)
    assert (tmp_path / "line.checkpoint.pt").is_file()

    network = nn.Linear(1, 1)
    run(line_task(network, numbers(250)), tmp_path, steps=500, resume=True)

    assert [row["step"] for row in logged(tmp_path)] == ["250", "500"]
    assert float(network.weight.detach()) == pytest.approx(2.0, abs=0.1)


def test_a_loss_that_is_no_number_stops_training_and_names_the_images(tmp_path: Path) -> None:
    """Training never goes on from a broken step."""
    broken = iter([torch.full((3, 1), float("nan"))])

    with pytest.raises(ValueError, match="at step 0 on point 3"):
        run(line_task(nn.Linear(1, 1), broken), tmp_path, steps=5)


def test_a_batch_too_large_for_the_device_is_taken_in_halves() -> None:
    """Out of memory is no reason to stop: the gradient of two halves is that of the whole."""
    network = nn.Linear(1, 1)
    task = line_task(network, iter(()))
    whole = torch.arange(8.0).view(8, 1)

    def stingy(x: Tensor) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError
        return nn.functional.mse_loss(network(x).float(), 2 * x)

    optimise.backward(task, whole, CPU, 1.0)
    expected = network.weight.grad.clone() if network.weight.grad is not None else None
    network.zero_grad()
    optimise.backward(replace(task, loss_of=stingy), whole, CPU, 1.0)

    assert expected is not None
    assert network.weight.grad is not None
    assert float(network.weight.grad) == pytest.approx(float(expected), rel=0.05)


@pytest.mark.parametrize("head", ["tracing", "regression"])
def test_one_step_on_real_examples_lowers_the_loss(head: str) -> None:
    """Examples, network and loss fit together: a few steps on one batch learn it."""
    torch.manual_seed(0)
    rng, network = np.random.default_rng(0), build_landmark_net(head)
    shown = [one for _ in range(3) if (one := fit_landmarks.example(rng, HEART, ANYWHERE)) is not None]
    crops, targets = fit_landmarks.collate(shown)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        loss = landmark_loss(network(crops), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    assert losses[-1] < losses[0]
