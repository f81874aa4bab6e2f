"""What every command shares: groups whose errors are one sentence, and the kinds of argument."""

from __future__ import annotations

import errno
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


def _of_system(error: OSError) -> str:
    """What the system refused, as a sentence: the file's name without its folder."""
    name = f"[{one_line(Path(str(error.filename)).name)}] " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{name}디스크에 남은 자리가 없음 → 자리를 비운 뒤 다시 실행할 것."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{name}파일에 쓸 권한이 없음 → 권한을 확인하거나 그 파일을 연 프로그램을 닫고 다시 실행할 것."
    words = one_line(error.strerror or error)
    return f"{name}파일을 다루지 못함 ({words}) → --debug 를 붙여 다시 실행할 것."


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
        except OSError as error:
            if debug:
                raise
            click.echo(f"오류: {_of_system(error)}", err=True)
            sys.exit(1)
        except Exception as error:
            if debug:
                raise
            click.echo(
                f"오류: 예상하지 못한 {type(error).__name__}: {one_line(error)} → --debug 를 붙여 다시 실행할 것.",
                err=True,
            )
            sys.exit(1)

    return wrapped  # type: ignore[return-value]
