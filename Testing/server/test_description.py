"""The server does what its OpenAPI description says, whatever is sent: schemathesis tries."""

from __future__ import annotations

import contextlib

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from server_process import TOKENS, opened, user
from worker_client import small_chest

HEADERS = {"Authorization": f"Bearer {TOKENS[0]}"}


@pytest.fixture(scope="session")
def description(server):
    # That the bytes of a volume are a scan is more than OpenAPI can say.
    settings = {
        # The token is always there: what comes without one, the other tests look at.
        "generation": {"with-security-parameters": False},
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["2xx", 400, 401, 404, 409, 503]}
        },
    }
    config = SchemathesisConfig.from_dict(settings)
    return schemathesis.openapi.from_url(
        f"{server.url}/openapi.json", headers=HEADERS, config=config
    )


@pytest.fixture(scope="module")
def volume(server):
    with user(server) as client:
        return opened(client, small_chest())


def tried(operation, mode: GenerationMode, volume: str, examples: int) -> int:
    """Send a route what the description allows, or what it does not; how much was sent."""
    sent = 0

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def send(case):
        nonlocal sent
        sent += 1
        if case.path_parameters and mode == GenerationMode.POSITIVE and case.method != "DELETE":
            # About a volume that is there, for what is wrong with the rest to be found.
            case.path_parameters["id"] = volume
        case.call_and_validate(headers=HEADERS)

    with contextlib.suppress(hypothesis.errors.Unsatisfiable):
        # Some routes take nothing that could be wrong.
        send()
    return sent


def test_what_is_sent_is_answered_as_described(description, volume):
    sent = [
        tried(found.ok(), mode, volume, examples=15)
        for found in description.get_all_operations()
        for mode in GenerationMode
    ]
    assert sum(sent) > 100
