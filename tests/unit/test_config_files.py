"""Configuration files: read as they are meant, or told by name and line."""

import pytest

from serflow.config import check_files
from serflow.errors import UserError
from serflow.yaml_files import read_yaml


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: 1\nb: 2\na: 3\n", r"line 3 cannot be read \(the key a is also in line 1\): mend it\.$"),
        (b"a:\n  b: 1\n  'b': 2\n", r"line 3 cannot be read \(the key b is also in line 2\)"),
        ("b: 1\na: \u00e4".encode("latin-1"), r"overlay.yaml, line 2 is not UTF-8: save the file in this"),
        ("a: 1".encode("utf-16"), "overlay.yaml, line 1 is not UTF-8"),
        (b"__use_yte__: true\na: ?open('here', 'w')\n", r"overlay.yaml is a template \(__use_yte__\)"),
        (b"<<: {__use_yte__: false}\n", "overlay.yaml is a template"),
        (b"a:\n\tb: 1\n", "line 2 cannot be read"),
        (b"a: [", "line 1 cannot be read"),
        (b"[" * 9999, "cannot be read"),
        (b"a: 2024-99-99", "cannot be read"),
        (b"? [a]\n: b\n", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, content, told):
    (tmp_path / "overlay.yaml").write_bytes(content)
    with pytest.raises(UserError, match=told):
        check_files([tmp_path / "overlay.yaml"])


def test_keys_of_different_mappings_and_merged_ones_are_no_repetition(tmp_path):
    (tmp_path / "overlay.yaml").write_text("a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}\n1: x\n'1': y\n")
    assert read_yaml(tmp_path / "overlay.yaml")["d"] == {"b": 3, "c": 2}
