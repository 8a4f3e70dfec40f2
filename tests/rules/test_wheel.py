"""The wheel is complete, and nothing in it is ever found through the current folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.wait import wait_until
from tests.rules import sources

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
LUA_SEARCH = """
local found = {}
for _, name in ipairs({'trap', 'json', 'engine', 'engine.loop', 'beespace.trap'}) do
  local ok, value = pcall(require, name)
  if ok and value == 'trap' then
    found[#found + 1] = name
  end
end
return table.concat(found, ' ')
"""
ASK_LUA = f"""
from workers.runtime import Runtime
print(Runtime({{}}).execute('''{LUA_SEARCH}''').decode(), end="")
"""
MAKE_SEGMENT = """
import os, secrets
from multiprocess.resource_tracker import _resource_tracker
from shm.segment import Segment
segment = Segment.create(f"beespace-test-{secrets.token_hex(6)}", 1, 1)
segment.close()
os.close(_resource_tracker._fd)
code = os.waitpid(_resource_tracker._pid, 0)[1]
_resource_tracker._fd = None
print("tracked" if code == 0 else f"the tracker ended with {code}")
"""
PYTHON_TRAPS = ("server", "shm", "workers", "multiprocess", "msgpack", "lupa", "typer", "socket")
LUA_TRAPS = (
    "workers/lua/boot.lua",
    "boot.lua",
    "engine.lua",
    "engine/loop.lua",
    "json.lua",
    "trap.lua",
    "beespace/trap.lua",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree, so that the checkout stays as it is."""
    tree = tmp_path_factory.mktemp("tree")
    for path in ("pyproject.toml", "README.md", "LICENSE", *sources.FOLDERS):
        if (sources.ROOT / path).exists():
            _copy(sources.ROOT / path, tree / path)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tree)],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tree / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked, beside a console script as pip would write it."""
    site = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(site)
    script = site / "bin" / "beespace"
    script.parent.mkdir()
    script.write_text("import sys\nfrom server.cli import main\nsys.exit(main())\n")
    return site


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder full of files that must not be found when it is the current one."""
    for name in PYTHON_TRAPS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('trap: ' + __name__)\n")
    for name in LUA_TRAPS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("return 'trap'\n")
    return tmp_path


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        return
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            _copy(path, target / path.relative_to(source))


def _environment(site: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BEESPACE_")}
    return kept | {"PYTHONPATH": str(site), "LUA_PATH": "./?.lua"}


def _run(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=_environment(site),
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_wheel_contains_every_source_and_nothing_else(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    paths = [p for s in (".py", ".lua", "py.typed") for p in sources.files(s, sources.PRODUCT)]
    assert inside == {sources.name(path) for path in paths}


def test_wheel_names_the_command_and_the_version(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    texts = {
        n.rpartition("/")[2]: archive.read(n).decode()
        for n in archive.namelist()
        if "dist-info" in n
    }
    assert "beespace = server.cli:main" in texts["entry_points.txt"]
    assert f"Version: {sources.project()['project']['version']}\n" in texts["METADATA"]


def test_version_is_written_once() -> None:
    version = sources.project()["project"]["version"]
    copies = [p for p in sources.files(".py", sources.PRODUCT) if f'"{version}"' in p.read_text()]
    assert copies == []


def test_command_does_not_import_from_the_current_folder(installed: Path, trapped: Path) -> None:
    done = _run(installed, trapped, str(installed / "bin" / "beespace"), "--version")
    assert "trap" not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
    assert sources.project()["project"]["version"] in done.stdout


def test_lua_does_not_require_from_the_current_folder(installed: Path, trapped: Path) -> None:
    script = installed / "bin" / "ask.py"
    script.write_text(ASK_LUA)
    done = _run(installed, trapped, str(script))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_segment_is_not_watched_by_a_trap(installed: Path, trapped: Path) -> None:
    script = installed / "bin" / "segment.py"
    script.write_text(MAKE_SEGMENT)
    done = _run(installed, trapped, str(script))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "tracked\n"


def test_a_server_steps_into_no_trap(installed: Path, trapped: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "app.lua").write_text("assert(not pcall(require, 'trap'), 'trap found')\n")
    script = str(installed / "bin" / "beespace")
    words = ["serve", str(place / "app.lua"), "--listen", "127.0.0.1:0", "--workers", "1"]
    folders = ["--run-dir", str(place / "run"), "--data-dir", str(place / "data")]
    log = place / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, script, *words, *folders],
            cwd=trapped,
            env=_environment(installed),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(
            lambda: "listeners=" in log.read_text() or process.poll() is not None,
            deadline=20,
            what="ready line",
        )
        process.terminate()
        assert process.wait(10) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert not re.search("trap(:| found)", log.read_text())


def test_traps_work(installed: Path, trapped: Path) -> None:
    done = _run(installed, trapped, "-c", "import server.cli")
    assert "trap: server" in done.stderr
