"""The table of groups names every file of tests beside it, and nothing else."""

from sdks.matrix import GROUPS, HERE, chosen

SDKS = {sdk for group in GROUPS.values() for sdk in group.sdks}


def test_every_file_is_in_a_group():
    files = {file.name for file in HERE.glob("test_*.py")} - {"test_matrix.py"}
    assert files == {f"test_{sdk}.py" for sdk in SDKS}


def test_a_word_names_a_group_or_an_sdk():
    assert chosen("") == {name: group.sdks for name, group in GROUPS.items()}
    assert chosen("litellm") == {"litellm": GROUPS["litellm"].sdks}
    assert chosen("openai") == {"core": ("openai",), "openai-2": ("openai",)}
    assert chosen("nonsense") == {}
