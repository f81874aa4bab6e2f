"""What every command shares: groups whose errors are one sentence, and the kinds of argument."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from evalkit.errors import EvalkitError, nearest
from evalkit.plain_text import one_line

F = TypeVar("F", bound=Callable[..., Any])
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(click.Group):
    """A group whose errors are one sentence on standard error, with the exit code of their kind."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but a misspelt command names the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            raise click.UsageError(f"모르는 명령 {args[0]!r} → {nearest(args[0], self.commands)}.", ctx)
        return super().resolve_command(ctx, args)


def sentences(function: F) -> F:
    """Errors as sentences; the traceback only with ``--debug``."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        debug = bool((click.get_current_context().find_root().params or {}).get("debug"))
        try:
            return function(*args, **kwargs)
        except EvalkitError as error:
            if debug:
                raise
            click.echo(f"오류: {error.sentence()}", err=True)
            sys.exit(error.exit_code)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("사용자가 멈춤.", err=True)
            sys.exit(130)
        except BrokenPipeError:
            raise  # the reader of our output went away (`| head`): click ends without a word
        except Exception as error:
            if debug:
                raise
            click.echo(
                f"오류: 예상하지 못한 {type(error).__name__}: {one_line(error)} → --debug 를 붙여 다시 실행할 것.",
                err=True,
            )
            sys.exit(1)

    return wrapped  # type: ignore[return-value]
