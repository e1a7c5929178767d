"""Images, files and audio in a suite: what is read, what is refused, and what the suite's digest depends on."""

from pathlib import Path
from typing import Any

import pytest

from runner.core.attachment_parts import Attachment
from runner.core.suite import Case, Suite
from runner.errors import InvalidFile
from runner.suite import attachments
from runner.suite.from_python_data import suite_from_data
from runner.suite.load import load
from tests.support.command import write_yaml
from tests.support.media_files import gif, jpeg, mp3, pdf, png, wav

CHART = png(640, 480)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a file of each kind."""
    (tmp_path / "pictures").mkdir()
    files = {"chart.png": CHART, "pictures/a.gif": gif(2, 3), "photo.JPG": jpeg(4, 5), "paper.pdf": pdf(2)}
    files |= {"notes.md": b"# Notes\n", "hello.wav": wav(8000), "song.mp3": mp3(4)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def suite_of(folder: Path, prompt: Any, **more: Any) -> Suite:
    """Return a suite with one case in a folder."""
    path = write_yaml(folder / "suite.yaml", {"cases": [{"id": "a", "prompt": prompt, **more}]})
    return load(path, ())[0]


def case_of(folder: Path, prompt: Any, **more: Any) -> Case:
    """Return the case that a prompt makes."""
    return suite_of(folder, prompt, **more).cases[0]


def problems_of(folder: Path, prompt: Any, **more: Any) -> list[str]:
    """Return the problems of a prompt."""
    with pytest.raises(InvalidFile) as caught:
        suite_of(folder, prompt, **more)
    return [f"{problem.what}. {problem.hint}" for problem in caught.value.problems]


def test_a_prompt_is_a_list_of_texts_and_attachments(folder: Path) -> None:
    """Tables show them line by line; each attachment has its file's digest, type and size."""
    names = ["chart.png", "pictures/a.gif", "photo.JPG"]
    prompt = [*({"image": name} for name in names), {"file": "paper.pdf"}, {"file": "notes.md"}, "Compare."]
    case = case_of(folder, [*prompt, {"audio": "hello.wav"}, {"audio": "song.mp3"}])
    assert case.turns[0].split("\n") == [
        f"[image chart.png, 640x480, {len(CHART)} B]",
        "[image pictures/a.gif, 2x3, 14 B]",
        f"[image photo.JPG, 4x5, {len(jpeg(4, 5))} B]",
        f"[file paper.pdf, 2 pages, {len(pdf(2))} B]",
        "[file notes.md, 8 B]",
        "Compare.",
        "[audio hello.wav, 1.0 s, 16 kB]",
        "[audio song.mp3, 0.1 s, 2 kB]",
    ]
    types = [each.media_type for each in case.attachments]
    assert types == ["image/png", "image/gif", "image/jpeg", "application/pdf", "text/plain", "audio/wav", "audio/mpeg"]
    assert case.parts_of(1)[5] == "Compare."
    assert {Path(each.path or "").parent for each in case.attachments} <= {folder, folder / "pictures"}


def test_turns_and_a_history_have_attachments_too(folder: Path) -> None:
    """A turn of text alone has no parts."""
    path = write_yaml(
        folder / "suite.yaml",
        {
            "cases": [
                {"id": "turns", "turns": ["Hello", [{"image": "chart.png"}, "What is it?"]]},
                {
                    "id": "history",
                    "messages": [
                        {"role": "user", "content": [{"image": "chart.png"}, {"text": "What is it?"}]},
                        {"role": "assistant", "content": [{"text": "A chart."}]},
                        {"role": "user", "content": "Really?"},
                    ],
                },
            ]
        },
    )
    turns, history = load(path, ())[0].cases
    assert turns.parts == ((), (turns.attachments[0], "What is it?"))
    assert history.parts == ()
    assert history.turns == ("Really?",)
    assert [message.parts[1:] for message in history.history] == [("What is it?",), ()]
    assert history.history[1].content == "A chart."


def test_attachments_of_other_roles_than_the_user_are_refused(folder: Path) -> None:
    """No API takes an image from the assistant or the system."""
    messages = [
        {"role": "system", "content": [{"image": "chart.png"}, {"text": "Be brief."}]},
        {"role": "user", "content": "Hi"},
    ]
    path = write_yaml(folder / "suite.yaml", {"cases": [{"id": "a", "messages": messages}]})
    with pytest.raises(InvalidFile, match="this message of the system has an image, a file or audio, which only"):
        load(path, ())


def test_texts_and_names_are_templates(folder: Path) -> None:
    """A matrix can send the same prompt with several images, in a case each."""
    prompt = [{"image": "{{name}}"}, {"text": "Is it {{colour}}?"}]
    path = write_yaml(
        folder / "suite.yaml",
        {
            "cases": [
                {"id": "a", "prompt": prompt, "vars": {"colour": "red"}, "matrix": {"name": ["chart.png", "photo.JPG"]}}
            ]
        },
    )
    suite = load(path, ())[0]
    assert [case.attachments[0].name for case in suite.cases] == ["chart.png", "photo.JPG"]
    assert [case.parts_of(1)[1] for case in suite.cases] == ["Is it red?"] * 2


def test_everything_wrong_with_attachments_is_reported_at_once(folder: Path) -> None:
    """Each problem says what is wrong with which file, and what to do."""
    (folder / "empty.png").touch()
    (folder / "page.png").write_bytes(b"<html>404</html>")
    (folder / "photo.png").write_bytes(jpeg(4, 5))
    (folder / "secret.txt").write_bytes(b"-----BEGIN RSA PRIVATE KEY-----\n")
    (folder / "other.bin").write_bytes(bytes(range(256)))
    (folder.parent / "outside.png").write_bytes(CHART)
    prompt = [
        {"image": "chrat.png"},
        {"image": "../outside.png"},
        {"image": "empty.png"},
        {"image": "page.png"},
        {"image": "photo.png"},
        {"audio": "chart.png"},
        {"file": "secret.txt"},
        {"file": "other.bin"},
        {"file": ".env"},
        {"image": "file:///etc/passwd"},
        {"image": "data:image/png;base64,AAAA"},
        {"image": "https://user:pass@host/a.png"},
        {"image": "https://"},
        {"image": "a\u202egnp.png"},
        {"image": "pictures"},
    ]
    assert problems_of(folder, prompt) == [
        "`chrat.png`: there is no such file. Did you mean `" + str(folder / "chart.png") + "`?",
        "`../outside.png` lies outside the suite's folder. Move it beside the suite, or into a folder there",
        "`empty.png` is empty. Name another",
        (
            "`page.png` is text by its content, and no PNG, JPEG, GIF or WebP. "
            "Name a PNG, JPEG, GIF or WebP file, or write it as `file:`"
        ),
        "`photo.png` is JPEG by its content, and PNG by its name. Rename it, or convert it",
        "`chart.png` is PNG by its content, and no WAV or MP3. Name a WAV or MP3 file, or write it as `image:`",
        "`secret.txt` holds a private key. Take it out; the file would be sent",
        "`other.bin` is of no known type, or damaged, and no PDF or text. Name a PDF or text file",
        "`.env` is a file that holds keys, by its name. Name another; its text would be sent",
        *[
            (
                "this image is neither a file nor a URL that begins with http:// or https://. "
                "Save it beside the suite and write its name"
            )
        ]
        * 2,
        "the URL of this image holds a user's name or password. Save the file beside the suite",
        (
            "this image is neither a file nor a URL that begins with http:// or https://. "
            "Save it beside the suite and write its name"
        ),
        "the name of this image has characters that cannot be seen. Write it without them",
        "`pictures` is not a file. Name a file",
    ]


def test_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    """Someone else's suite must not send the user's own files."""
    (folder.parent / "own.png").write_bytes(CHART)
    (folder / "link.png").symlink_to(folder.parent / "own.png")
    assert "lies outside the suite's folder" in problems_of(folder, [{"image": "link.png"}])[0]


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"image": "chart.png", "text": "x"}, "this part has `text` and `image`"),
        ({"detail": "low"}, "this part says nothing"),
        ({"text": "x", "detail": "low"}, "`detail` is about an image"),
        ({"image": "chart.png", "detail": "all"}, "`detail` is the text `all`. Write low, high or auto"),
        ({"imgae": "chart.png"}, "Did you mean `image`?"),
    ],
)
def test_a_part_is_a_text_or_one_attachment(folder: Path, part: Any, problem: str) -> None:
    """A part with two members, or none, and `detail` of a text are refused."""
    assert problem in problems_of(folder, [part, {"image": "chart.png"}])[0]


def test_sizes_are_limited_for_each_file_and_for_a_request(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is not read beyond its limit."""
    monkeypatch.setattr(attachments, "MAX_ATTACHMENT_BYTES", {"image": 1 << 20, "file": 1 << 20, "audio": 1 << 20})
    (folder / "large.png").write_bytes(CHART + bytes(1 << 20))
    assert problems_of(folder, [{"image": "large.png"}]) == [
        "`large.png`: the file is larger than 1 MiB. Make the image smaller"
    ]
    monkeypatch.setattr("runner.suite.messages.MAX_ATTACHED_BYTES", len(CHART) * 2)
    assert case_of(folder, [{"image": "chart.png"}, {"image": "chart.png"}]).attachments
    assert "sent in one request" in problems_of(folder, [{"image": "chart.png"}] * 3)[0]


def test_a_url_is_passed_on_and_shown_without_its_query(folder: Path) -> None:
    """A signature in a query is a secret."""
    case = case_of(folder, [{"image": "https://host/a/b.png?sig=secret#x", "detail": "high"}, "What?"])
    url = "https://host/a/b.png?sig=secret#x"
    assert case.attachments == (Attachment("image", "https://host/a/b.png", url=url, detail="high"),)
    assert "secret" not in case.turns[0]


def test_the_digest_depends_on_content_alone(folder: Path) -> None:
    """The path and name of an image do not change the digest; one other byte does."""
    first = suite_of(folder, [{"image": "chart.png"}, "What?"])
    (folder / "moved.png").write_bytes(CHART)
    assert suite_of(folder, [{"image": "moved.png"}, "What?"]).digest == first.digest
    (folder / "moved.png").write_bytes(png(640, 480, fill=1))
    assert suite_of(folder, [{"image": "moved.png"}, "What?"]).digest != first.digest
    assert suite_of(folder, [{"image": "chart.png", "detail": "low"}, "What?"]).digest != first.digest
    assert suite_of(folder, [{"image": "chart.png"}, "Why?"]).digest != first.digest


def test_attached_files_are_files_of_the_suite(folder: Path) -> None:
    """No output may replace them."""
    assert str(folder / "chart.png") in suite_of(folder, [{"image": "chart.png"}, "What?"]).files


def test_rows_of_a_file_have_a_column_of_paths(folder: Path) -> None:
    """The image stands before the text; a row without an image is a text."""
    (folder / "rows.csv").write_text("id,prompt,image\na,What?,chart.png\nb,Hello,\n", encoding="utf-8")
    path = write_yaml(folder / "suite.yaml", {"cases_from": "rows.csv"})
    with_image, without = load(path, ())[0].cases
    assert with_image.turns == (f"[image chart.png, 640x480, {len(CHART)} B]\nWhat?",)
    assert (without.turns, without.parts) == (("Hello",), ())


def test_a_suite_names_the_columns_of_paths(folder: Path) -> None:
    """A data set's columns need not be renamed."""
    rows = '{"q": "What?", "picture": "chart.png", "paper": "paper.pdf", "sound": ["hello.wav", "song.mp3"]}\n'
    (folder / "rows.jsonl").write_text(rows, encoding="utf-8")
    named = {"file": "rows.jsonl", "prompt": "q", "image": "picture", "attached_file": "paper", "audio": "sound"}
    case = load(write_yaml(folder / "suite.yaml", {"cases_from": named}), ())[0].cases[0]
    assert [each.name for each in case.attachments] == ["chart.png", "paper.pdf", "hello.wav", "song.mp3"]
    write_yaml(folder / "suite.yaml", {"cases_from": {**named, "image": "image"}})
    with pytest.raises(InvalidFile, match="there is no `image` here"):
        load(folder / "suite.yaml", ())


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ('{"id": "x", "prompt": [{"image": "chart.png"}, "What?"], "checks": {"contains": "x"}}', ["chart.png"]),
        ('{"question": "What?", "images": ["chart.png", "photo.JPG"]}', ["chart.png", "photo.JPG"]),
        (
            (
                '{"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, '
                '{"type": "image_url", "image_url": {"url": "https://h/a.png", "detail": "low"}}]}]}'
            ),
            ["https://h/a.png"],
        ),
    ],
)
def test_rows_of_other_forms_have_attachments(folder: Path, row: str, names: list[str]) -> None:
    """A suite's own parts, a list of paths, and OpenAI's messages with an image URL are read."""
    (folder / "rows.jsonl").write_text(row, encoding="utf-8")
    case = load(write_yaml(folder / "suite.yaml", {"cases_from": "rows.jsonl"}), ())[0].cases[0]
    assert [each.name for each in case.attachments] == names
    assert "What?" in case.turns[0]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('{"question": "What?", "image": {"bytes": "AAAA"}}', "`image` is no name of a file"),
        (
            (
                '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, '
                '{"role": "user", "content": "c"}], "images": ["chart.png"]}'
            ),
            "asks by `messages`",
        ),
        (
            '{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]}',
            "has a part of another kind, image_url",
        ),
        ('{"id": "x", "prompt_file": "notes.md", "image": "chart.png"}', "asks by `prompt_file`"),
    ],
)
def test_rows_that_cannot_be_attached_are_refused(folder: Path, row: str, problem: str) -> None:
    """Bytes inside a row, and an image beside a `prompt_file`, are refused."""
    (folder / "rows.jsonl").write_text(row, encoding="utf-8")
    path = write_yaml(folder / "suite.yaml", {"cases_from": "rows.jsonl"})
    with pytest.raises(InvalidFile, match=problem):
        load(path, ())


def test_paths_of_python_prompts_are_relative_to_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suite file's paths are relative to the suite instead."""
    monkeypatch.chdir(folder)
    suite = suite_from_data([{"id": "a", "prompt": ["What?", {"image": "chart.png"}]}], {}, name="prompts")
    assert suite.cases[0].attachments[0].size == len(CHART)
    assert suite.files == (str(Path("chart.png").resolve()),)
