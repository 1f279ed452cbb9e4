"""Requests of a measurement: complete answers are distinguished from broken ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mograder.rehearsal.load import Answer, Ask, quantile, rate, run, send, send_all
from tests.parts import Running, free_port

ASK = Ask("GET", "/")


def test_simultaneous_requests_use_separate_connections(server: Running) -> None:
    heard: list[Answer] = []
    asks = [Ask("GET", "/assignments", server.token("alice"), kind=str(number)) for number in range(20)]
    answers = run(send_all(("127.0.0.1", server.port), asks, 5, heard=heard.append))
    assert heard == answers
    assert {each.ask.kind for each in answers} == {str(number) for number in range(20)}
    assert {each.body for each in answers} == {
        server.client.get("/assignments", headers=server.bearer("alice")).content
    }
    refused = run(send(("127.0.0.1", server.port), Ask("GET", "/assignments")))
    assert (refused.status, refused.ok, refused.fault) == (401, False, "")


def test_an_unreachable_server_is_a_failure() -> None:
    answer = run(send(("127.0.0.1", free_port()), ASK))
    assert (answer.status, answer.ok) == (0, False)
    assert answer.fault


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd"])
def test_a_truncated_answer_is_a_failure(sent: bytes) -> None:
    answer = run(_answered(lambda writer: writer.write(sent)))
    assert (answer.status, answer.ok) == (0, False)
    assert "before the answer was whole" in answer.fault


async def _answered(reply: Callable[[asyncio.StreamWriter], None]) -> Answer:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reply(writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        return await send(server.sockets[0].getsockname(), ASK)


def test_percentiles_and_rates_are_computed() -> None:
    answers = [Answer(ASK, number / 10, 0.1, 200, b"") for number in range(100)]
    slow = Answer(ASK, 0, 2.0, 200, b"")
    assert rate(answers) == pytest.approx(10)
    assert (quantile([*answers, slow], 0.5), quantile([*answers, slow], 0.999)) == (0.1, 2.0)
    assert (quantile([], 0.5), rate([])) == (0, 0)
