"""The Runs room: shows what trainings have written, and write; and begins, stops and resumes them."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gansmith import recipe as recipes
from gansmith import zoo
from gansmith.data.catalogue import CATALOGUE
from gansmith.errors import GansmithError, Refused
from gansmith.page import data_uri
from gansmith.playground import asked
from gansmith.playground.asked import Asked
from gansmith.playground.folder import Folder
from gansmith.playground.following import PATIENCE, Follower, damaged
from gansmith.playground.orders import LENGTHS, train_words
from gansmith.playground.room import House, Message, Post, Room
from gansmith.playground.trainings import Trainings
from gansmith.ranking import cards_of
from gansmith.report import classes_of, next_commands
from gansmith.run import WHOLE, Run
from gansmith.scores import differences, evaluations

TOGETHER = 12
"""Runs whose curves are told of at once."""

FOLLOWED = 300
"""Runs that are remembered; of more, those are read again that were not looked at for longest."""

FACTS = ("data", "parameters", "numerics", "versions", "host", "from")
"""What is told of `run.json`."""

FRESH = 0.4
"""Seconds for which a list is good: many pages that ask at once cost as one."""


class Handler(Room):
    """One page's view of the runs; all pages have the same."""

    def __init__(self, house: House, post: Post) -> None:
        super().__init__(house, post)
        self.runs = house.once("runs", lambda: Runs(house.runs, local=house.local))

    def hear(self, message: Message) -> Message:
        """Answer."""
        return self.runs.answer(message)


class Runs:
    """Answers what a page asks of the runs in a folder; each answer is plain JSON.

    Args:
        folder: the runs.
        trainings: by which they are begun and stopped.
        local: who asks sits at this machine: so the data may lie anywhere, and any field may be set.
    """

    def __init__(self, folder: Folder | str | Path, trainings: Trainings | None = None, *, local: bool = True) -> None:
        self.folder = folder if isinstance(folder, Folder) else Folder(folder)
        self.trainings = trainings or Trainings()
        self.local = local
        self._followers: dict[str, Follower] = {}
        self._lock = threading.Lock()  # followers are read on: by one at a time
        self._listed: tuple[float, dict[str, Any]] = (-FRESH, {})
        self.answers: Mapping[str, Callable[[Asked], dict[str, Any]]] = {
            "list": self.listing, "look": self.look, "details": self.details, "choices": self.choices,
            "command": self.command, "start": self.start, "stop": self.stop, "resume": self.resume,
            "forget": self.forget, "picture": self.picture,
        }  # fmt: skip

    def answer(self, request: Asked) -> dict[str, Any]:
        """The answer to `request["do"]`.

        Raises:
            Refused: whatever is wrong with the request, in one plain line or two.
        """
        do = asked.one_of(request, "do", tuple(self.answers))
        told = self.answers[do](request)
        if do in ("start", "stop", "resume", "forget"):
            self._listed = (-FRESH, {})
        return told

    # --- to look at ----------------------------------------------------------------------------

    def listing(self, request: Asked) -> dict[str, Any]:
        """All runs, the newest first: recipe, data, progress, status, best score, and what can be done."""
        with self._lock:
            if time.monotonic() - self._listed[0] < FRESH:
                return self._listed[1]
            found = self.folder.runs()
            for gone in [name for name in self._followers if name not in found]:
                del self._followers[gone]
            end = time.monotonic() + PATIENCE
            rows = [self._row(name, run, max(end - time.monotonic(), 0.0)) for name, run in found.items()]
            rows += [self._unborn(name) for name in self.trainings.names() if name not in found]
            # By when they began, which stays: two that are trained must not change places each second.
            rows.sort(key=lambda row: (row["began"] is not None, -(row["began"] or 0.0), row["run"]))
            self._listed = time.monotonic(), {"folder": str(self.folder.path), "runs": rows}
            return self._listed[1]

    def look(self, request: Asked) -> dict[str, Any]:
        """What is new of some runs: `runs`, each with its name, and the `epoch` and rows that the page has (`have`)."""
        wanted = [asked.part(each, "runs") for each in asked.several(request, "runs", TOGETHER)]
        told: list[dict[str, Any]] = []
        with self._lock:
            for each in wanted:
                name = asked.text(each, "run")
                epoch, have = asked.whole(each, "epoch", 0), asked.whole(each, "have", 0)
                run = self.folder.run(name)
                follower = self._follower(name, run)
                told.append(
                    {
                        **self._row(name, run),
                        "table": follower.table.told(epoch, have),
                        "scores": [
                            {**score, "seconds": follower.table.seconds_at(score["images"])}
                            for score in follower.scores
                        ],
                        "warnings": follower.warnings, "warned": follower.warned, "snapshots": follower.snapshots,
                    }
                )  # fmt: skip
            alike = self._alike([row["run"] for row in told])
        return {"runs": told, "alike": alike}

    def details(self, request: Asked) -> dict[str, Any]:
        """What does not change from second to second: recipe, facts, cards, evaluations, and commands."""
        name = asked.text(request, "run")
        run = self.folder.run(name)
        with self._lock:
            follower = self._follower(name, run)
            info, status = follower.info.get(), follower.status()
        try:
            measured = [each.record() for each in evaluations(run)]
        except Refused:
            measured = []
        facts = {
            key: info[key] for key in ("data", "parameters", "numerics", "versions", "host", "from") if key in info
        }
        return {
            "run": name, "recipe": recipes.dump(run.recipe()), "facts": facts, "notes": info.get("notes") or [],
            "cards": cards_of(info), "evaluations": measured, "neighbours": run.neighbours_file.is_file(),
            "commands": next_commands(run, status, classes_of(info), info.get("use")),
        }  # fmt: skip

    def picture(self, request: Asked) -> dict[str, Any]:
        """A sample grid by its clock (`images`), or the neighbours where none is given, as a data URI."""
        name = asked.text(request, "run")
        run = self.folder.run(name)
        file = run.neighbours_file
        if request.get("images") is not None:
            file = run.sample_file(asked.whole(request, "images", most=10**12 - 1))
        try:
            if run.path.resolve() not in file.resolve(strict=True).parents:
                raise FileNotFoundError
            return {"run": name, "images": request.get("images"), "picture": data_uri(file)}
        except OSError:
            raise Refused(f"{name}: has no such picture") from None

    def _follower(self, name: str, run: Run, patience: float = PATIENCE) -> Follower:
        follower = self._followers.pop(name, None) or Follower(run)
        self._followers[name] = follower  # the last one now
        while len(self._followers) > FOLLOWED:
            del self._followers[next(iter(self._followers))]
        follower.look(patience)
        return follower

    def _row(self, name: str, run: Run, patience: float = PATIENCE) -> dict[str, Any]:
        begun = self.trainings.living(name)
        row: dict[str, Any] = {"run": name, "title": name if name != "." else run.path.resolve().name, "began": None}
        try:
            follower = self._follower(name, run, patience)
            info, recipe = follower.info.get(), follower.recipe.get()
            best, status = follower.best(), follower.status()
        except GansmithError as error:
            return {**row, "status": "damaged", "told": damaged(error), "stop": begun, "resume": False}
        told = info.get("data")
        data: Mapping[str, Any] = told if isinstance(told, dict) else {}
        mine = run.trained_by() is not None or begun
        if mine and status not in ("running", "reading"):
            status = "running" if follower.reason is None else "starting"  # a resume that has not said anything yet
        total = follower.total or recipe.images
        going = status == "running"
        left = (total - follower.images) / follower.rate if going and follower.rate else None
        return {
            **row, "recipe": recipe.name, "data": data.get("name") or recipe.data.source,
            "modality": data.get("modality"), "shape": data.get("shape"), "classes": len(classes_of(info)),
            "use": info.get("use"), "images": follower.images, "total": total, "seconds": follower.seconds,
            "rate": follower.rate if going else None, "left": left, "status": status, "best": best,
            "warned": follower.warned, "snapshot": follower.snapshots[-1] if follower.snapshots else None,
            "began": follower.began or follower.written(), "written": follower.time, "models": bool(run.checkpoints()),
            "stop": mine,
            "resume": not mine and status not in (*WHOLE, "reading"),
            "said": self.trainings.said(name) if self.trainings.code(name) else "",
        }  # fmt: skip

    def _unborn(self, name: str) -> dict[str, Any]:
        """A training that was begun here, and has written nothing yet, or never will."""
        living = self.trainings.living(name)
        status = "starting" if living else "failed to start"
        return {
            "run": name, "title": name, "began": None, "status": status, "said": self.trainings.said(name),
            "stop": living, "resume": False, "unborn": True,
        }  # fmt: skip

    def _alike(self, names: list[str]) -> dict[str, list[dict[str, Any]]]:
        """By score, which runs' curves may stand in one chart: groups of cards alike, and in what the others differ."""
        cards = {name: cards_of(self._followers[name].info.get()) for name in names}
        found: dict[str, list[dict[str, Any]]] = {}
        for name in names:
            for score in dict.fromkeys(key for each in self._followers[name].scores for key in each["values"]):
                groups, card = found.setdefault(score, []), cards[name].get(score)
                fitting = [group for group in groups if card and group["card"] and not differences(group["card"], card)]
                if fitting:
                    fitting[0]["runs"].append(name)
                    continue
                unlike: list[str] = []
                if groups:
                    first = groups[0]["card"]
                    unlike = differences(first, card) if first and card else ["no card says how it was measured"]
                groups.append({"runs": [name], "card": card, "unlike": unlike})
        return found

    # --- to begin, stop and resume -------------------------------------------------------------

    def choices(self, request: Asked) -> dict[str, Any]:
        """What can be trained on what: recipes and data by name, each with a line about it."""
        shown = []
        for name in zoo.names():
            fields = recipes.read_fields(name)[0]
            shown.append(
                {"name": name, "summary": str(fields.get("summary", "")).strip(), "family": fields.get("family")}
            )
        data = [
            {"name": each.name, "modality": each.modality, "summary": each.summary, "ships": each.ships}
            for each in CATALOGUE.values()
        ]
        return {
            "recipes": shown,
            "data": data,
            "lengths": LENGTHS,
            "local": self.local,
            "folder": str(self.folder.path),
        }

    def command(self, request: Asked) -> dict[str, Any]:
        """The command that `start` would run, without running it."""
        path, words = train_words(request, self.folder, local=self.local)
        return {"run": path.name, "command": shlex.join(["gansmith", *words])}

    def start(self, request: Asked) -> dict[str, Any]:
        """Begin a training: `recipe`, `data`, `length` (`kind`, `value`), and if wanted `name`, `seed`, `fields`."""
        path, words = train_words(request, self.folder, local=self.local)
        self.trainings.begin(path.name, words)
        return {"run": path.name, "command": shlex.join(["gansmith", *words])}

    def stop(self, request: Asked) -> dict[str, Any]:
        """Have a training save and stop."""
        name = asked.text(request, "run")
        number = None if self.trainings.living(name) else self.folder.run(name).trained_by()
        self.trainings.stop(name, number)
        return {"run": name}

    def resume(self, request: Asked) -> dict[str, Any]:
        """Go on with a training that was stopped."""
        name = asked.text(request, "run")
        run = self.folder.run(name)
        if run.trained_by() is not None:
            raise Refused(f"{name}: is being trained already")
        words = ["resume", str(run.path)]
        self.trainings.begin(name, words)
        return {"run": name, "command": shlex.join(["gansmith", *words])}

    def forget(self, request: Asked) -> dict[str, Any]:
        """Forget a training that failed to start."""
        name = asked.text(request, "run")
        self.trainings.forget(name)
        return {"run": name}
