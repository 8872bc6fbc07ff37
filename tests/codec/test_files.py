"""Files that a kill cannot leave half written."""

import pytest

from codec.files import replacing, write_atomically


def test_a_file_is_the_old_one_or_the_new_one(tmp_path):
    path = tmp_path / "x.txt"
    write_atomically(path, "old ü")

    def fail_half_way():
        with replacing(path) as part:
            part.write_text("half")
            raise RuntimeError(path.read_text(encoding="utf-8"))

    with pytest.raises(RuntimeError, match="old ü"):
        fail_half_way()
    assert path.read_text(encoding="utf-8") == "old ü"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
