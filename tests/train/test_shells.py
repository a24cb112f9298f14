"""kwsd-train's manual page and completion scripts, made from its commands as kwsd's are."""

import shutil
import subprocess

import pytest
from kwsd_train.cli import COMMANDS, main, program
from kwsd_train.commands.manual import TEXT

from kwsd.cli.completion import options, script
from kwsd.cli.manual import page


def test_the_manual_page_has_every_command_and_option_and_nothing_roff_trips_over(capsys):
    assert main(["manual"]) == 0
    printed = capsys.readouterr().out
    assert printed == page(program(), TEXT)
    text = printed.replace("\\-", "-")
    assert text.startswith('.TH KWSD-TRAIN 1 "" "kwsd-train ')
    for command in COMMANDS:
        assert f".SS kwsd-train {command}\n" in text
        named = [name for option in options(command, program()) for name in option.names]
        assert all(f"\\fB{name}\\fR" in text for name in named if name not in ("-h", "--help"))
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed (apt-get install groff)")
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8"], input=printed.encode(), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def complete(shell: str, commands: str, *arguments: str) -> set[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed (apt-get install {shell})")
    done = subprocess.run([shell, *arguments, "-c", commands], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done
    return set(done.stdout.split())


LINES = [
    (["fre"], {"freeze"}),
    (["train", "--train_d"], {"--train_dir"}),
    (["freeze", "--quant"], {"--quantize"}),
]


@pytest.mark.parametrize(("words", "expected"), LINES)
def test_bash_completes(words, expected, tmp_path):
    commands = f"""{script("bash", program())}
        cd {tmp_path}; COMP_WORDS=(kwsd-train {" ".join(words)}); COMP_CWORD={len(words)}; _kwsd_train
        echo "${{COMPREPLY[@]}}" """
    assert complete("bash", commands, "--norc") == expected


@pytest.mark.parametrize(("words", "expected"), LINES)
def test_fish_completes(words, expected, tmp_path, capsys):
    assert main(["completion", "fish"]) == 0
    (tmp_path / "kwsd-train.fish").write_text(capsys.readouterr().out)
    commands = f"cd {tmp_path}; source kwsd-train.fish; complete -C 'kwsd-train {' '.join(words)}' | cut -f 1"
    assert complete("fish", commands, "--no-config") == expected


def test_zsh_takes_the_script(tmp_path):
    (tmp_path / "_kwsd-train").write_text(script("zsh", program()))
    assert complete("zsh", f"zsh -n {tmp_path}/_kwsd-train && echo fine", "-f") == {"fine"}


def test_a_shell_that_nobody_knows_is_wrong_use(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "csh"])
    assert "bash" in capsys.readouterr().err
