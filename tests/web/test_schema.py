"""Every operation of the API, asked with what its schema allows and with what it does not, by schemathesis."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

OPERATIONS = [
    ("/api/solve", "POST"),
    ("/api/name", "POST"),
    ("/api/overlay", "POST"),
    ("/api/status", "GET"),
    ("/api/runs", "GET"),
    ("/api/runs/{name}", "GET"),
]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture
def schema(make_client):
    return schemathesis.openapi.from_asgi("/openapi.json", make_client().app)


def test_all_operations_are_asked(schema):
    described = [(found.ok().path, found.ok().method.upper()) for found in schema.get_all_operations()]
    assert sorted(described) == sorted(OPERATIONS)


# Any text may be the name of a run, so that only what has a body can be asked wrongly.
@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS]
    + [(*operation, GenerationMode.NEGATIVE) for operation in OPERATIONS[:3]],
)
def test_the_api_keeps_to_its_schema(schema, path, method, mode):
    @settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(checks=CHECKS)

    ask()
