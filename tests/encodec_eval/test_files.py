"""Names that are safe in paths."""

from encodec_eval.files import safe_name


def test_names_that_are_safe_in_paths():
    assert safe_name("a/b c:ü@1.5+x") == "a_b_c_ü@1.5+x"
