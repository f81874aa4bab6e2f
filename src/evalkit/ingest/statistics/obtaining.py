"""From a question to a record on disk: asked over the network, or replayed from what was received before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from evalkit.ingest.statistics.changes import Changes, compared
from evalkit.ingest.statistics.connection import Connection, Limits
from evalkit.ingest.statistics.ecos import fetch_ecos
from evalkit.ingest.statistics.kept import Kept, keep, load, replay
from evalkit.ingest.statistics.keys import find_key
from evalkit.ingest.statistics.kosis import Progress, fetch_kosis
from evalkit.ingest.statistics.queries import EcosQuery, KosisQuery

Query = KosisQuery | EcosQuery


@dataclass(frozen=True, slots=True)
class Obtained:
    """A record, and how it differs from the one before it (None where there is none before, or nothing new came)."""

    kept: Kept
    changes: Changes | None = None


def source_of(query: Query) -> str:
    """The service of a question."""
    return "kosis" if isinstance(query, KosisQuery) else "ecos"


def connected(
    source: str,
    *,
    base_url: str = "",
    limits: Limits | None = None,
    tell: Callable[[str], None] | None = None,
) -> AbstractContextManager[Connection]:
    """A connection with the key of the environment or the keyring.

    Raises
    ------
    ServiceRefusal : no key, or an address that may not be asked
    """
    return Connection(source, find_key(source), base_url=base_url, limits=limits, progress=tell)


def obtain(
    query: Query,
    folder: Path,
    *,
    offline: bool = False,
    connection: Connection | None = None,
    base_url: str = "",
    limits: Limits | None = None,
    tell: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Obtained:
    """Fetch a question and keep it, or give what was kept.

    Parameters
    ----------
    query : what is asked
    folder : the data folder (``data/raw``); the record goes to ``<folder>/<source>``
    offline : ask nothing of the network: the newest record of this very question, verified
    connection : an open connection; without one, one is opened with `base_url` and `limits`
    tell : told in words when the connection waits
    progress : told after each answer, (answers so far, answers in all)

    Raises
    ------
    UsageError, DataError : in one sentence, without the key
    """
    if offline:
        return Obtained(replay(folder, source_of(query), query.record()))
    opened: AbstractContextManager[Connection] = (
        nullcontext(connection)
        if connection is not None
        else connected(source_of(query), base_url=base_url, limits=limits, tell=tell)
    )
    with opened as link:
        if isinstance(query, KosisQuery):
            fetched = fetch_kosis(link, query, progress=progress)
        else:
            fetched = fetch_ecos(link, query, progress=progress)
        kept = keep(fetched, folder, hide=link.hide)
    if not kept.fresh or not kept.record.previous:
        return Obtained(kept)
    return Obtained(kept, compared(load(kept.path.parent / kept.record.previous), kept))
