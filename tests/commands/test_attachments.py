"""Runs with images, files and audio: every dialect, the plan, the journal, resumption, replay and thumbnails."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from runner.core.suite import Api
from runner.storage.attachment_files import MAX_THUMBNAIL_BYTES, read_thumbnails
from tests.support.command import compare, read_lines, read_rows, write_config, write_yaml
from tests.support.media_files import mp3, pdf, png, wav
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, serve, streamed_reply

APIS: tuple[Api, ...] = get_args(Api)
CHART = png(640, 480)
ASKED: Mapping[str, Any] = {
    "id": "chart",
    "turns": [[{"image": "chart.png", "detail": "low"}, "What is it?"], [{"file": "paper.pdf"}, {"file": "notes.txt"}]],
}
LABEL = f"[image chart.png, 640x480, {len(CHART)} B]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a suite that asks in every dialect, and its files."""
    (tmp_path / "chart.png").write_bytes(CHART)
    (tmp_path / "paper.pdf").write_bytes(pdf(3))
    (tmp_path / "notes.txt").write_text("Grüße", encoding="utf-8")
    (tmp_path / "hello.wav").write_bytes(wav(8000))
    (tmp_path / "song.mp3").write_bytes(mp3(40))
    targets = [{"provider": "sim", "models": ["quick"], "variants": {api: {"api": api} for api in APIS}}]
    defaults = {"max_tokens": 500}
    write_yaml(tmp_path / "suite.yaml", {"defaults": defaults, "targets": targets, "cases": [dict(ASKED)]})
    return tmp_path


def test_personas_describe_their_attachments_in_every_dialect(folder: Path) -> None:
    """The reply names the image's size, the file's pages and the bytes of both.

    Prompts name the attachments in every table.
    """
    done = compare(folder, "run", "suite.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr
    rows = read_rows(folder / "out")
    assert {row["variant"] for row in rows} == {*APIS}
    first = {row["reply"] for row in rows if row["turn"] == "1"}
    assert first == {f"I was shown: image (PNG, 640x480, {len(CHART)} bytes)."}
    assert {row["prompt"] for row in rows if row["turn"] == "1"} == {f"{LABEL}\nWhat is it?"}
    second = {row["variant"]: row["reply"] for row in rows if row["turn"] == "2"}
    for api, reply in second.items():
        assert f"paper.pdf (PDF, 3 pages, {len(pdf(3))} bytes)" in reply
        # The chat completions API takes no text files, so the text is sent as one.
        assert ("notes.txt (text, 7 bytes)" in reply) == (api != "chat_completions")
    assert LABEL in (folder / "out" / "results.md").read_text(encoding="utf-8")
    assert "has no detail of images, so it was not sent to sim/quick#messages" in done.stderr


def test_audio_is_sent_in_the_dialects_that_take_it(folder: Path) -> None:
    """The duration in the reply is that of the samples and of the frames."""
    case = {"id": "a", "prompt": [{"audio": "hello.wav"}, {"audio": "song.mp3"}, {"text": "What is said?"}]}
    write_yaml(folder / "suite.yaml", {"cases": [case]})
    assert compare(folder, "run", "suite.yaml", "-m", "sim/quick", "-o", "out").returncode == 0
    (row,) = read_rows(folder / "out")
    assert row["reply"] == "I was shown: audio (WAV, 1.0 s, 16056 bytes); audio (MP3, 1.0 s, 16680 bytes)."


def test_what_an_api_does_not_take_is_refused_before_anything_is_sent(folder: Path) -> None:
    """The error lists all cases and targets, each with what to do."""
    cases = [
        {"id": "sound", "prompt": [{"audio": "hello.wav"}, "What is said?"]},
        {"id": "paper", "prompt": [{"file": "https://h.example/a.pdf"}, "What is in it?"]},
    ]
    suite = yaml.safe_load((folder / "suite.yaml").read_text(encoding="utf-8"))
    write_yaml(folder / "suite.yaml", {**suite, "cases": cases})
    for command in ("run", "plan"):
        done = compare(folder, command, "suite.yaml")
        assert done.returncode == 2
        assert done.stderr.count("cannot be sent to sim/quick#") == 3
        assert "cannot be sent to sim/quick#messages: the Messages API takes no audio. Ask this target" in done.stderr
        assert "cannot be sent to sim/quick#chat_completions: the chat completions API takes no file" in done.stderr
    assert not (folder / "results").exists()


def test_the_plan_shows_the_bytes_of_attachments(folder: Path) -> None:
    """Base64 has four characters for three bytes; a later turn sends the files of earlier ones again."""

    def encoded(data: bytes) -> int:
        return len(base64.b64encode(data))

    image = encoded(CHART)
    each = image + (image + encoded(pdf(3)) + len("Grüße".encode()))
    done = compare(folder, "plan", "suite.yaml", "--repeat", "2", "--json")
    plan = json.loads(done.stdout)
    assert [target["upload_bytes"] for target in plan["targets"]] == [2 * each] * 3
    assert plan["upload_bytes"] == 6 * each
    shown = compare(folder, "plan", "suite.yaml", "--repeat", "2").stdout
    assert "Images, files and audio of all requests: " in shown
    assert "repeats included" in shown
    write_yaml(folder / "text.yaml", {"cases": [{"id": "a", "prompt": "Hi"}]})
    assert "upload" not in compare(folder, "plan", "text.yaml", "-m", "sim/quick").stdout


def test_the_journal_holds_digests_and_no_content(folder: Path) -> None:
    """The header names each attachment of each turn; neither it nor a recording has the file's bytes."""
    assert compare(folder, "run", "suite.yaml", "-o", "out", "--record").returncode == 0
    (header,) = read_lines(folder / "out", "header")
    image, (paper, notes) = header["attachments"]["chart"][0][0], header["attachments"]["chart"][1]
    assert (image["kind"], image["name"], image["size"], image["width"]) == ("image", "chart.png", len(CHART), 640)
    assert (paper["pages"], notes["media_type"]) == (3, "text/plain")
    content = base64.b64encode(CHART)
    for file in (folder / "out").iterdir():
        if file.name not in {"thumbnails.json", "report.html"}:
            assert content not in file.read_bytes()


def test_a_replay_finds_a_reply_by_the_contents_of_attachments(folder: Path) -> None:
    """The same files give the same replies in every dialect; another image is another question."""
    assert compare(folder, "run", "suite.yaml", "-o", "out", "--record").returncode == 0
    assert compare(folder, "run", "suite.yaml", "--replay", "out", "--fast", "-o", "again").returncode == 0

    def replies(name: str) -> list[tuple[str, str, str]]:
        return sorted((row["variant"], row["turn"], row["reply"]) for row in read_rows(folder / name))

    assert replies("again") == replies("out")
    (folder / "chart.png").write_bytes(png(640, 480, fill=9))
    other = compare(folder, "run", "suite.yaml", "--replay", "out", "--fast", "-o", "other")
    assert other.returncode == 3
    assert {row["error_type"] for row in read_rows(folder / "other") if row["turn"] == "1"} == {"not_recorded"}


def test_ask_takes_attachments(folder: Path) -> None:
    """They may lie outside the current folder; one that cannot be attached is named with what to do."""
    (folder / "elsewhere").mkdir()
    asked = ("ask", "What is it?", "-m", "sim/quick", "-o", "out")
    done = compare(folder / "elsewhere", *asked, "--attach", "../chart.png", "--attach", str(folder / "notes.txt"))
    assert done.returncode == 0, done.stderr
    (row,) = read_rows(folder / "elsewhere" / "out")
    assert row["prompt"] == f"{LABEL}\n[file notes.txt, 7 B]\nWhat is it?"
    assert "640x480" in row["reply"]
    assert float(row["upload_s"]) >= 0
    (folder / "photo.jpg").write_bytes(CHART)
    for name, why in (
        ("photo.jpg", "is PNG by its content, and JPEG by its name"),
        ("no.png", "there is no such file"),
    ):
        done = compare(folder, *asked, "--attach", name)
        assert (done.returncode, why in done.stderr) == (2, True)


def served(folder: Path, url: str) -> None:
    """Write a suite of one image, asked three times at a server."""
    write_config(folder, acme={"base_url": url, "keyless": True, "models": ["m"]})
    case = {"id": "chart", "prompt": [{"image": "chart.png"}, "What is it?"]}
    write_yaml(folder / "suite.yaml", {"defaults": {"repeat": 3}, "targets": ["acme"], "cases": [case]})


def test_a_file_that_changes_during_a_run_ends_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Received replies are kept, and the run can be resumed when the file is restored."""
    monkeypatch.setattr("runner.storage.attachment_files.AttachmentFiles.kept", lambda *_: None)

    def answer(request: ReceivedRequest) -> ScriptedReply:
        if request.number == 0:
            (folder / "chart.png").write_bytes(png(1, 1))
        return streamed_reply("A chart.")

    with serve(answer) as server:
        served(folder, server.url)
        done = compare(folder, "run", "suite.yaml", "-o", "out", "--concurrency", "1")
        assert done.returncode == 3, done.stderr
        assert "chart.png has changed since the run began. Put it back and resume the run" in done.stderr
        outcomes = [row["outcome"] for row in read_rows(folder / "out")]
        assert outcomes.count("ok") == 1
        assert {*outcomes} <= {"ok", "cancelled"}
        (folder / "chart.png").write_bytes(CHART)
        assert compare(folder, "run", "suite.yaml", "--resume", "out").returncode == 0
    assert [row["outcome"] for row in read_rows(folder / "out")] == ["ok"] * 3
    sent = {request.json["messages"][0]["content"][0]["image_url"]["url"] for request in server.requests}
    assert sent == {f"data:image/png;base64,{base64.b64encode(CHART).decode()}"}


def test_request_keys_depend_on_the_content_of_an_image(folder: Path) -> None:
    """Resuming with another image sends its requests again; a renamed image has the same keys."""
    with serve(streamed_reply("A chart.")) as server:
        served(folder, server.url)
        assert compare(folder, "run", "suite.yaml", "-o", "out").returncode == 0
        keys = {line["key"] for line in read_lines(folder / "out", "record")}
        (folder / "chart.png").rename(folder / "renamed.png")
        text = (folder / "suite.yaml").read_text(encoding="utf-8").replace("chart.png", "renamed.png")
        (folder / "suite.yaml").write_text(text, encoding="utf-8")
        assert compare(folder, "run", "suite.yaml", "-o", "renamed").returncode == 0
        assert {line["key"] for line in read_lines(folder / "renamed", "record")} == keys
        (folder / "renamed.png").write_bytes(png(2, 2))
        assert compare(folder, "run", "suite.yaml", "-o", "other").returncode == 0
        assert not {line["key"] for line in read_lines(folder / "other", "record")} & keys


def test_prefix_suffix_and_nonce_stand_around_the_parts(folder: Path) -> None:
    """They join the first and the last text, or become parts of their own where an attachment is first or last."""
    with serve(streamed_reply("A chart.")) as server:
        served(folder, server.url)
        suite = yaml.safe_load((folder / "suite.yaml").read_text(encoding="utf-8"))
        defaults = {"prefix": "Look. ", "suffix": " Be brief.", "cache": "bust"}
        write_yaml(folder / "suite.yaml", {**suite, "defaults": defaults})
        assert compare(folder, "run", "suite.yaml", "-o", "out").returncode == 0
    first, image, last = server.requests[0].json["messages"][0]["content"]
    assert first["text"].startswith("[")
    assert first["text"].endswith("] Look. ")
    assert (image["type"], last["text"]) == ("image_url", "What is it? Be brief.")
    (row,) = read_rows(folder / "out")
    assert row["prompt"] == f"{LABEL}\nWhat is it?"


def test_a_key_in_an_attached_text_is_refused(folder: Path) -> None:
    """The text would be sent to the provider."""
    key = "sk-" + "0123456789abcdef" * 2
    (folder / "notes.txt").write_text(f"the key is {key}", encoding="utf-8")
    done = compare(folder, "run", "suite.yaml", variables={"OPENAI_API_KEY": key})
    assert done.returncode == 2
    assert "the file notes.txt of `chart` holds the value of OPENAI_API_KEY" in done.stderr
    assert key not in done.stderr


def test_a_key_in_a_url_is_refused(folder: Path) -> None:
    """The query of a URL is sent, though no table shows it."""
    key = "sk-" + "0123456789abcdef" * 2
    case = {"id": "a", "prompt": [{"image": f"https://h.example/a.png?key={key}"}, "What is it?"]}
    write_yaml(folder / "suite.yaml", {"cases": [case]})
    done = compare(folder, "run", "suite.yaml", "-m", "sim/quick", variables={"OPENAI_API_KEY": key})
    assert done.returncode == 2
    assert "the prompt of `a` holds the value of OPENAI_API_KEY" in done.stderr


def test_small_images_are_their_own_thumbnails(folder: Path) -> None:
    """The page embeds them, and its policy allows no other images; a page without images allows none."""
    assert compare(folder, "run", "suite.yaml", "-o", "out").returncode == 0
    (thumbnail,) = read_thumbnails(folder / "out").values()
    assert (thumbnail.media_type, thumbnail.data) == ("image/png", CHART)
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count(f'<img src="{thumbnail.data_url}" alt="chart.png, 640x480"') == 1
    assert "img-src data:;" in page
    write_yaml(folder / "text.yaml", {"cases": [{"id": "a", "prompt": "Hi"}]})
    assert compare(folder, "run", "text.yaml", "-m", "sim/quick", "-o", "text").returncode == 0
    page = (folder / "text" / "report.html").read_text(encoding="utf-8")
    assert "img-src" not in page
    assert not (folder / "text" / "thumbnails.json").exists()


def test_a_large_image_is_shrunk(folder: Path) -> None:
    """Its thumbnail is small in pixels and bytes."""
    image = pytest.importorskip("PIL.Image")
    noise = image.effect_noise((1200, 900), 90)
    noise.save(folder / "chart.png")
    assert (folder / "chart.png").stat().st_size > MAX_THUMBNAIL_BYTES
    assert compare(folder, "run", "suite.yaml", "-o", "out").returncode == 0
    (thumbnail,) = read_thumbnails(folder / "out").values()
    assert thumbnail.media_type == "image/jpeg"
    assert len(thumbnail.data) <= MAX_THUMBNAIL_BYTES
    (folder / "thumb.jpg").write_bytes(thumbnail.data)
    with image.open(folder / "thumb.jpg") as small:
        assert max(small.size) == 320


def test_a_file_that_is_no_image_has_no_thumbnail(folder: Path) -> None:
    """Neither a damaged image nor a foreign file in place of a thumbnail stops the report."""
    (folder / "chart.png").write_bytes(CHART[:40] + bytes(MAX_THUMBNAIL_BYTES))
    assert compare(folder, "run", "suite.yaml", "-o", "out").returncode == 0
    assert not (folder / "out" / "thumbnails.json").exists()
    large = base64.b64encode(CHART + bytes(MAX_THUMBNAIL_BYTES)).decode()
    texts = {"a": "PHN2Zz4=", "b": 5, "c": "!", "d": large, "e": base64.b64encode(png(2, 2)).decode()}
    (folder / "out" / "thumbnails.json").write_text(json.dumps(texts), encoding="utf-8")
    assert read_thumbnails(folder / "out").keys() == {"e"}
    (folder / "out" / "thumbnails.json").write_text("[", encoding="utf-8")
    assert read_thumbnails(folder / "out") == {}
    assert compare(folder, "report", "out").returncode == 0
