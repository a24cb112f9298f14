"""``kwsd check-config``: checks a configuration file and prints the effective settings."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from kwsd.audio.stream.address import StreamAddress
from kwsd.config import Settings
from kwsd.config.settings import ModelChoice
from kwsd.servers.settings import Address, ServerSettings
from kwsd.sinks.settings import SinkSettings
from kwsd.sinks.webhook.url import Url
from kwsd.validation.yaml import Path

if TYPE_CHECKING:
    from kwsd.config.effective import Effective

    Heard = Mapping[str, Sequence[Effective]]

HELP = "Checks a configuration file. Prints the effective settings, or each error as FILE:LINE: what is wrong."
EXAMPLE = "kwsd check-config /etc/kwsd/kwsd.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="configuration file (YAML)")
    parser.description = (
        f"{HELP}\n\nThe model is loaded, so that words and strides are checked too. Times are in ms or s and gains in"
        "\ndB, as the keys' names say. Exit code 0, or 78 if there are errors, which go to standard error."
    )


def run(args: argparse.Namespace) -> int:
    from kwsd import config
    from kwsd.errors import ConfigError, UnavailableError

    heard: Heard = {}
    try:
        settings = config.load(args.file, faults_on_this_machine)
        settings, heard = with_models(settings)
        if faults := sink_faults(settings):
            raise ConfigError(*faults)
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return error.exit_code
    except UnavailableError as error:
        print(f"kwsd: words and strides are not checked: {error}", file=sys.stderr)
    print(to_yaml(settings, heard), end="")
    return 0


def faults_on_this_machine(settings: Settings) -> Sequence[str]:
    """Objections of the model and the machine to the settings; without a runtime, the model is not checked."""
    from kwsd.errors import ConfigError, UnavailableError

    try:
        with_models(settings)
    except ConfigError as error:
        return (*error.faults, *sink_faults(settings))
    except UnavailableError:
        pass  # reported by `run` if nothing else is wrong
    return sink_faults(settings)


def sink_faults(settings: Settings) -> Sequence[str]:
    """What a start would find wrong with sinks and servers, on this machine as this user: secrets, groups, folders."""
    asked: list[tuple[Path, SinkSettings | ServerSettings]] = [((server.type,), server) for server in settings.servers]
    asked += [(("sinks", number), sink) for number, sink in enumerate(settings.sinks or ())]
    found = [((*path, key), text) for path, each in asked for key, text in each.check()]
    return [settings.fault(path, text) for path, text in found]


def with_models(settings: Settings) -> "tuple[Settings, Heard]":
    """The settings with all of ``recognize`` filled in, as the daemon fills it in, and what holds for each model.

    A listener with several models has settings for each of them, and its own section stays as it is.

    Raises:
        ConfigError: a model is rejected, or does not fit the settings.
        UnavailableError: there is no runtime to load it with.
    """
    from kwsd.config.effective import Plan, effective_of_all
    from kwsd.errors import ConfigError, ModelError

    try:
        heard = effective_of_all(Plan(settings))
    except ModelError as error:
        key = "labels" if error.what == settings.labels else "model"
        raise ConfigError(settings.fault((key,), str(error))) from error
    except ConfigError as error:
        unread = f"{settings.frontend}: "  # faults in the file have their line between these
        named = (settings.fault(("frontend",), fault) if fault.startswith(unread) else fault for fault in error.faults)
        raise ConfigError(*named) from error
    if not settings.named:
        return _filled(settings, heard["default"]), heard
    return replace(settings, named={name: _filled(each, heard[name]) for name, each in settings.named.items()}), heard


def _filled(settings: Settings, plans: "Sequence[Effective]") -> Settings:
    from kwsd.recognize.settings import RecognizeSettings

    if len(plans) > 1:
        return settings
    return replace(settings, recognize=RecognizeSettings(**asdict(plans[0].recognize)))


def to_yaml(settings: Settings, heard: "Heard | None" = None) -> str:
    """The settings as a configuration file, without secrets; of a URL only the part that may be shown.

    Args:
        heard: what holds for each listener's models. If a listener has several, comments say it for each of them.
    """
    heard = heard or {}
    if settings.named:
        lines = ["listeners:\n"]
        for name, each in settings.named.items():
            lines += [f"  {_scalar(name)}:\n", *_listener(each, heard.get(name, ()), "    ")]
    else:
        lines = _listener(settings, heard.get("default", ()), "")
    tree: dict[str, Any] = {server.type: vars(server) for server in settings.servers}
    tree["log"] = asdict(settings.log)
    text = "".join([*lines, *_block(tree, "")])
    if settings.sinks is None:
        return f"{text}sinks: null  # standard output; under systemd the socket too\n"
    sinks = [_sink(sink) for sink in settings.sinks]
    return text + ("sinks:\n" if sinks else "sinks: []\n") + "".join(sinks)


def _listener(settings: Settings, plans: "Sequence[Effective]", indent: str) -> list[str]:
    """The lines of a listener."""
    tree: dict[str, Any] = {name: getattr(settings, name) for name in ("model", "labels", "frontend", "only")}
    tree["audio"] = asdict(settings.audio)
    tree["recognize"] = {name: value for name, value in asdict(settings.recognize).items() if value is not None}
    lines = _block(tree, indent)
    for plan in plans if len(plans) > 1 else ():
        words = tuple(label for label in plan.model.labels if label in plan.only)
        effective = _block({"only": words, "recognize": asdict(plan.recognize)}, "  ")
        lines += [f"{indent}# effective for {plan.model.name}:\n", *(f"{indent}# {line}" for line in effective)]
    return lines


def _sink(sink: SinkSettings) -> str:
    values = {"type": sink.type, **vars(sink)}
    first, *rest = _block(values, "    ")
    return f"  - {first.lstrip()}{''.join(rest)}"


def _block(mapping: dict[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{_scalar(key)}:\n", *_block(value, indent + "  ")]
        else:
            lines.append(f"{indent}{_scalar(key)}: {_scalar(value)}\n")
    return lines


def _scalar(value: Any) -> str:
    """A value on one line, in the common syntax of YAML and JSON if plain text could be misread."""
    import json
    import re

    from kwsd.validation.yaml import resolve

    if isinstance(value, Address):
        return _scalar(str(value))
    if isinstance(value, Url | StreamAddress):
        return f"{_scalar(str(value))}  # no more of it is shown"
    if isinstance(value, ModelChoice):
        only = "" if value.only is None else f", only: {_scalar(value.only)}"
        return f"{{model: {_scalar(value.model)}{only}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_/][\w./-]*", value, re.ASCII) and resolve(value) == value:
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
