"""The live page in a real browser, in front of a whole daemon with the virtual microphone.

KWSD_PICTURES=FOLDER keeps screenshots; docs/live-page.png is `light` of them, in 200 colours.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import browser as chromium
from tests.helpers.broker import free_port
from tests.helpers.browser import Page, browser
from tests.helpers.kwsd_process import ROOT, Kwsd, running
from tests.helpers.virtual_mic import VirtualMic

pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=f"needs {chromium.missing()}")

HEARD = "document.querySelectorAll('#events .fired').length"
NEARLY = "[...document.querySelectorAll('#events .near')].map(each => each.textContent).join()"
STATE = "document.getElementById('state-name').textContent"
DRAWN = """(() => {
  const canvas = document.getElementById('spectrogram');
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(Array.from({length: data.length / 4}, (_, i) => data[4 * i] + 256 * data[4 * i + 1])).size;
})()"""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path / "chromium") as tab:
        yield tab
        # /health is 503 while kwsd does not listen, which the browser counts as an error.
        assert [error for error in tab.errors if "status of 503" not in error] == []


@contextlib.contextmanager
def daemon(tmp_path: Path, *arguments: str | Path, **how: object) -> Iterator[tuple[Kwsd, str]]:
    port = free_port()
    path = tmp_path / "kwsd.yaml"
    path.write_text(f"http: {{listen: '127.0.0.1:{port}'}}\nrecognize: {{on_demand: [off]}}\n")
    with running("--config", path, *arguments, **how) as kwsd:  # type: ignore[arg-type]
        kwsd.wait_for_log("is served")
        yield kwsd, f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def speech(microphone: VirtualMic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as a WAV, which is what the virtual microphone plays."""
    import soundfile

    samples, rate_hz = soundfile.read(ROOT / "examples" / "demo.flac", dtype="int16")
    path = tmp_path_factory.mktemp("speech") / "demo.wav"
    soundfile.write(path, samples, rate_hz)
    return path


def test_it_shows_what_is_heard_and_pauses_it(microphone: VirtualMic, speech: Path, page: Page, tmp_path: Path) -> None:
    with daemon(tmp_path, env=microphone.env) as (kwsd, url):
        page.look(1200, 800)
        page.goto(url)
        page.wait_for(f"{STATE} === 'listening'")
        with microphone.playing(speech):
            page.wait_for(f"{HEARD} >= 4", 120)
            page.wait_for(f"{DRAWN} > 50")
            words = page.value("[...document.querySelectorAll('#events .fired .word')].map(each => each.textContent)")
            assert set(words) <= set(kwsd.words)
            shown = page.value("document.querySelectorAll('#words li').length")
            assert shown == 12
            page.wait_for(f"{NEARLY}.includes('not armed')", 120)
            pictures(page)
        counted = "document.getElementById('counters').textContent"
        page.wait_for(f"{counted}.includes('words heard')")
        page.press("p")
        page.wait_for(f"{STATE} === 'paused'")
        page.wait_for("document.getElementById('pause').textContent === 'Resume'")
        page.value("document.getElementById('pause').click()")
        page.wait_for(f"{STATE} === 'listening'")
        arm = "[...document.querySelectorAll('#words li')].find(each => each.textContent.startsWith('off'))"
        page.wait_for(f"!{arm}.querySelector('button').hidden")
        page.value(f"{arm}.querySelector('button').click()")
        page.wait_for(f"{arm}.querySelector('button').textContent === 'Armed'")
        kwsd.stop()
        page.wait_for(f"{STATE} === 'gone'")
        page.errors.clear()  # the browser tells that it cannot connect


def test_of_several_listeners_one_is_chosen(page: Page, tmp_path: Path) -> None:
    """By the keyboard; its words, thresholds and sound are shown, and the events name theirs."""
    port, path = free_port(), tmp_path / "kwsd.yaml"
    source = f"audio: {{source: {ROOT / 'examples' / 'demo.flac'}}}"
    path.write_text(
        f"http: {{listen: '127.0.0.1:{port}'}}\n"
        f"listeners:\n  kitchen: {{{source}, recognize: {{detection_threshold: 0.61}}}}\n"
        f"  porch: {{{source}, model: tiny, only: [stop, go], recognize: {{detection_threshold: 0.72}}}}\n"
    )
    words = "[...document.querySelectorAll('#words .name')].map(each => each.textContent)"
    with running("--config", path, "--realtime") as kwsd:
        kwsd.wait_for_log("is served")
        page.look(1200, 800)
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for("document.querySelectorAll('#words li').length === 12")
        assert page.value("document.getElementById('what').textContent.startsWith('kwsd-default ')")
        page.wait_for(f"{DRAWN} > 20")
        page.value("document.getElementById('listener').focus()")
        page.press("p")  # begins the name of the other one, and is no pause there
        page.wait_for("document.querySelectorAll('#words li').length === 4")
        assert page.value(words) == ["_silence_", "_unknown_", "stop", "go"]
        page.wait_for("document.getElementById('what').textContent.startsWith('kwsd-tiny ')")
        mark = (
            "[...document.querySelectorAll('#words .mark')].filter(each => !each.hidden).map(each => each.style.left)"
        )
        page.wait_for(f"{mark}.join() === '72%,72%'")
        page.wait_for(f"{DRAWN} > 20")
        page.wait_for(f"{HEARD} >= 2")
        how = page.value("[...document.querySelectorAll('#events .fired .how')].map(each => each.textContent)")
        assert all(text.startswith(("kitchen: heard", "porch: heard")) for text in how)
        assert page.value(STATE) == "listening"
        several_pictures(page)


def several_pictures(page: Page) -> None:
    if (folder := os.environ.get("KWSD_PICTURES")) is not None:
        page.picture(Path(folder) / "listeners.png")
        page.look(390, 844)
        page.wait_for("innerWidth === 390")
        page.picture(Path(folder) / "listeners-phone.png")


def pictures(page: Page) -> None:
    folder = os.environ.get("KWSD_PICTURES")
    if folder is None:
        return
    for name, width, height, dark in [
        ("light", 1200, 800, False),
        ("dark", 1200, 800, True),
        ("phone", 390, 844, True),
    ]:
        page.look(width, height, dark=dark)
        page.wait_for(f"innerWidth === {width}")
        page.picture(Path(folder) / f"{name}.png")
    page.look(1200, 800)
