"""``python -m tests.fuzz [SECONDS] [TARGET...]``: guided by coverage (atheris), so many seconds in all.

One process for each target, since libFuzzer ends its process; prints what was tried, and where a finding lies.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HANG_S = 10
MEMORY_MB = 2048
INPUT_BYTES_MAX = 20_000


def fuzz(name: str, flags: list[str]) -> None:
    """Never returns: feeds one target until libFuzzer has had enough."""
    import atheris

    # yaml, json and http.client are ours too as far as their users can tell.
    with atheris.instrument_imports(include=["kwsd", "yaml", "json", "http"]):
        from tests.fuzz import targets

    atheris.Setup([sys.argv[0], *flags], lambda data: targets.check(name, data))
    atheris.Fuzz()


def supervise(name: str, seconds: int, folder: Path) -> bool:
    """Runs one target in a process of its own; whether it found nothing."""
    from tests.fuzz.targets import TARGETS

    corpus, artifact = folder / name, folder / f"{name}.found"
    corpus.mkdir()
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / str(number)).write_bytes(seed)
    flags = [
        str(corpus),
        f"-max_total_time={seconds}",
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-exact_artifact_path={artifact}",
        "-print_final_stats=1",
    ]
    if TARGETS[name].words:
        words = folder / f"{name}.words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in TARGETS[name].words))
        flags.append(f"-dict={words}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--one", name, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": str(folder)},  # libFuzzer ends its process without tidying up
    )
    tried = re.search(r"number_of_executed_units: (\d+)", done.stdout)
    count = int(tried[1]) if tried else 0
    if done.returncode == 0 and count:
        print(f"{name}: {count} inputs in {seconds} s, nothing found", flush=True)
        return True
    kept = Path(f"kwsd-fuzz-{name}.found")
    if artifact.exists():
        shutil.copyfile(artifact, kept)
    print(f"{name}: {count} inputs, and then a finding (kept in {kept}):\n{_last_words(done.stdout)}", flush=True)
    return False


def _last_words(output: str) -> str:
    """The traceback, if there is one, and what follows it."""
    _, mark, rest = output.rpartition("=== Uncaught Python exception: ===")
    return (mark + rest)[-4000:]


def _escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries want it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--one"]:
        fuzz(arguments[1], arguments[2:])
    if importlib.util.find_spec("atheris") is None:
        print(
            "fuzz: atheris is not installed; it has packages for x86-64 only. tests/fuzz runs without it",
            file=sys.stderr,
        )
        return 69
    from tests.fuzz.targets import TARGETS

    seconds, names = int(arguments[0]) if arguments else 60, arguments[1:] or list(TARGETS)
    share_s = max(1, seconds // len(names))
    with tempfile.TemporaryDirectory(prefix="kwsd-fuzz-") as folder:
        results = [supervise(name, share_s, Path(folder)) for name in names]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
