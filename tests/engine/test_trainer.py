import json
import math
import signal
import threading

import pytest
import torch

from gansmith import run as runs
from gansmith.engine import checkpoint, trainer
from gansmith.engine import player as playing
from gansmith.engine import watch as watching
from gansmith.engine.listener import Listener
from gansmith.engine.trainer import Diverged, Trainer
from gansmith.errors import Refused
from gansmith.games.game import Outcome

from .playing import make_player, make_recipe, pictures, play, unlike
from .test_measure import Small
from .test_player import SGD, Toy


class Ear(Listener):
    def __init__(self):
        self.heard = []

    def __getattribute__(self, name):
        if name in ("begin", "progress", "snapshot", "score", "warning", "end", "note"):
            return lambda *arguments: self.heard.append((name, *arguments))
        return super().__getattribute__(name)

    def all(self, kind):
        return [call[1:] for call in self.heard if call[0] == kind]


class Scores:
    """Gives one value a snapshot, in order."""

    def __init__(self, *values):
        self.values = list(values)

    def __call__(self, sampler):
        return {"fd": self.values.pop(0), "fd/spread": 0.0}

    def cost(self, scores):
        return scores["fd"]


def make_trainer(tmp_path=None, recipe=None, player=None, **arguments):
    recipe = recipe or make_recipe("gan", images=160, snapshots=4)
    player = player or make_player(recipe)
    run = None if tmp_path is None else runs.create(tmp_path / "run", recipe, {})
    ear = Ear()
    made = Trainer(player, run, [ear], **arguments)
    return made, ear


def test_a_training_ends_at_its_length_and_shows_each_snapshot_once(tmp_path):
    made, ear = make_trainer(tmp_path)
    assert made.train() == "done"
    assert made.player.images == 160
    assert [call[0] for call in ear.all("snapshot")] == [40, 80, 120, 160]
    assert ear.all("end") == [(160, "done")]
    assert ear.all("begin")[0][3] == 0
    assert ear.heard[0][0] == "begin"
    assert ear.heard[-1][0] == "end"
    last = ear.all("progress")[-1][0]
    assert (last.images, last.total) == (160, 160)
    assert set(last.terms) >= {"discriminator/adversarial", "generator/adversarial"}
    assert set(last.knobs) == {"lr", "ema_half_life"}
    assert last.seconds > 0
    assert [int(p.stem) for p in made.run.checkpoints()] == [120, 160]


def test_snapshots_that_fall_between_rounds_are_shown_at_the_next(tmp_path):
    made, ear = make_trainer(tmp_path, make_recipe("wgan-gp", images=100, snapshots=3))
    assert made.train() == "done"
    assert made.player.images == 112  # rounds of two steps of 8
    assert [call[0] for call in ear.all("snapshot")] == [48, 80, 112]


def test_a_round_that_does_not_move_the_clock_shows_nothing_again(tmp_path):
    from gansmith.games.game import Move

    moves = (Move("discriminator", ("discriminator",), every=3, fresh=True), Move("generator", ("generator",)))
    recipe = make_recipe("toy", images=48, snapshots=6, optimizer={**SGD, "lr": 0.0})
    made, ear = make_trainer(tmp_path, recipe, make_player(recipe, game=Toy(moves)))
    assert made.train() == "done"
    assert [call[0] for call in ear.all("snapshot")] == [8, 16, 24, 32, 40, 48]


def test_checkpoints_come_as_often_as_the_recipe_says(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "KEPT", 100)
    made, _ = make_trainer(tmp_path, make_recipe("gan", images=160, snapshots=1, checkpoint_every=48))
    made.train()
    assert [int(p.stem) for p in made.run.checkpoints()] == [0, 48, 96, 144, 160]


def test_checkpoints_come_by_the_clock_on_the_wall_too(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "KEPT", 100)
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", 0.0)
    made, _ = make_trainer(tmp_path, make_recipe("gan", images=64, snapshots=1))
    made.train()
    assert [int(p.stem) for p in made.run.checkpoints()] == [0, 8, 16, 24, 32, 40, 48, 56, 64]


# --- interruption --------------------------------------------------------------------------------------


class Interrupts(Listener):
    def __init__(self, how, at):
        self.how, self.at = how, at

    def snapshot(self, images, sampler):
        if images == self.at:
            self.how()


def test_an_interrupted_training_saves_and_goes_on_to_the_same(tmp_path):
    whole, _ = make_trainer(tmp_path / "whole")
    whole.train()
    made, ear = make_trainer(tmp_path / "cut")
    made.listeners.append(Interrupts(lambda: signal.raise_signal(signal.SIGINT), 80))
    before = signal.getsignal(signal.SIGINT)
    assert made.train() == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before
    assert ear.all("end") == [(made.player.images, "interrupted")]
    assert 80 <= made.player.images < 160
    player = make_player(make_recipe("gan", images=160, snapshots=4))
    found = checkpoint.newest(made.run)
    player.load(found.tensors, found.rest)
    again = Trainer(player, made.run, [ear])
    assert again.train() == "done"
    assert unlike(whole.player, player) == []
    assert [call[0] for call in ear.all("snapshot")] == [40, 80, 120, 160]


def test_a_stop_that_is_asked_for_before_a_snapshot_does_not_lose_it(tmp_path):
    made, ear = make_trainer(tmp_path)

    class At(Listener):
        def progress(self, progress):
            if progress.images == 40:  # it is told just before the snapshot
                made.interrupt()

    made.listeners.append(At())
    assert made.train() == "interrupted"
    assert made.player.images == 40
    assert [call[0] for call in ear.all("snapshot")] == [40]


def test_a_stop_at_the_very_end_is_no_interruption(tmp_path):
    made, ear = make_trainer(tmp_path)
    made.listeners.append(Interrupts(made.interrupt, 160))
    assert made.train() == "done"
    assert ear.all("snapshot")[-1][0] == 160


def test_the_second_ctrl_c_is_let_through_and_the_last_checkpoint_stands(tmp_path):
    made, ear = make_trainer(tmp_path)

    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    made.listeners.append(Interrupts(twice, 80))
    with pytest.raises(KeyboardInterrupt):
        made.train()
    assert ear.all("end") == [(80, "interrupted")]
    assert checkpoint.newest(made.run).rest["images"] == 40


def test_a_training_in_another_thread_leaves_signals_alone(tmp_path):
    made, _ = make_trainer(tmp_path)
    before, reasons = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=lambda: reasons.append(made.train()))
    thread.start()
    thread.join()
    assert reasons == ["done"]
    assert signal.getsignal(signal.SIGINT) is before


def test_trainings_in_two_threads_draw_each_their_own_numbers():
    recipe = make_recipe("gan", images=1600)
    alone = play(make_player(recipe), 200)
    players = [make_player(recipe) for _ in range(2)]
    threads = [threading.Thread(target=play, args=(player, 200)) for player in players]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert unlike(alone, players[0]) == unlike(alone, players[1]) == []


# --- safety --------------------------------------------------------------------------------------------


class Breaks(Toy):
    """Its loss turns NaN from an image on, for the first attempts."""

    def __init__(self, attempts, at=88):
        super().__init__()
        self.attempts, self.at = attempts, at

    def discriminator_loss(self, turn):
        bad = turn.draws.attempt < self.attempts and turn.draws.first >= self.at
        return Outcome({"slope": self.discriminator.w.sum() * (math.nan if bad else 1.0)})


@pytest.mark.parametrize("on_disk", [True, False])
def test_weights_that_turn_nan_are_rolled_back_and_the_training_goes_on(tmp_path, on_disk):
    recipe = make_recipe("toy", images=160, snapshots=4, optimizer={**SGD, "lr": 1.0})
    made, ear = make_trainer(tmp_path if on_disk else None, recipe, make_player(recipe, game=Breaks(1)))
    assert made.train() == "done"
    assert made.player.game.discriminator.w.tolist() == [-20.0] * 3
    assert made.player.attempt == 1
    ((at, text),) = ear.all("warning")
    assert at == 80
    assert "rolled back to image 80, other random numbers from here (1 of 2 roll-backs)" in text
    assert [call[0] for call in ear.all("snapshot")] == [40, 80, 120, 160]
    if on_disk:
        rest = checkpoint.newest(made.run).rest
        assert (rest["attempt"], rest["rollbacks"]) == (1, 1)


def test_weights_that_always_turn_nan_are_given_up_after_two_roll_backs(tmp_path):
    recipe = make_recipe("toy", images=160, snapshots=4, optimizer={**SGD, "lr": 1.0})
    made, ear = make_trainer(tmp_path, recipe, make_player(recipe, game=Breaks(9)))
    with pytest.raises(Diverged) as caught:
        made.train()
    assert caught.value.exit_code == 2
    assert "after 2 roll-backs" in caught.value.what
    assert "--optimizer.lr" in caught.value.remedy
    assert len(ear.all("warning")) == 2
    assert ear.all("end") == [(made.player.images, "failed")]
    found = checkpoint.newest(made.run)  # the last good state is kept
    assert found.rest["images"] == 80
    assert found.tensors["weights.discriminator.w"].tolist() == [-10.0] * 3


def test_a_roll_back_passes_over_a_damaged_checkpoint(tmp_path):
    recipe = make_recipe("toy", images=160, snapshots=4, optimizer={**SGD, "lr": 1.0})
    made, ear = make_trainer(tmp_path, recipe, make_player(recipe, game=Breaks(1)))

    class Damages(Listener):
        def progress(self, progress):
            if progress.images > 80 and made.run.checkpoint_file(80).exists():
                made.run.checkpoint_file(80).write_bytes(b"gone")

    made.listeners.append(Damages())
    made.player.game.at = 104
    trainer_look, trainer.PROGRESS_SECONDS = trainer.PROGRESS_SECONDS, 0.0
    try:
        assert made.train() == "done"
    finally:
        trainer.PROGRESS_SECONDS = trainer_look
    assert any("000000000080.safetensors: damaged" in text for _, text in ear.all("warning"))
    assert made.player.game.discriminator.w.tolist() == [-20.0] * 3


def test_out_of_memory_in_training_says_what_fits(tmp_path):
    made, ear = make_trainer(tmp_path)
    made.player.stepper = Small(made.player.game, 4)
    with pytest.raises(Refused, match="a batch of 8 does not fit") as caught:
        made.train()
    assert "--microbatch 4 " in caught.value.remedy
    assert ear.all("end") == [(made.player.images, "failed")]


def test_out_of_memory_at_a_snapshot_costs_the_scores_alone(tmp_path):
    def scores(sampler):
        raise torch.OutOfMemoryError("too much")

    made, ear = make_trainer(tmp_path, scores=scores)
    assert made.train() == "done"
    assert [text for _, text in ear.all("warning")] == ["out of memory at a snapshot: no scores from here on"]


def test_a_full_disk_is_refused_with_the_first_cause_and_the_last_checkpoint_stands(tmp_path, monkeypatch):
    made, _ = make_trainer(tmp_path)

    class Full(Listener):
        def snapshot(self, images, sampler):
            if images == 80:
                monkeypatch.setattr("gansmith.engine.checkpoint.save_file", full)

        def end(self, images, reason):
            raise Refused("a later trouble")

    from .test_checkpoint import full

    made.listeners.append(Full())
    with pytest.raises(Refused, match=r"000000000080\.safetensors: the disk is full"):
        made.train()
    assert checkpoint.newest(made.run).rest["images"] == 40
    assert not list(made.run.path.rglob("*.tmp"))


def test_a_training_that_cannot_begin_is_not_told_to_end(tmp_path):
    class Cannot(Listener):
        def begin(self, *_):
            raise Refused("cannot write")

        def end(self, *_):
            raise AssertionError

    made, _ = make_trainer(tmp_path)
    made.listeners.append(Cannot())
    with pytest.raises(Refused, match="cannot write"):
        made.train()


# --- scores --------------------------------------------------------------------------------------------


def test_a_score_that_stalls_for_the_patience_ends_the_training(tmp_path):
    recipe = make_recipe("gan", images=400, snapshots=10, patience=80)
    made, ear = make_trainer(tmp_path, recipe, scores=Scores(9, 5, 6, 5, 1, 2))
    assert made.train() == "converged"
    assert made.player.images == 160  # the best at 80, and two snapshots without a better one
    assert ear.all("end") == [(160, "converged")]
    assert [scores["fd"] for _, scores in ear.all("score")] == [9, 5, 6, 5]
    assert [int(p.stem) for p in made.run.checkpoints()] == [80, 120, 160]
    assert checkpoint.newest(made.run).rest["best"] == [5, 80]


def test_scores_keep_a_rhythm_of_their_own(tmp_path):
    recipe = make_recipe("gan", images=160, snapshots=2, eval_every=48)
    made, ear = make_trainer(tmp_path, recipe, scores=Scores(9, 5, 6, 7))
    assert made.train() == "done"
    assert [call[0] for call in ear.all("snapshot")] == [80, 160]
    assert [(call[0], call[1]["fd"]) for call in ear.all("score")] == [(48, 9), (96, 5), (144, 6), (160, 7)]
    assert made.best == (5, 96)
    assert 96 in [int(p.stem) for p in made.run.checkpoints()]  # saved at each score, and the best is kept


def test_a_score_that_improves_or_is_not_finite_does_not_end_it(tmp_path):
    recipe = make_recipe("gan", images=160, snapshots=4, patience=80)
    made, _ = make_trainer(tmp_path, recipe, scores=Scores(math.nan, 5, math.nan, 4))
    assert made.train() == "done"
    assert made.best == (4, 160)


def test_the_best_checkpoint_is_kept_however_old(tmp_path):
    recipe = make_recipe("gan", images=400, snapshots=10)
    made, _ = make_trainer(tmp_path, recipe, scores=Scores(9, 2, 6, 5, 8, 2, 9, 3, 4, 3))
    made.train()
    assert [int(p.stem) for p in made.run.checkpoints()] == [80, 360, 400]


def test_the_rest_of_a_checkpoint_is_plain_json_and_tells_the_clock(tmp_path):
    made, _ = make_trainer(tmp_path, seconds=100.0, cpu_seconds=50.0)
    made.train()
    rest = checkpoint.newest(made.run).rest
    assert json.loads(json.dumps(rest)) == rest
    assert rest["images"] == 160
    assert rest["first"] == 152
    assert rest["rounds"] == 20
    assert rest["steps"] == {"discriminator": 20, "generator": 20}
    assert 100 < rest["seconds"] < 130
    assert 50 < rest["cpu_seconds"] < 80
    assert rest["numerics"] == made.player.numerics.record()


def test_warnings_are_told_once_the_training_has_begun(tmp_path):
    made, ear = make_trainer(tmp_path, warnings=["no longer bit-exact"])
    made.train()
    assert [call[0] for call in ear.heard[:2]] == ["begin", "warning"]
    assert ear.all("warning") == [(0, "no longer bit-exact")]


def test_labels_reach_the_snapshot(tmp_path):
    made, ear = make_trainer(tmp_path, make_recipe("dcgan", images=16, snapshots=1), None)
    made.train()
    ((_, sampler),) = ear.all("snapshot")
    assert sampler.classes == pictures().classes
    assert sampler.sample(4, label="b").shape == (4, 1, 16, 16)


# --- the watch -----------------------------------------------------------------------------------------


@pytest.fixture
def _often(monkeypatch):
    """A probe after each round, and no more looks than the clock asks for."""
    monkeypatch.setattr(watching, "APART", 1)
    monkeypatch.setattr(playing, "SAMPLED_ROUNDS", 1)
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", 1e6)


DEAD = {"optimizers": {"generator": {"lr": 0.0}}, "optimizer": {"lr": 1e-2, "betas": [0.0, 0.9]}}
"""A generator that stands still, while the discriminator learns to tell it."""


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("name", ["gan", "dcgan", "r3gan"])
def test_the_watch_does_not_touch_the_training(tmp_path, name):
    recipe = make_recipe(name, images=160, snapshots=2)
    ignored = make_recipe(name, images=160, snapshots=2, on_trouble="ignore")
    alone, _ = make_trainer(tmp_path / "alone", ignored)
    seen, _ = make_trainer(tmp_path / "seen", recipe, held=pictures(seed=7))
    assert alone.watch is None
    assert alone.train() == seen.train() == "done"
    assert len(seen.watch.history) == 20
    assert "known" in seen.watch.history[-1]
    assert unlike(alone.player, seen.player) == []


@pytest.mark.usefixtures("_often")
def test_a_trouble_is_said_once_with_its_remedy(tmp_path):
    made, ear = make_trainer(tmp_path, make_recipe("gan", images=160, snapshots=2, **DEAD))
    assert made.train() == "done"
    ((at, text),) = [each for each in ear.all("warning") if each[1].startswith("dead generator")]
    assert 40 <= at <= 160
    assert "Begin anew with other first weights" in text
    kept = checkpoint.newest(made.run).rest["watch"]
    assert kept["said"] == made.watch.said
    assert len(kept["history"]) == 20


@pytest.mark.usefixtures("_often")
def test_a_training_that_adapts_goes_back_and_on_more_gently_three_times_at_most(tmp_path):
    fields = {**DEAD, "penalties": {"r1": {"weight": 0.5}}, "augment": {"ada": {"probability": 0.2}}}
    recipe = make_recipe("gan", images=400, snapshots=40, on_trouble="adapt", **fields)
    made, ear = make_trainer(tmp_path, recipe)
    made.player.game.generate = lambda noise, labels=None: noise.new_zeros(len(noise), 1, 16, 16)
    assert made.train() == "done"
    assert (made.player.eased, made.player.attempt) == (3, 3)
    texts = [text for _, text in ear.all("warning")]
    for times in (1, 2, 3):
        told = f"learning rates halved, penalties doubled, augmentation raised ({times} of 3)"
        assert sum(text.endswith(told) and "Rolled back to image" in text for text in texts) == 1
    # Where it can do no more it says so, once.
    assert sum("Rolled back" not in text for text in texts) == 1
    shown = made.player.shown_knobs()
    assert shown["lr/discriminator"] == 1e-2 / 8
    assert shown["r1"] == 4.0
    assert shown["augment"] == pytest.approx(1 - 0.8 * 0.75**3)
    assert ear.all("end") == [(400, "done")]
    # It began anew from before what the rule had looked at.
    backs = [at for at, text in ear.all("warning") if "Rolled back" in text]
    assert backs[0] <= 8 * watching.LONG


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("at", [48, 96, 208])
def test_a_training_that_adapts_resumes_to_the_same(tmp_path, at):
    recipe = make_recipe("gan", images=320, snapshots=20, on_trouble="adapt", **DEAD)
    whole, _ = make_trainer(tmp_path / "whole", recipe)
    whole.train()
    assert whole.player.eased == 3
    cut, _ = make_trainer(tmp_path / "cut", recipe)
    cut.listeners.append(Interrupts(cut.interrupt, at))
    assert cut.train() == "interrupted"
    player = make_player(recipe)
    found = checkpoint.newest(cut.run)
    player.load(found.tensors, found.rest)
    again = Trainer(player, cut.run, [])
    again.watch.load(found.rest["watch"])
    assert again.train() == "done"
    assert unlike(whole.player, player) == []
    assert again.watch.state() == whole.watch.state()
    assert player.clock() == whole.player.clock()


@pytest.mark.usefixtures("_often")
def test_what_is_saved_later_than_the_roll_back_is_dropped(tmp_path):
    recipe = make_recipe("gan", images=160, snapshots=20, on_trouble="adapt", **DEAD)
    made, _ = make_trainer(tmp_path, recipe)
    clocks = []

    class Ears(Listener):
        def warning(self, images, text):
            if "Rolled back" in text:
                found = checkpoint.newest(made.run)
                clocks.append((images, found.rest["images"], found.rest["eased"], found.rest["attempt"]))

    made.listeners.append(Ears())
    made.train()
    assert [(eased, attempt) for _, _, eased, attempt in clocks] == [(1, 1), (2, 2), (3, 3)][: len(clocks)]
    assert all(now == saved for now, saved, _, _ in clocks)
    assert clocks


def test_not_a_number_is_eased_where_the_training_adapts(tmp_path):
    recipe = make_recipe("toy", images=160, snapshots=4, optimizer={**SGD, "lr": 1.0}, on_trouble="adapt")
    made, ear = make_trainer(tmp_path, recipe, make_player(recipe, game=Breaks(1)))
    assert made.train() == "done"
    assert (made.player.eased, made.rollbacks) == (1, 0)
    # Eleven steps of 1 before the roll-back to image 80, of which ten stand, and ten of a half.
    assert made.player.game.discriminator.w.tolist() == [-15.0] * 3
    ((at, text),) = ear.all("warning")
    assert at == 80
    assert text.startswith("divergence: weights became infinite or NaN near image ")
    assert text.endswith("Rolled back to image 80, and on with learning rates halved (1 of 3)")


@pytest.mark.usefixtures("_often")
def test_without_a_run_the_memory_holds_what_an_adapting_training_goes_back_to():
    recipe = make_recipe("gan", images=240, snapshots=30, on_trouble="adapt", **DEAD)
    made, _ = make_trainer(None, recipe)
    assert made.train() == "done"
    assert made.player.eased == 3
    assert len(made._memory) <= watching.LONG + 2


# --- the duality gap -----------------------------------------------------------------------------------


def test_the_duality_gap_is_told_beside_the_scores_and_does_not_touch_the_training(tmp_path):
    recipe = make_recipe("gan", images=80, snapshots=2)
    alone, _ = make_trainer(tmp_path / "alone", recipe)
    asked = make_recipe("gan", images=80, snapshots=2, duality_gap=2)
    made, ear = make_trainer(tmp_path / "asked", asked, held=pictures(40, seed=7), scores=Scores(3.0, 2.0))
    alone.train()
    made.train()
    assert unlike(alone.player, made.player) == []
    told = ear.all("score")
    assert [images for images, _ in told] == [40, 80]
    for (_, scores), fd in zip(told, (3.0, 2.0), strict=True):
        assert next(iter(scores)) == "fd"
        assert scores["fd"] == fd
        gap = scores["duality-gap"]
        assert gap == pytest.approx(scores["duality-gap/discriminator"] + scores["duality-gap/generator"])
        assert gap >= 0
    assert made.best == (2.0, 80)
    bare, ear = make_trainer(None, asked, held=pictures(40, seed=7))
    bare.train()
    assert [list(scores) for _, scores in ear.all("score")] == [
        ["duality-gap", "duality-gap/discriminator", "duality-gap/generator"]
    ] * 2
