"""Where outputs go, and the staged commit."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.transcript import Segment, Transcript
from speakeasy_tui.runner import outputs, staging
from speakeasy_tui.runner.rows import Owned, Staged
from speakeasy_tui.runner.siblings import Siblings

SPEECH = Transcript([Segment(0, 1, " hello")], "en", 1.0, identity="id-1")


def nobody(path: bytes) -> None:
    return None


def plan(path: Path, root: Path | None = None, owner=nobody, made_of="id-1", **options):  # type: ignore[no-untyped-def]
    place = (os.fsencode(path), os.fsencode(root) if root else b"", JobOptions(**options))
    return outputs.plan(*place, made_of, outputs.names(*place, owner), Siblings())


def write(chosen: outputs.Plan) -> list[Staged]:
    return staging.write_parts(1, 1, chosen, SPEECH)


def commit(chosen: outputs.Plan) -> None:
    staging.name_parts(write(chosen), chosen.replace)


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_outputs_stand_next_to_the_source(tmp_path: Path) -> None:
    (tmp_path / "talk.mp3").touch()
    commit(plan(tmp_path / "talk.mp3", format=("txt", "srt")))
    assert names(tmp_path) == ["talk.mp3", "talk.srt", "talk.txt"]


def test_an_output_folder_mirrors_the_source_tree(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for sub in ("a", "b"):
        chosen = plan(
            tmp_path / "in" / sub / "x.wav", tmp_path / "in", output_dir=str(out), format=("txt",)
        )
        outputs.check_folder(chosen)
        commit(chosen)
    assert names(out) == ["a/x.txt", "b/x.txt"]


def test_a_path_with_dots_does_not_lead_out_of_the_output_folder(tmp_path: Path) -> None:
    source = tmp_path / "in" / ".." / ".." / "etc" / "x.wav"
    chosen = plan(source, tmp_path / "in", output_dir=str(tmp_path / "out"), format=("txt",))
    assert chosen.paths["txt"] == os.fsencode(tmp_path / "out" / "x.txt")


def test_equal_names_keep_their_ending(tmp_path: Path) -> None:
    for name in ("talk.mp3", "talk.wav"):
        (tmp_path / name).touch()
    first = plan(tmp_path / "talk.mp3", tmp_path, format=("txt",))
    second = plan(tmp_path / "talk.wav", tmp_path, format=("txt",))
    assert os.path.basename(first.paths["txt"]) == b"talk.txt"
    assert os.path.basename(second.paths["txt"]) == b"talk.wav.txt"


def test_a_name_another_job_has_is_left_to_it(tmp_path: Path) -> None:
    def owner(path: bytes) -> Owned | None:
        return Owned(7, b"/other/x.wav", "", "") if path.endswith((b"/x.txt", b"wav.txt")) else None

    chosen = plan(tmp_path / "x.wav", output_dir=str(tmp_path), format=("txt",), owner=owner)
    assert os.path.basename(chosen.paths["txt"]).startswith(b"x.wav~")


def test_a_long_name_is_cut_to_what_file_systems_take(tmp_path: Path) -> None:
    chosen = plan(tmp_path / ("ä" * 124 + ".mp3"), format=("json",))
    commit(chosen)
    assert len(os.path.basename(chosen.paths["json"])) <= 255


@pytest.mark.parametrize("length", [185, 196, 197, 230, 249])
def test_the_formats_of_a_long_name_have_parts_of_their_own(tmp_path: Path, length: int) -> None:
    source = tmp_path / ("x" * length)
    source.touch()
    chosen = plan(source)
    commit(chosen)
    assert len(names(tmp_path)) == 1 + len(chosen.paths)
    assert Path(os.fsdecode(chosen.paths["txt"])).read_text() == "hello\n"


def test_a_strangers_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("my own notes")
    with pytest.raises(outputs.OutputError) as caught:
        plan(tmp_path / "talk.mp3", format=("txt", "srt"))
    assert caught.value.error.kind is ErrorKind.OUTPUT
    assert "--overwrite" in caught.value.error.hint
    assert (tmp_path / "talk.txt").read_text() == "my own notes"


def test_overwrite_replaces_it(tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("my own notes")
    commit(plan(tmp_path / "talk.mp3", format=("txt",), overwrite=True))
    assert (tmp_path / "talk.txt").read_text() == "hello\n"


def test_outputs_of_the_same_content_and_options_are_recognised_by_the_json(tmp_path: Path) -> None:
    commit(plan(tmp_path / "talk.mp3"))
    assert plan(tmp_path / "talk.mp3").present
    with pytest.raises(outputs.OutputError):
        plan(tmp_path / "talk.mp3", made_of="of another model")


def written(folder: Path, text: str = "hello\n", made_of: str = "id-1") -> outputs.Owner:
    """The store, where ``talk.txt`` was written by ourselves."""
    digest = hashlib.sha256(text.encode()).hexdigest()

    def owner(path: bytes) -> Owned | None:
        own = path == os.fsencode(folder / "talk.txt")
        return Owned(1, os.fsencode(folder / "talk.mp3"), made_of, digest) if own else None

    return owner


@pytest.mark.parametrize(
    ("content", "owner", "why"),
    [
        ("hello, corrected\n", {}, "was changed since it was written"),
        ("hello\n", {"made_of": "id-0"}, "was made of other content, model or options"),
        ("hello\n", {"text": "what another home wrote"}, "was changed since"),
    ],
)
def test_an_output_of_ours_is_replaced_only_as_we_left_it(
    tmp_path: Path, content: str, owner: dict[str, str], why: str
) -> None:
    (tmp_path / "talk.txt").write_text(content)
    with pytest.raises(outputs.OutputError) as caught:
        plan(tmp_path / "talk.mp3", format=("txt", "srt"), owner=written(tmp_path, **owner))
    assert why in caught.value.error.message
    assert "--overwrite" in caught.value.error.hint


def test_an_output_that_nobody_changed_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("hello, once\n")
    owner = written(tmp_path, "hello, once\n")
    commit(plan(tmp_path / "talk.mp3", format=("txt", "srt"), owner=owner))
    assert (tmp_path / "talk.txt").read_text() == "hello\n"
    assert (tmp_path / "talk.srt").exists()


def test_an_output_that_somebody_changes_meanwhile_is_left_to_them(tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("hello, once\n")
    owner = written(tmp_path, "hello, once\n")
    chosen = plan(tmp_path / "talk.mp3", format=("txt", "srt"), owner=owner)
    (tmp_path / "talk.txt").write_text("hello, corrected\n")
    with pytest.raises(outputs.OutputError, match="was changed meanwhile"):
        commit(chosen)
    assert (tmp_path / "talk.txt").read_text() == "hello, corrected\n"


def test_an_output_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    chosen = plan(tmp_path / "talk.mp3", output_dir=str(tmp_path / "out"), format=("txt",))
    with pytest.raises(outputs.OutputError, match="out: is a file, not a folder"):
        outputs.check_folder(chosen)


def test_complete_outputs_of_unknown_origin_are_present_but_unverified(tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("from somewhere")
    chosen = plan(tmp_path / "talk.mp3", format=("txt",))
    assert chosen.present
    assert chosen.unverified


def test_a_file_that_appears_during_the_commit_is_not_replaced(tmp_path: Path) -> None:
    chosen = plan(tmp_path / "talk.mp3", format=("txt",))
    staged = write(chosen)
    (tmp_path / "talk.txt").write_text("another home's")
    with pytest.raises(outputs.OutputError):
        staging.name_parts(staged, chosen.replace)
    assert (tmp_path / "talk.txt").read_text() == "another home's"


def test_no_part_is_left_when_the_folder_vanishes(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    chosen = plan(folder / "talk.mp3", format=("txt",))
    with pytest.raises(outputs.OutputError) as caught:
        write(chosen)
    assert caught.value.error.kind is ErrorKind.OUTPUT
    assert names(tmp_path) == []


@pytest.mark.parametrize("named", [0, 1, 2])
def test_a_commit_cut_off_between_renames_is_completed(tmp_path: Path, named: int) -> None:
    chosen = plan(tmp_path / "talk.mp3", format=("txt", "srt"))
    staged = write(chosen)
    for item in staged[:named]:
        os.rename(item.part, item.path)
    in_place = staging.finish_staged(staged, overwrite=False)
    assert in_place == [item.path for item in staged]
    assert names(tmp_path) == ["talk.srt", "talk.txt"]


def test_a_cut_off_commit_whose_part_is_damaged_does_not_count(tmp_path: Path) -> None:
    staged = write(plan(tmp_path / "talk.mp3", format=("txt",)))
    Path(os.fsdecode(staged[0].part)).write_bytes(b"half")
    assert staging.finish_staged(staged, overwrite=False) == []
    assert names(tmp_path) == []


def test_a_cut_off_commit_leaves_what_another_has_written_meanwhile(tmp_path: Path) -> None:
    staged = write(plan(tmp_path / "talk.mp3", format=("txt", "srt")))
    (tmp_path / "talk.txt").write_text("another home's")
    assert staging.finish_staged(staged, overwrite=False) == [staged[1].path]
    assert (tmp_path / "talk.txt").read_text() == "another home's"
    assert names(tmp_path) == ["talk.srt", "talk.txt"]


def test_a_cut_off_commit_that_may_overwrite_does(tmp_path: Path) -> None:
    staged = write(plan(tmp_path / "talk.mp3", format=("txt",), overwrite=True))
    (tmp_path / "talk.txt").write_text("my own notes")
    assert staging.finish_staged(staged, overwrite=True)
    assert (tmp_path / "talk.txt").read_text() == "hello\n"


def test_a_missing_output_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file, not a folder")
    chosen = plan(tmp_path / "talk.mp3", output_dir=str(tmp_path / "out" / "x"), format=("txt",))
    with pytest.raises(outputs.OutputError) as caught:
        outputs.check_folder(chosen)
    assert "--output-dir" in caught.value.error.hint
