"""A started executor on the GPU. Without a usable GPU these tests are skipped, and say why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fuzz.engine.executor import Executor, HarnessError


@pytest.fixture(scope="session")
def cuda() -> Iterator[Executor]:
    """An executor on the GPU."""
    executor = Executor("cuda")
    try:
        executor.start()
    except HarnessError as error:
        executor.close()
        pytest.skip(str(error))
    with executor:
        yield executor
