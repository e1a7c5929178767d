"""`compare providers`: the table of all rows, and one row in full."""

import json
from pathlib import Path

import yaml

from runner.providers.provider_row import ProviderRow
from runner.providers.registry import builtin
from tests.support.command import compare, write_config, write_yaml
from tests.support.scripted_server import json_reply, serve


def test_a_provider_is_shown_as_its_row_in_a_file(tmp_path: Path) -> None:
    """An alias works too.

    Notes, unconfirmed values, pages and their date are shown; parsed again, the row is the same.
    """
    shown = yaml.safe_load(compare(tmp_path, "providers", "claude").stdout)
    assert list(shown) == ["anthropic"]
    assert "https://platform.claude.com/docs/en/api/openai-sdk" in shown["anthropic"]["sources"]
    assert ProviderRow.model_validate_json(json.dumps(shown["anthropic"], default=str)) == builtin().rows["anthropic"]
    assert json.loads(compare(tmp_path, "providers", "claude", "--json").stdout)["anthropic"]["as_of"] == "2026-11-30"


def test_a_shown_row_has_no_value_of_a_header(tmp_path: Path) -> None:
    """A header may hold a secret, so only its name is shown."""
    write_config(tmp_path, acme={"base_url": "https://llm.example.com", "headers": {"X-Team": "swordfish"}})
    shown = compare(tmp_path, "providers", "acme").stdout
    assert "X-Team" in shown
    assert "swordfish" not in shown + compare(tmp_path, "providers", "acme", "--json").stdout


def test_an_unknown_provider_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    """A close name is proposed; a name and --models exclude each other."""
    unknown = compare(tmp_path, "providers", "anthropik")
    assert (unknown.returncode, "Did you mean `anthropic`?" in unknown.stderr) == (2, True)
    both = compare(tmp_path, "providers", "anthropic", "--models", "openai")
    assert (both.returncode, "Give one of them" in both.stderr) == (2, True)


def test_the_list_says_which_rows_are_only_asked_by_name(tmp_path: Path) -> None:
    """The JSON of all rows has it, with the notes, the pages and their date."""
    rows = {row["provider"]: row for row in json.loads(compare(tmp_path, "providers", "--json").stdout)}
    assert rows["huggingface"]["only_named"]
    assert not rows["deepseek"]["only_named"]
    assert rows["deepseek"]["sources"] == list(builtin().rows["deepseek"].sources)


def test_the_simulator_lists_its_models_without_a_connection(tmp_path: Path) -> None:
    """It runs only during a run; `-m sim/NAME` accepts each name."""
    listed = compare(tmp_path, "providers", "--models", "sim")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert {"quick", "steady", "thinker", "exact", "fault-html"} <= {*listed.stdout.splitlines()}


def test_a_mistyped_model_of_the_simulator_is_refused_before_sending(tmp_path: Path) -> None:
    """A close name is proposed, else the list; a wrong option is refused as well."""
    asked = compare(tmp_path, "ask", "hi", "-m", "sim/quik", "-m", "sim/zzzzzz", "-m", "sim/exact?pace=1")
    assert (asked.returncode, asked.stdout) == (2, "")
    for said in ("Did you mean `sim/quick`?", "`compare providers --models sim`", "'pace=1' is not one of"):
        assert said in " ".join(asked.stderr.split())
    assert not (tmp_path / "results").exists()


def test_the_models_of_a_suites_provider_are_listed(tmp_path: Path) -> None:
    """With --suite the rows of the suite are known, as the hint on a missing model says."""
    with serve(lambda _: json_reply("200 OK", {"data": [{"id": "house-7b", "object": "model"}]})) as server:
        row = {"base_url": server.url, "keyless": True}
        write_yaml(tmp_path / "s.yaml", {"providers": {"mine": row}, "cases": [{"id": "a", "prompt": "hi"}]})
        listed = compare(tmp_path, "providers", "--models", "mine", "--suite", "s.yaml")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "house-7b\n", "")
