"""What the project's programs share: flags, one-line errors, exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence

from absl import flags

from efficientnet_tf.errors import InputError, RunError, Stopped, near

_HELP = {"-h", "-help", "--help", "--helpfull", "--helpshort"}

# What the base install leaves out: see setup.py.
_CPU = "'.[cpu]' (or gpu, or tpu)"
_EXTRAS = {
    **dict.fromkeys(("ai_edge_litert", "keras", "sklearn", "tensorflow"), _CPU),
    "optuna": "'.[search]'",
}


# Side of the smallest images that oneDNN trains faster on than TensorFlow's own
# kernels, where both are tried on a CPU with AVX2 (benchmarks/results/
# experiments.csv); on small ones its depthwise gradients take far longer.
ONEDNN_PIXELS = 96


def run(program: str, work: Callable[[], None]) -> int:
    """Does the work of a program and gives its exit code.

    Args:
        program: Its name, which stands before an error.
        work: What to do.

    Returns:
        0 when it went well, 130 where it was interrupted, else the exit code
        of the error: 1 where it failed, 2 where the input was wrong.
    """
    _quiet_tensorflow()
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (InputError, RunError) as error:
        print(f"{program}: {_shown(error)}", file=sys.stderr)
        return error.exit_code
    except Stopped as stopped:
        print(f"{program}: {_shown(stopped)}", file=sys.stderr)
        return stopped.exit_code
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        print(
            f"{program}: {error.name} is not installed; in a fresh "
            f"environment: pip install -e {_EXTRAS[error.name]}",
            file=sys.stderr,
        )
        return 1
    except Exception as error:
        # Of a file system, mostly; whoever imported TensorFlow has its errors.
        tensorflow = sys.modules.get("tensorflow")
        if not (tensorflow and isinstance(error, tensorflow.errors.OpError)):
            raise
        print(f"{program}: {_shown(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    return 0


def choose_kernels(pixels: int) -> None:
    """Lets a CPU train by oneDNN's kernels where those are faster.

    Call it before TensorFlow is imported, which by itself takes them only on
    CPUs with AVX-512. What the environment says is left alone. The choice
    depends on the run alone, since the kernels round differently.

    Args:
        pixels: Side of the images.
    """
    if pixels >= ONEDNN_PIXELS:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether the words of a command line ask what could be said."""
    return arguments[:1] == ["help"] or not _HELP.isdisjoint(arguments)


def parse(given: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """Reads the flags of a command line; returns the other words.

    Raises:
        InputError: A flag is unknown, its value does not fit it, is empty, or
            is of bytes that are no UTF-8, which TensorFlow takes no path of.
    """
    for argument in arguments:
        shown = argument.encode(errors="backslashreplace").decode()
        if argument.startswith("-") and shown != argument:
            raise InputError(f"{shown} is no UTF-8; rename the file or folder")
    try:
        # The parser takes the first word for the program's name.
        words = list(given(["", *arguments])[1:])
    except flags.UnrecognizedFlagError as error:
        raise InputError(
            f"unknown flag --{error.flagname}: {near(error.flagname, given)}"
        ) from None
    except flags.Error as error:
        raise InputError(str(error)) from None
    _settle_text(given)
    return words


def _settle_text(given: flags.FlagValues) -> None:
    """Refuses empty words, as an unset variable of a shell leaves them.

    A shell leaves a tilde behind "=" as it is, too.
    """
    for name in given:
        if not given[name].present:
            continue
        value = given[name].value
        if value == "":
            raise InputError(f"--{name}= is empty; leave it out, or name one")
        if isinstance(value, str) and value.startswith("~"):
            given[name].value = os.path.expanduser(value)


def flag_help(
    given: flags.FlagValues, chosen: Iterable[str] | None = None
) -> str:
    """A line for each flag.

    Args:
        given: All flags.
        chosen: The names of those to tell; all if not given.
    """
    some = [name for name in given if chosen is None or name in {*chosen}]
    names = [
        f"  --{name}" + ("" if given[name].boolean else f"={name.upper()}")
        for name in some
    ]
    width = max(map(len, names)) + 2
    return "\n".join(
        f"{shown:{width}}{' '.join(given[name].help.split())}"
        for shown, name in zip(names, some, strict=True)
    )


def _quiet_tensorflow() -> None:
    """Keeps messages for TensorFlow's makers away; it reads them on import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _shown(error: Exception) -> str:
    """One line, but for what another program said."""
    text = str(error)
    return text if hasattr(error, "output") else " ".join(text.split())
