"""Tests that a followed log misses no line when the file appears late or is rotated."""

from contextlib import closing
from itertools import islice
from pathlib import Path

from local_stack import logs


def test_tail_of_a_missing_file_is_empty(tmp_path: Path) -> None:
    assert logs.tail(tmp_path / "none.log", 5) == ""


def test_tail_is_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"line {n}\n" for n in range(100_000)))
    assert logs.tail(path, 2) == "line 99998\nline 99999"


def test_following_reads_new_lines_late_files_and_rotated_files(tmp_path: Path) -> None:
    old, late = tmp_path / "a.log", tmp_path / "b.log"
    old.write_text("before\n")
    with closing(logs.follow([old, late])) as lines:
        late.write_text("late\n")
        assert next(lines) == (late, "late")

        with old.open("a") as file:
            file.write("last\n")
        old.rename(tmp_path / "a.log.1")
        old.write_text("first\n")
        assert list(islice(lines, 2)) == [(old, "last"), (old, "first")]
