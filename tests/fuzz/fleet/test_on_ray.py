"""What is made of Ray's answers. A real cluster is in `tests/end_to_end/test_fleet.py`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed")

from ray.exceptions import ActorDiedError, ActorUnavailableError

from fuzz.fleet import on_ray
from fuzz.fleet.cluster import ClusterError, LostError
from fuzz.fleet.on_ray import OnRay, PlacedOnRay
from tests.fuzz.fleet.fake import sent


class Method:
    """A method of an actor: each call is noted, and its reference is what will come of it."""

    def __init__(self, name: str, calls: list[str], answers: list[Any]) -> None:
        self._name, self._calls, self._answers = name, calls, answers

    def remote(self, **arguments: Any) -> list[Any]:
        self._calls.append(f"{self._name} {arguments}" if arguments else self._name)
        return [self._answers.pop(0)] if self._answers else []


class Actor:
    """An actor with these answers to `news`; after the last one it does not answer."""

    def __init__(self, *answers: Any) -> None:
        self.calls: list[str] = []
        self.news = Method("news", self.calls, list(answers))
        self.interrupt = Method("interrupt", self.calls, [None])
        self.close = Method("close", self.calls, [None])


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(references: list[list[Any]], timeout: float) -> tuple[list[list[Any]], list[list[Any]]]:  # noqa: ARG001
        return [one for one in references if one], [one for one in references if not one]

    def get(reference: list[Any]) -> Any:
        if isinstance(reference[0], Exception):
            raise reference[0]
        return reference[0]

    monkeypatch.setattr("ray.wait", wait)
    monkeypatch.setattr("ray.get", get)
    monkeypatch.setattr("ray.kill", lambda actor: actor.calls.append("kill"))


def test_there_is_always_one_question() -> None:
    actor = Actor(sent(), sent(status=0))
    placed = PlacedOnRay(actor)
    assert [placed.news(), placed.news(), placed.news()] == [sent(), sent(status=0), None]
    assert actor.calls == ["news"] * 3


def test_an_answer_that_was_lost_on_its_way_is_asked_for_again_with_everything() -> None:
    actor = Actor(sent(), ActorUnavailableError("no route", None), sent(status=0))
    placed = PlacedOnRay(actor)
    assert [placed.news(), placed.news(), placed.news()] == [sent(), None, sent(status=0)]
    assert actor.calls == ["news", "news", "news {'whole': True}", "news"]


def test_an_actor_that_died_is_lost() -> None:
    with pytest.raises(LostError, match=r"^The actor died"):
        PlacedOnRay(Actor(ActorDiedError())).news()


def test_a_shard_removes_what_it_has_written_before_its_process_is_killed() -> None:
    actor = Actor(sent())
    placed = PlacedOnRay(actor)
    placed.news()
    placed.close()
    assert actor.calls[-2:] == ["close", "kill"]


def test_a_shard_without_a_place_is_not_waited_for() -> None:
    actor = Actor()
    PlacedOnRay(actor).close()
    assert actor.calls == ["news", "kill"]


def node(*, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {name.replace("__", ":"): count for name, count in resources.items()}}


@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        ([], {}),
        ([node(CPU=0.0, memory=1e9)], {}),
        ([node(CPU=16.0)], {"CPU": 16}),
        ([node(CPU=16.0, GPU=8.0, accelerator_type__H200=1.0)] * 2, {"CPU": 32, "H200": 16}),
        ([node(CPU=1.0, GPU=1.0, accelerator_type__T4=1.0), node(alive=False, GPU=8.0, accelerator_type__H200=1.0)], {"CPU": 1, "T4": 1}),
    ],
)
def test_what_nodes_have(monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, Any]], kinds: dict[str, int]) -> None:
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    assert OnRay().kinds() == kinds


@pytest.mark.parametrize("call", [OnRay().kinds, lambda: on_ray.connected("auto").__enter__()])
def test_a_cluster_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("\n no way\nto get there")

    monkeypatch.setattr("ray.nodes", fail)
    monkeypatch.setattr("ray.init", fail)
    with pytest.raises(ClusterError, match=r"^[^\n]+: no way$"):
        call()


def test_an_address_at_which_nobody_listens_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would try for minutes."""
    monkeypatch.setattr("ray.init", lambda *_, **__: pytest.fail("Ray was asked"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"^no Ray cluster at '{address}' can be used: .*refused"), on_ray.connected(address):
            pytest.fail("it is connected")
