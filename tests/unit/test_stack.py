"""Which code is the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokprof.stack import is_user_file

PIP = """\
#!/venv/bin/python3
# -*- coding: utf-8 -*-
import re
import sys
from IPython import start_ipython
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(start_ipython())
"""
UV = """\
#!/venv/bin/python
# -*- coding: utf-8 -*-
import sys
from IPython import start_ipython
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(start_ipython())
"""
MINE = """\
#!/usr/bin/env python3
import sys
if len(sys.argv) < 2:
    print("usage:", sys.argv[0])
    sys.exit(2)
print(ask(sys.argv[1]))
"""


@pytest.mark.parametrize("text", [PIP, UV])
def test_the_script_that_starts_a_command_is_not_the_users(tmp_path: Path, text: str) -> None:
    script = tmp_path / "bin" / "ipython"
    script.parent.mkdir()
    script.write_text(text, encoding="utf-8")
    assert not is_user_file(str(script))


@pytest.mark.parametrize(("name", "text"), [("bin/ask", MINE), ("bin/ask.py", PIP), ("tools/ask", PIP)])
def test_a_script_of_the_users_is_theirs_wherever_it_lies(tmp_path: Path, name: str, text: str) -> None:
    script = tmp_path / name
    script.parent.mkdir()
    script.write_text(text, encoding="utf-8")
    assert is_user_file(str(script))


def test_a_launcher_of_windows_and_what_is_no_file() -> None:
    assert not is_user_file("/venv/Scripts/ipython.exe/__main__.py")
    assert is_user_file("/nowhere/bin/ask") and is_user_file("<string>") and is_user_file("/home/me/app.py")
