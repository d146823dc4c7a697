from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchRequest(_message.Message):
    __slots__ = ("queries", "count", "corpus", "urls")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CORPUS_FIELD_NUMBER: _ClassVar[int]
    URLS_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedScalarFieldContainer[str]
    count: int
    corpus: _containers.RepeatedScalarFieldContainer[str]
    urls: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, queries: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., corpus: _Optional[_Iterable[str]] = ..., urls: _Optional[_Iterable[str]] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("url", "title", "snippet", "section", "score", "corpus", "content_sha256", "start", "end")
    URL_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SNIPPET_FIELD_NUMBER: _ClassVar[int]
    SECTION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CORPUS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_SHA256_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    url: str
    title: str
    snippet: str
    section: str
    score: float
    corpus: str
    content_sha256: str
    start: int
    end: int
    def __init__(self, url: _Optional[str] = ..., title: _Optional[str] = ..., snippet: _Optional[str] = ..., section: _Optional[str] = ..., score: _Optional[float] = ..., corpus: _Optional[str] = ..., content_sha256: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("results", "ranking")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    RANKING_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_struct_pb2.ListValue]
    ranking: str
    def __init__(self, results: _Optional[_Iterable[_Union[_struct_pb2.ListValue, _Mapping]]] = ..., ranking: _Optional[str] = ...) -> None: ...

class AccessRequest(_message.Message):
    __slots__ = ("urls", "info_to_extract", "corpus", "only")
    URLS_FIELD_NUMBER: _ClassVar[int]
    INFO_TO_EXTRACT_FIELD_NUMBER: _ClassVar[int]
    CORPUS_FIELD_NUMBER: _ClassVar[int]
    ONLY_FIELD_NUMBER: _ClassVar[int]
    urls: _containers.RepeatedScalarFieldContainer[str]
    info_to_extract: str
    corpus: _containers.RepeatedScalarFieldContainer[str]
    only: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, urls: _Optional[_Iterable[str]] = ..., info_to_extract: _Optional[str] = ..., corpus: _Optional[_Iterable[str]] = ..., only: _Optional[_Iterable[str]] = ...) -> None: ...

class Page(_message.Message):
    __slots__ = ("url", "title", "text", "content_sha256", "corpus")
    URL_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_SHA256_FIELD_NUMBER: _ClassVar[int]
    CORPUS_FIELD_NUMBER: _ClassVar[int]
    url: str
    title: str
    text: str
    content_sha256: str
    corpus: str
    def __init__(self, url: _Optional[str] = ..., title: _Optional[str] = ..., text: _Optional[str] = ..., content_sha256: _Optional[str] = ..., corpus: _Optional[str] = ...) -> None: ...

class Passage(_message.Message):
    __slots__ = ("start", "end", "section", "score")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SECTION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    section: str
    score: float
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., section: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class AccessResult(_message.Message):
    __slots__ = ("url", "page", "passages")
    URL_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    url: str
    page: Page
    passages: _containers.RepeatedCompositeFieldContainer[Passage]
    def __init__(self, url: _Optional[str] = ..., page: _Optional[_Union[Page, _Mapping]] = ..., passages: _Optional[_Iterable[_Union[Passage, _Mapping]]] = ...) -> None: ...

class AccessResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[AccessResult]
    def __init__(self, results: _Optional[_Iterable[_Union[AccessResult, _Mapping]]] = ...) -> None: ...

class CorpusInfo(_message.Message):
    __slots__ = ("name", "num_pages", "num_passages", "lexical", "dense", "dense_ready", "content_hash", "default")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUM_PAGES_FIELD_NUMBER: _ClassVar[int]
    NUM_PASSAGES_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_FIELD_NUMBER: _ClassVar[int]
    DENSE_FIELD_NUMBER: _ClassVar[int]
    DENSE_READY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    name: str
    num_pages: int
    num_passages: int
    lexical: bool
    dense: bool
    dense_ready: bool
    content_hash: str
    default: bool
    def __init__(self, name: _Optional[str] = ..., num_pages: _Optional[int] = ..., num_passages: _Optional[int] = ..., lexical: _Optional[bool] = ..., dense: _Optional[bool] = ..., dense_ready: _Optional[bool] = ..., content_hash: _Optional[str] = ..., default: _Optional[bool] = ...) -> None: ...

class CorporaResponse(_message.Message):
    __slots__ = ("corpora",)
    CORPORA_FIELD_NUMBER: _ClassVar[int]
    corpora: _containers.RepeatedCompositeFieldContainer[CorpusInfo]
    def __init__(self, corpora: _Optional[_Iterable[_Union[CorpusInfo, _Mapping]]] = ...) -> None: ...
