"""Servers that misbehave: each behaviour gives one row with its outcome, and affects no later request."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from runner.core.events import Channel, Outcome
from runner.providers.endpoint import Endpoint
from runner.providers.provider_row import ProviderRow
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client
from tests.support.certificate import make_certificate, server_context
from tests.support.command import compare, read_lines, write_config, write_yaml
from tests.support.misbehaving_server import BEHAVIOURS, GROUPS, LIMIT, PATIENT, Address, Behaviour, answer
from tests.support.scripted_server import serve

MATES = ("one", "two", "three")
"""Prompts of the requests that follow each misbehaviour over the same client; their replies repeat them."""

TOGETHER = 12
"""Behaviours that are tried at the same time."""

Addresses = dict[Address, str]


@contextmanager
def serve_raw(answer: bytes | None) -> Iterator[int]:
    """Run a server that sends bytes to each client, or never anything; yield its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:

        def accept_all() -> None:
            held = []
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    held.append(connection)
                    if answer is not None:
                        connection.recv(65536)
                        connection.sendall(answer)
                        connection.close()

        threading.Thread(target=accept_all, daemon=True).start()
        yield listener.getsockname()[1]


@contextmanager
def serve_all(folder: Path) -> Iterator[Addresses]:
    """Run one server of each kind; yield their base URLs. `SSL_CERT_FILE` names the trusted certificate."""
    (folder / "trusted").mkdir()
    (folder / "unknown").mkdir()
    trusted, unknown = make_certificate(folder / "trusted"), make_certificate(folder / "unknown")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(trusted))
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        plain = stack.enter_context(serve(answer))
        tls = stack.enter_context(serve(answer, server_context(trusted)))
        stranger = stack.enter_context(serve(answer, server_context(unknown)))
        garbage = stack.enter_context(serve_raw(b"\x15\x03\x01 what? " * 9))
        simple = stack.enter_context(serve_raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
        silent = stack.enter_context(serve_raw(None))
        yield {
            "plain": plain.url,
            "tls": tls.url,
            "tls-untrusted": stranger.url,
            "tls-other-name": tls.url.replace("127.0.0.1", "localhost"),
            "tls-to-plain": f"https://127.0.0.1:{simple}/v1",
            "tls-garbage": f"https://127.0.0.1:{garbage}/v1",
            "tls-silent": f"https://127.0.0.1:{silent}/v1",
        }


def url_of(behaviour: Behaviour, addresses: Addresses) -> str:
    """Return the base URL that a behaviour is found at."""
    return addresses.get(behaviour.at, behaviour.at)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class Observed:
    """The result of a behaviour: its attempt, and the replies to later requests of the same client."""

    attempt: Attempt
    mates: tuple[str | None, ...]


async def observe_all(addresses: Addresses) -> dict[str, Observed]:
    """Try every behaviour with its own client, followed by requests that are answered properly."""
    observed: dict[str, Observed] = {}
    places = anyio.Semaphore(TOGETHER)

    async def observe(name: str, behaviour: Behaviour) -> None:
        async with places:
            client = Client(
                Endpoint("acme", url_of(behaviour, addresses), None, ProviderRow()), behaviour.timeouts.connect
            )
            try:
                attempt = await ask(client, name, "hello", behaviour)
                await anyio.sleep(behaviour.settle_s)
                # No requests follow those to an unreachable server.
                mates = MATES if behaviour.at in {"plain", "tls"} else ()
                replies = [await ask(client, "good", prompt) for prompt in mates]
            finally:
                await client.aclose()
        observed[name] = Observed(attempt, tuple(reply.fold.text(Channel.ANSWER) for reply in replies))

    async with anyio.create_task_group() as tasks:
        for name, behaviour in BEHAVIOURS.items():
            tasks.start_soon(observe, name, behaviour)
    return observed


async def ask(client: Client, model: str, prompt: str, behaviour: Behaviour | None = None) -> Attempt:
    """Send one request; return the attempt."""
    attempt, timeouts = Attempt(), behaviour.timeouts if behaviour else PATIENT
    messages = [{"role": "user", "content": prompt}]
    with anyio.fail_after(60):
        await client.ask(AttemptRequest(model, messages, {"stream": True}, timeouts, LIMIT), attempt)
    return attempt


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Run the servers for all tests."""
    with serve_all(tmp_path_factory.mktemp("tls")) as found:
        yield found


@pytest.fixture(scope="module")
def observed(addresses: Addresses) -> dict[str, Observed]:
    """Try every behaviour once, through the real transport."""
    return anyio.run(observe_all, addresses, backend_options={"use_uvloop": True})


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_each_behaviour_of_a_server_ends_as_one_row(name: str, observed: dict[str, Observed]) -> None:
    """The row has the outcome, the text so far, the plausible counts, and the requested wait."""
    expected, fold = BEHAVIOURS[name], observed[name].attempt.fold
    failed = fold.failed
    assert (fold.outcome(), failed and failed.error_type) == (expected.outcome, expected.error_type), failed
    reply = fold.text(Channel.ANSWER)
    assert expected.reply(reply or "") if callable(expected.reply) else reply == expected.reply
    assert set(expected.flags) <= set(fold.notes)
    if expected.tokens is not None:
        usage = fold.usage
        assert (usage and usage.input_tokens, usage and usage.output_tokens) == expected.tokens
    if failed is not None and failed.outcome is Outcome.RATE_LIMITED:
        wait_s = failed.retry_after_s
        assert wait_s is None if expected.retry_after_s is None else expected.retry_after_s(wait_s or 0)


@pytest.mark.parametrize("name", [name for name, each in BEHAVIOURS.items() if each.at in {"plain", "tls"}])
def test_requests_after_a_misbehaviour_get_their_own_replies(name: str, observed: dict[str, Observed]) -> None:
    """No byte of a bad response reaches a later one of the same client, and none of them fails."""
    assert observed[name].mates == MATES


def test_there_are_behaviours_of_every_kind() -> None:
    """There are more than 60."""
    assert len(BEHAVIOURS) == sum(map(len, GROUPS.values())) >= 60
    assert all(len(group) >= 5 for group in GROUPS.values())


LASTING = [name for name, each in BEHAVIOURS.items() if not each.retried]
"""Behaviours that a run meets once, so that it waits for no second attempt."""

OF_EACH_KIND = [next(name for name in group if name in LASTING) for group in GROUPS.values()]


@pytest.mark.parametrize(
    "names", [OF_EACH_KIND, pytest.param(LASTING, marks=pytest.mark.thorough)], ids=["of-each-kind", "all"]
)
def test_a_run_over_misbehaviours_ends_with_every_row(names: list[str], addresses: Addresses, tmp_path: Path) -> None:
    """Each behaviour has its row, and every table is written."""
    rows, targets = {}, []
    for number, name in enumerate(names):
        url, timeouts = url_of(BEHAVIOURS[name], addresses), BEHAVIOURS[name].timeouts
        rows[f"p{number}"] = {"base_url": url, "keyless": True, "models": [name]}
        parts = {part: getattr(timeouts, part) for part in ("connect", "first_token", "idle", "total")}
        targets.append({"provider": f"p{number}", "models": [name], "timeouts": parts})
    write_config(tmp_path, **rows)
    suite = {"defaults": {"reply_limit": f"{LIMIT}"}, "targets": targets, "cases": [{"id": "a", "prompt": "hello"}]}
    write_yaml(tmp_path / "suite.yaml", suite)
    hosts = sorted({url.split("/")[2] for url in (row["base_url"] for row in rows.values())})  # type: ignore[attr-defined]
    allowed = [option for host in hosts for option in ("--allow-host", host)]
    variables = {"SSL_CERT_FILE": os.environ["SSL_CERT_FILE"]}
    done = compare(tmp_path, "run", "suite.yaml", "-y", "-o", "out", *allowed, variables=variables)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    outcomes = {line["model"]: line["outcome"] for line in read_lines(tmp_path / "out", "record")}
    assert outcomes == {name: BEHAVIOURS[name].outcome.value for name in names}
    assert {"results.csv", "results.md", "report.html"} <= {path.name for path in (tmp_path / "out").iterdir()}
