"""The command line of `python -m pglab`: overrides, and Hydra's options around them in any order."""

from collections.abc import Sequence
from dataclasses import dataclass

from pglab.errors import InputError
from pglab.overrides import quoted
from pglab.shell import Parser

FLAGS = ("run", "multirun", "help", "hydra-help", "version", "resolve", "shell-completion")
VALUES = ("config-dir", "config-name", "config-path", "package", "experimental-rerun")
SHORT = {
    "run": "r", "multirun": "m", "help": "h", "shell-completion": "sc", "cfg": "c", "info": "i",
    "config-dir": "cd", "config-name": "cn", "config-path": "cp", "package": "p",
}  # fmt: skip
COMPOSING = {"run", "multirun", "config_dir", "config_name"}  # options that only say what to compose


@dataclass(frozen=True)
class Arguments:
    """The request that a command line makes.

    Attributes:
        overrides: as `key=value`.
        options: by their long names, with a value or True.
    """

    overrides: tuple[str, ...]
    options: dict[str, str | bool]

    @property
    def config_dir(self) -> str | None:
        """A folder with YAML files of the user's own."""
        folder = self.options.get("config_dir")
        return None if folder is None else str(folder)

    @property
    def sweeps(self) -> bool:
        return bool(self.options.get("multirun"))

    @property
    def trains(self) -> bool:
        """Nothing else is asked for, such as `--cfg job`, which is Hydra's to answer."""
        return self.options.keys() <= COMPOSING

    def for_hydra(self) -> list[str]:
        """The same with all overrides in one piece and in Hydra's letters."""
        named = [(f"--{name.replace('_', '-')}", value) for name, value in self.options.items()]
        return [*map(quoted, self.overrides), *(name if value is True else f"{name}={value}" for name, value in named)]


def parse(arguments: Sequence[str]) -> Arguments:
    """Tells overrides from options. `--key=value`, as W&B's sweep agent writes it, is the override `key=value`.

    The agent writes values as Python does, so that its `None` is `null`.

    Raises:
        InputError: an option that there is not, or one without its value.
    """
    asked, unknown = _parser().parse_known_intermixed_args(arguments)
    for text in unknown:
        if "=" not in text:
            raise InputError(f"{text} is no option; settings are given as key=value, and --help lists the options")
    options = {name: value for name, value in vars(asked).items() if name != "overrides" and value not in (None, False)}
    return Arguments((*asked.overrides, *map(_of_agent, unknown)), options)


def _of_agent(text: str) -> str:
    key, _, value = text.lstrip("-").partition("=")
    return f"{key}={'null' if value == 'None' else value}"


def _parser() -> Parser:
    parser = Parser(prog="python -m pglab", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*", default=[])
    for name in FLAGS:
        parser.add_argument(*_names(name), action="store_true")
    for name in VALUES:
        parser.add_argument(*_names(name))
    parser.add_argument(*_names("cfg"), nargs="?", const="job")
    parser.add_argument(*_names("info"), nargs="?", const="all")
    return parser


def _names(name: str) -> list[str]:
    return [f"--{name}", *([f"-{SHORT[name]}"] if name in SHORT else [])]
