"""Fuzzes on the machines of a Ray cluster. Exit status: 0 nothing new, 1 new findings, 2 a shard did not come to its end."""

from __future__ import annotations

import argparse
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fuzz.campaign.corpus import CorpusError
from fuzz.campaign.profile import DEFAULT, PROFILES
from fuzz.commands.console import duration, positive, say
from fuzz.commands.merge import merged
from fuzz.distributed import MAX_SEED
from fuzz.fleet.cluster import Cluster, ClusterError
from fuzz.fleet.fleet import Fleet, absent
from fuzz.fleet.order import Inputs
from fuzz.fleet.plan import Plan, Surroundings
from fuzz.fleet.shard import Shard, parse_shards
from fuzz.fleet.stop import asked_to_stop
from fuzz.triage.known import KnownIssuesError

PROJECT: Final = Path(__file__).resolve().parents[2]

ATTEMPTS: Final = 3
"""How often a shard is tried: nodes that others may take back are lost now and then, one that is lost three times has a reason."""

OWN: Final = {
    "--fuzz-device": "--shards",
    "--fuzz-budget": "--budget",
    "--fuzz-profile": "--profile",
    "--fuzz-seed": "--seed",
    "--reports-dir": "--into",
    "--known-issues": "--known-issues before --",
    "--corpus": "--corpus before --",
}
"""Options of pytest that this command gives each shard, and what to write in their place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user asked for, checked."""

    address: str
    shards: tuple[Shard, ...]
    plan: Plan
    into: Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `fleet`."""
    parser = commands.add_parser(
        "fleet",
        help="fuzz on the machines of a Ray cluster",
        description="Fuzz on the machines of a Ray cluster: shards with seeds of their own, one report of all. Options of pytest "
        "and of the fuzzer for each shard follow after --. "
        "Exit status: 0 nothing new, 1 new findings, 2 bad usage, Ctrl-C, or a shard that did not come to its end.",
    )
    parser.add_argument("--address", required=True, help="HOST:PORT, auto or ray://HOST:PORT of a cluster; local starts one here")
    parser.add_argument("--shards", required=True, type=_shards, metavar="KIND=N,...", help="H200=2,T4=4: a GPU each; CPU=2: on CPUs")
    parser.add_argument("--into", required=True, type=Path, metavar="DIR", help="where the report goes: a new or an empty folder")
    parser.add_argument("--budget", type=duration, metavar="TIME", help="time of each shard: 10m, 2h (default: the profile's)")
    parser.add_argument("--profile", choices=tuple(PROFILES), default=DEFAULT, help="as --fuzz-profile of a run (default: default)")
    parser.add_argument("--seed", type=int, metavar="N", help="the shards' seeds come from it (default: a new one each time)")
    parser.add_argument(
        "--attempts", type=positive, default=ATTEMPTS, metavar="N", help="how often a shard is tried at most (default: %(default)s)"
    )
    parser.add_argument(
        "--known-issues", type=Path, default=PROJECT / "fuzz" / "known_issues.toml", metavar="FILE", help="defects that do not fail a run"
    )
    parser.add_argument("--corpus", type=Path, default=PROJECT / "fuzz" / "corpus", metavar="DIR", help="Cases that are run first")
    parser.add_argument("arguments", nargs="*", metavar="OPTION", help="options of each shard's pytest, after --")
    parser.set_defaults(run=run)


def _shards(text: str) -> tuple[Shard, ...]:
    try:
        return parse_shards(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(options: argparse.Namespace) -> int:
    """Run the fleet, say what comes of it, and return the exit status."""
    try:
        wanted = checked(options)
        from fuzz.fleet.on_ray import connected  # noqa: PLC0415 - an optional dependency
    except ModuleNotFoundError as error:
        say(f"could not start: {error.name} is not installed; pip install ray", error=True)
        return 2
    except (ValueError, KnownIssuesError, CorpusError) as error:
        say(f"could not start: {error}", error=True)
        return 2
    try:
        with connected(wanted.address) as cluster:
            return fleet(wanted, cluster)
    except ClusterError as error:
        say(f"could not start: {error}", error=True)
    except KeyboardInterrupt:
        say("interrupted before the shards were placed", error=True)
    return 2


def checked(options: argparse.Namespace) -> Wanted:
    """What was asked for.

    Raises:
        ValueError: it cannot be used, in one sentence; `KnownIssuesError` and `CorpusError` are such errors.
    """
    for argument in options.arguments:
        name = argument.partition("=")[0]
        if name in OWN:
            raise ValueError(f"{name} is not for the shards; write {OWN[name]}")
    into: Path = options.into
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise ValueError(f"{into} is not an empty folder; a fleet writes to a new one")
    profile: str = options.profile
    plan = Plan(
        seed=secrets.randbelow(MAX_SEED) if options.seed is None else options.seed,
        budget=PROFILES[profile].budget if options.budget is None else options.budget,
        attempts=options.attempts,
        inputs=Inputs.packed(options.known_issues, options.corpus),
        arguments=("--fuzz-profile", profile, *options.arguments),
    )
    return Wanted(address=options.address, shards=options.shards, plan=plan, into=into)


def fleet(wanted: Wanted, cluster: Cluster) -> int:
    """Run the shards on a cluster, merge what comes back, and return the exit status.

    Raises:
        ClusterError: the cluster does not answer at all.
    """
    if sentence := absent(wanted.shards, cluster):
        say(f"could not start: {sentence}", error=True)
        return 2
    plan = wanted.plan
    names = " ".join(shard.name for shard in wanted.shards)
    say(f"fleet: {names}; budget {plan.budget:g} s each, seed {plan.seed}, reports in {wanted.into}")
    with asked_to_stop() as stopping:
        ships = Fleet(Surroundings(cluster=cluster, into=wanted.into / "shards", tell=say), stopping)
        whole = _ran(ships, wanted) and not stopping()
        return _merged(ships, wanted.into, whole=whole)


def _ran(ships: Fleet, wanted: Wanted) -> bool:
    """Whether all shards came to their end; what goes wrong is said, and costs nothing that came back."""
    try:
        ships.run(wanted.shards, wanted.plan)
    except KeyboardInterrupt:
        say("interrupted again: the shards are cut off", error=True)
    except ClusterError as error:
        say(f"could not go on: {error}", error=True)
    except OSError as error:
        say(f"could not go on: cannot write {error.filename or wanted.into}: {error.strerror}", error=True)
    return not ships.failed


def _merged(ships: Fleet, into: Path, *, whole: bool) -> int:
    if not ships.roots:
        say("nothing came back", error=True)
        return 2
    result = merged(ships.roots, into)
    if result is None or not whole:
        return 2
    return 1 if ships.red or result.record.findings else 0
