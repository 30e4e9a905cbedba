"""The example of the README, on fewer agents."""

import re
from pathlib import Path


def test_the_example_of_the_readme_runs(launch_server, tmp_path, monkeypatch, capsys):
    readme = Path(__file__).parents[2] / "README.md"
    found = re.search(r"```python\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
    assert found
    example = found[1].replace("127.0.0.1:50051", launch_server().address).replace("100_000", "100")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, str(readme), "exec"), {})

    said = capsys.readouterr().out
    assert "['birth', 'fork', 'merge']" in said
    assert (tmp_path / "joe-after-100" / "manifest.json").exists()
