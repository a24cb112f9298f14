"""``kwsd run``, or just ``kwsd``: the daemon's options."""

import argparse
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from kwsd.recognize.settings import RecognizeSettings

if TYPE_CHECKING:
    from kwsd.audio.open import SourceOptions
    from kwsd.config import Settings
    from kwsd.config.effective import Plan

HELP = "Listens to a microphone and reports which of a handful of words was spoken."
EXAMPLE = "kwsd --model default --only stop,go --socket /tmp/kwsd.sock"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.cli.options import CONFIG_HELP, DEVICE_HELP, FRONTEND_HELP, GAIN_HELP, LABELS_HELP
    from kwsd.cli.parser import add_recognize_arguments
    from kwsd.config import flag
    from kwsd.validation.kinds import Whole, reader

    add = parser.add_argument
    add("-c", "--config", metavar="FILE", help=CONFIG_HELP)
    add(
        "-m",
        "--model",
        action="append",
        metavar="MODEL",
        help="bundled model, by name, or a .tflite file, or two as FIRST+VERIFIER: the second verifies what the first "
        "proposes; repeat it to run several side by side (default: default)",
    )
    add("--labels", metavar="FILE", help=LABELS_HELP)
    add("--frontend", metavar="FILE", help=FRONTEND_HELP)

    audio = parser.add_argument_group("audio")
    add = audio.add_argument
    add(
        "-d",
        "--device",
        type=flag("audio", "device"),
        metavar="NAME|INDEX",
        help=DEVICE_HELP,
    )
    add(
        "--channel",
        type=flag("audio", "channel"),
        metavar="N",
        help="channel of the device or file, counted from 0 (default: 0)",
    )
    add(
        "--gain-db",
        type=flag("audio", "gain_db"),
        metavar="DB",
        help=GAIN_HELP,
    )
    add(
        "--source",
        type=flag("audio", "source"),
        metavar="FILE|-|URL",
        help="instead of a microphone: a WAV, FLAC or Ogg file, - for standard input (WAV or raw), or a stream that "
        "ffmpeg reads",
    )
    add(
        "--raw-rate",
        type=reader(Whole(1000, 768_000), "Hz"),
        metavar="HZ",
        help="sample rate of raw 16-bit standard input (default: the model's)",
    )
    add(
        "--raw-channels",
        type=reader(Whole(1, 256), "channels"),
        metavar="N",
        default=1,
        help="channels of raw standard input (default: 1)",
    )
    add("--realtime", action="store_true", help="process a file at its own pace, not as fast as possible")
    add("--no-tail", action="store_true", help="do not append one clip of faint noise to a file")
    add("--no-wait", action="store_true", help="exit with 69 if the microphone cannot be opened, instead of waiting")

    add_recognize_arguments(parser)

    sinks = parser.add_argument_group("sinks (default: standard output, and under systemd also the socket)")
    add = sinks.add_argument
    add("--only", type=words, metavar="LABEL,..", help="words that produce events (default: all)")
    add("--format", choices=("json", "text"), help="format of standard output: JSON lines (default) or readable lines")
    add("--no-stdout", action="store_true", help="do not write events to standard output")
    add("--socket", type=flag("sinks.socket", "path"), metavar="PATH", help="serve subscribers on this UNIX socket")
    add(
        "--webhook",
        action="append",
        default=[],
        type=flag("sinks.webhook", "url"),
        metavar="URL",
        help="POST events to this URL (repeatable)",
    )

    logs = parser.add_argument_group("log (standard error)")
    add = logs.add_argument
    add("--log-level", choices=("debug", "info", "warning", "error"), help="minimum log level (default: info)")
    add("-v", dest="log_level", action="store_const", const="debug", help="same as --log-level debug")
    add("-q", dest="log_level", action="store_const", const="warning", help="same as --log-level warning")
    add("--log-format", choices=("text", "json"), help="readable lines (default) or JSON lines")


def words(listed: str) -> tuple[str, ...]:
    """The words of a list such as ``stop,go``."""
    found = tuple(word.strip() for word in listed.split(","))
    if not all(found):
        raise argparse.ArgumentTypeError(f"{listed!r} contains an empty word; separate words by single commas")
    return found


def run(args: argparse.Namespace) -> int:
    from kwsd import core_dumps
    from kwsd.daemon.daemon import Daemon

    core_dumps.forbid()
    _check(args)
    return Daemon(lambda: read_settings(args), _source_options(args), can_reload=args.config is not None).run()


def _source_options(args: argparse.Namespace) -> "SourceOptions":
    from kwsd.audio.open import SourceOptions

    return SourceOptions(args.realtime, args.raw_rate, args.raw_channels, not args.no_tail, not args.no_wait)


def _check(args: argparse.Namespace) -> None:
    from kwsd.errors import UsageError

    if args.source is not None and args.device is not None:
        raise UsageError("--device", "a file or stream has no device", "Leave out --device or --source.")


def read_settings(args: argparse.Namespace) -> "Plan":
    """The configuration file, if any, with flags overriding it. Called again at each reload."""
    from kwsd import config
    from kwsd.config.effective import Plan, sinks_in_force

    settings = config.load(args.config) if args.config is not None else config.Settings()
    _check_listeners(args, settings)
    audio = _given(args, "source", "device", "channel", "gain_db")
    if "device" in audio:
        audio["source"] = None
    logs = _given(args, "log_level", "log_format")
    flags = RecognizeSettings(**_given(args, *(field.name for field in fields(RecognizeSettings))))
    settings = settings.override(
        **_models(args.model),
        **_given(args, "labels", "frontend", "only"),
        audio=replace(settings.audio, **audio),
        log=replace(settings.log, **{name.removeprefix("log_"): value for name, value in logs.items()}),
        sinks=sinks_in_force(
            settings.sinks,
            stdout=not args.no_stdout,
            stdout_format=args.format,
            socket_path=args.socket,
            webhook_urls=args.webhook,
        ),
    )
    return Plan(settings, flags)


def _check_listeners(args: argparse.Namespace, settings: "Settings") -> None:
    """Flags for a single listener have no meaning if the configuration names listeners."""
    from kwsd.errors import UsageError

    names = ("model", "labels", "frontend", "only", "source", "device", "channel", "gain_db")
    for name in _given(args, *names) if settings.named else ():
        option = f"--{name.replace('_', '-')}"
        raise UsageError(option, "the configuration names listeners", "Set it there, for each listener.")


def _models(given: list[str] | None) -> dict[str, Any]:
    """The models named on the command line, as a setting."""
    from kwsd.config.settings import ModelChoice

    if not given:
        return {}
    return {"model": given[0] if len(given) == 1 else tuple(map(ModelChoice, given))}


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of the named options that were given."""
    return {name: value for name in names if (value := getattr(args, name, None)) is not None}
