"""What a request must be for a run to be taken in: consistent, served by this release, over corpora that are there."""

from collections.abc import Sequence

from services.orchestrator.modes import WITH_SUBAGENTS
from services.orchestrator.training import refuse_misplaced
from wideseek.contracts import CorpusInfo, Mode, Output, RunRequest
from wideseek.errors import InvalidRequest, RetrievalUnavailable


def check_request(request: RunRequest) -> None:
    """Raise `InvalidRequest`, naming the field, for a request that cannot become a run."""
    refuse_blanks(request)
    refuse_contradictions(request)
    refuse_misplaced(request.training)


def refuse_blanks(request: RunRequest) -> None:
    """Raise `InvalidRequest` for a heading or an address of white space only, or an address over several lines."""
    for number, column in enumerate(request.columns or ()):
        if not column.name.strip():
            pointer = f"/columns/{number}/name"
            raise InvalidRequest("columns: a name must contain more than white space", field=pointer)
    for number, name in enumerate(request.primary_key or ()):
        if not name.strip():
            raise InvalidRequest("primary_key: a name must not be empty", field=f"/primary_key/{number}")
    for number, url in enumerate(request.sources.urls):
        if len(url.splitlines()) != 1 or not url.strip():
            raise InvalidRequest("sources.urls: an address is one line of text", field=f"/sources/urls/{number}")


def refuse_contradictions(request: RunRequest) -> None:
    """Raise `InvalidRequest` for a field that the output or the mode of the run has no use for, or lacks."""
    if request.output is Output.ANSWER:
        for name in ("columns", "primary_key"):
            if getattr(request, name) is not None:
                raise InvalidRequest(f"{name}: a run with output answer has no table; leave it out", field=f"/{name}")
    if request.mode is Mode.ORACLE_RETRIEVAL and not request.sources.urls:
        message = "sources.urls: oracle_retrieval finds only the pages named here, and none is"
        raise InvalidRequest(message, field="/sources/urls")
    if request.subagent_model is not None and request.mode not in WITH_SUBAGENTS:
        message = f"subagent_model: a run in mode {request.mode} has no subagents; leave it out"
        raise InvalidRequest(message, field="/subagent_model")


def check_corpora(wanted: Sequence[str], served: Sequence[CorpusInfo]) -> None:
    """Raise `InvalidRequest` for a corpus that is not served, `RetrievalUnavailable` for one still loading."""
    names = [corpus.name for corpus in served]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        message = f"unknown corpus {', '.join(unknown)}; served: {', '.join(names) or 'none'}"
        raise InvalidRequest(message, field="/sources/corpora")
    needed = [corpus for corpus in served if corpus.name in wanted or (corpus.default and not wanted)]
    loading = [corpus.name for corpus in needed or served if not (corpus.lexical or corpus.dense_ready)]
    if loading or not served:
        raise RetrievalUnavailable(f"corpus {', '.join(loading)} is loading" if loading else "no corpus is served yet")
