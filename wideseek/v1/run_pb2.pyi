from google.protobuf import struct_pb2 as _struct_pb2
from wideseek.v1 import agent_pb2 as _agent_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Table(_message.Message):
    __slots__ = ("columns", "rows")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    rows: _containers.RepeatedCompositeFieldContainer[_struct_pb2.ListValue]
    def __init__(self, columns: _Optional[_Iterable[str]] = ..., rows: _Optional[_Iterable[_Union[_struct_pb2.ListValue, _Mapping]]] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class Sources(_message.Message):
    __slots__ = ("corpora", "urls")
    CORPORA_FIELD_NUMBER: _ClassVar[int]
    URLS_FIELD_NUMBER: _ClassVar[int]
    corpora: _containers.RepeatedScalarFieldContainer[str]
    urls: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, corpora: _Optional[_Iterable[str]] = ..., urls: _Optional[_Iterable[str]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_rows", "max_width", "max_turns", "max_seconds", "max_tokens", "max_tool_calls")
    MAX_ROWS_FIELD_NUMBER: _ClassVar[int]
    MAX_WIDTH_FIELD_NUMBER: _ClassVar[int]
    MAX_TURNS_FIELD_NUMBER: _ClassVar[int]
    MAX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    max_rows: int
    max_width: int
    max_turns: int
    max_seconds: float
    max_tokens: int
    max_tool_calls: int
    def __init__(self, max_rows: _Optional[int] = ..., max_width: _Optional[int] = ..., max_turns: _Optional[int] = ..., max_seconds: _Optional[float] = ..., max_tokens: _Optional[int] = ..., max_tool_calls: _Optional[int] = ...) -> None: ...

class Training(_message.Message):
    __slots__ = ("opt_in", "job_id", "group_id", "index_in_group", "attempt", "task_id", "split")
    OPT_IN_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_IN_GROUP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    opt_in: bool
    job_id: str
    group_id: str
    index_in_group: int
    attempt: int
    task_id: str
    split: str
    def __init__(self, opt_in: _Optional[bool] = ..., job_id: _Optional[str] = ..., group_id: _Optional[str] = ..., index_in_group: _Optional[int] = ..., attempt: _Optional[int] = ..., task_id: _Optional[str] = ..., split: _Optional[str] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("query", "output", "columns", "primary_key", "sources", "limits", "mode", "model", "subagent_model", "prompt_profile", "sampling", "metadata", "training", "wait", "stream")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    QUERY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SUBAGENT_MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_PROFILE_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    query: str
    output: str
    columns: _struct_pb2.ListValue
    primary_key: _struct_pb2.ListValue
    sources: Sources
    limits: Limits
    mode: str
    model: str
    subagent_model: str
    prompt_profile: str
    sampling: _agent_pb2.Sampling
    metadata: _containers.ScalarMap[str, str]
    training: Training
    wait: float
    stream: bool
    def __init__(self, query: _Optional[str] = ..., output: _Optional[str] = ..., columns: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., primary_key: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., sources: _Optional[_Union[Sources, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., mode: _Optional[str] = ..., model: _Optional[str] = ..., subagent_model: _Optional[str] = ..., prompt_profile: _Optional[str] = ..., sampling: _Optional[_Union[_agent_pb2.Sampling, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., training: _Optional[_Union[Training, _Mapping]] = ..., wait: _Optional[float] = ..., stream: _Optional[bool] = ...) -> None: ...

class SubagentCounts(_message.Message):
    __slots__ = ("queued", "running", "completed", "failed", "cancelled")
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    queued: int
    running: int
    completed: int
    failed: int
    cancelled: int
    def __init__(self, queued: _Optional[int] = ..., running: _Optional[int] = ..., completed: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("turn", "rows", "cells_filled", "cells_total", "pages_read", "subagents")
    TURN_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FILLED_FIELD_NUMBER: _ClassVar[int]
    CELLS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    PAGES_READ_FIELD_NUMBER: _ClassVar[int]
    SUBAGENTS_FIELD_NUMBER: _ClassVar[int]
    turn: int
    rows: int
    cells_filled: int
    cells_total: int
    pages_read: int
    subagents: SubagentCounts
    def __init__(self, turn: _Optional[int] = ..., rows: _Optional[int] = ..., cells_filled: _Optional[int] = ..., cells_total: _Optional[int] = ..., pages_read: _Optional[int] = ..., subagents: _Optional[_Union[SubagentCounts, _Mapping]] = ...) -> None: ...

class RunError(_message.Message):
    __slots__ = ("code", "message", "service")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    service: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., service: _Optional[str] = ...) -> None: ...

class Cancellation(_message.Message):
    __slots__ = ("requested_at", "stopped_at", "workers_stopped", "tokens_after_cancel")
    REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    STOPPED_AT_FIELD_NUMBER: _ClassVar[int]
    WORKERS_STOPPED_FIELD_NUMBER: _ClassVar[int]
    TOKENS_AFTER_CANCEL_FIELD_NUMBER: _ClassVar[int]
    requested_at: float
    stopped_at: float
    workers_stopped: int
    tokens_after_cancel: int
    def __init__(self, requested_at: _Optional[float] = ..., stopped_at: _Optional[float] = ..., workers_stopped: _Optional[int] = ..., tokens_after_cancel: _Optional[int] = ...) -> None: ...

class SourcePage(_message.Message):
    __slots__ = ("url", "title", "content_sha256")
    URL_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_SHA256_FIELD_NUMBER: _ClassVar[int]
    url: str
    title: str
    content_sha256: str
    def __init__(self, url: _Optional[str] = ..., title: _Optional[str] = ..., content_sha256: _Optional[str] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("id", "object", "status", "query", "output", "mode", "model", "subagent_model", "created_at", "started_at", "completed_at", "progress", "usage", "limits", "metadata", "table", "answer_text", "answer", "sources", "incomplete_reason", "error", "cancellation", "rollout_id", "last_event_seq", "links")
    class UsageEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _agent_pb2.Usage
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_agent_pb2.Usage, _Mapping]] = ...) -> None: ...
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class LinksEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SUBAGENT_MODEL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_TEXT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CANCELLATION_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    id: str
    object: str
    status: str
    query: str
    output: str
    mode: str
    model: str
    subagent_model: str
    created_at: float
    started_at: float
    completed_at: float
    progress: Progress
    usage: _containers.MessageMap[str, _agent_pb2.Usage]
    limits: Limits
    metadata: _containers.ScalarMap[str, str]
    table: Table
    answer_text: str
    answer: str
    sources: _containers.RepeatedCompositeFieldContainer[SourcePage]
    incomplete_reason: str
    error: RunError
    cancellation: Cancellation
    rollout_id: str
    last_event_seq: int
    links: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., status: _Optional[str] = ..., query: _Optional[str] = ..., output: _Optional[str] = ..., mode: _Optional[str] = ..., model: _Optional[str] = ..., subagent_model: _Optional[str] = ..., created_at: _Optional[float] = ..., started_at: _Optional[float] = ..., completed_at: _Optional[float] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., usage: _Optional[_Mapping[str, _agent_pb2.Usage]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., table: _Optional[_Union[Table, _Mapping]] = ..., answer_text: _Optional[str] = ..., answer: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[SourcePage, _Mapping]]] = ..., incomplete_reason: _Optional[str] = ..., error: _Optional[_Union[RunError, _Mapping]] = ..., cancellation: _Optional[_Union[Cancellation, _Mapping]] = ..., rollout_id: _Optional[str] = ..., last_event_seq: _Optional[int] = ..., links: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("type", "title", "status", "detail", "instance", "code", "retryable", "errors", "request_id")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    retryable: bool
    errors: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Struct]
    request_id: str
    def __init__(self, type: _Optional[str] = ..., title: _Optional[str] = ..., status: _Optional[int] = ..., detail: _Optional[str] = ..., instance: _Optional[str] = ..., code: _Optional[str] = ..., retryable: _Optional[bool] = ..., errors: _Optional[_Iterable[_Union[_struct_pb2.Struct, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class Weights(_message.Message):
    __slots__ = ("source", "base_model_hash", "adapter_hash", "tokenizer_hash", "template_hash", "version")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_HASH_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_HASH_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_HASH_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_HASH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    source: str
    base_model_hash: str
    adapter_hash: str
    tokenizer_hash: str
    template_hash: str
    version: int
    def __init__(self, source: _Optional[str] = ..., base_model_hash: _Optional[str] = ..., adapter_hash: _Optional[str] = ..., tokenizer_hash: _Optional[str] = ..., template_hash: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class RunCreated(_message.Message):
    __slots__ = ("at", "type", "run_id", "request", "model", "subagent_model", "deadline", "weights", "corpus_hash", "code_version")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Weights
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Weights, _Mapping]] = ...) -> None: ...
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SUBAGENT_MODEL_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    CORPUS_HASH_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    run_id: str
    request: RunRequest
    model: str
    subagent_model: str
    deadline: float
    weights: _containers.MessageMap[str, Weights]
    corpus_hash: str
    code_version: str
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., run_id: _Optional[str] = ..., request: _Optional[_Union[RunRequest, _Mapping]] = ..., model: _Optional[str] = ..., subagent_model: _Optional[str] = ..., deadline: _Optional[float] = ..., weights: _Optional[_Mapping[str, Weights]] = ..., corpus_hash: _Optional[str] = ..., code_version: _Optional[str] = ...) -> None: ...

class RunClaimed(_message.Message):
    __slots__ = ("at", "type", "replica", "claim")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    replica: str
    claim: int
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., replica: _Optional[str] = ..., claim: _Optional[int] = ...) -> None: ...

class TurnStarted(_message.Message):
    __slots__ = ("at", "type", "agent_id", "role", "turn", "attempt")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    agent_id: str
    role: str
    turn: int
    attempt: int
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., agent_id: _Optional[str] = ..., role: _Optional[str] = ..., turn: _Optional[int] = ..., attempt: _Optional[int] = ...) -> None: ...

class TurnCompleted(_message.Message):
    __slots__ = ("at", "type", "agent_id", "role", "turn", "completion", "attempt", "max_tokens")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    agent_id: str
    role: str
    turn: int
    completion: _agent_pb2.Completion
    attempt: int
    max_tokens: int
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., agent_id: _Optional[str] = ..., role: _Optional[str] = ..., turn: _Optional[int] = ..., completion: _Optional[_Union[_agent_pb2.Completion, _Mapping]] = ..., attempt: _Optional[int] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class ToolCalled(_message.Message):
    __slots__ = ("at", "type", "agent_id", "role", "turn", "index", "call", "attempt")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    agent_id: str
    role: str
    turn: int
    index: int
    call: _agent_pb2.ToolCall
    attempt: int
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., agent_id: _Optional[str] = ..., role: _Optional[str] = ..., turn: _Optional[int] = ..., index: _Optional[int] = ..., call: _Optional[_Union[_agent_pb2.ToolCall, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...

class ToolCompleted(_message.Message):
    __slots__ = ("at", "type", "agent_id", "role", "turn", "index", "result", "attempt")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    agent_id: str
    role: str
    turn: int
    index: int
    result: _agent_pb2.ToolResult
    attempt: int
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., agent_id: _Optional[str] = ..., role: _Optional[str] = ..., turn: _Optional[int] = ..., index: _Optional[int] = ..., result: _Optional[_Union[_agent_pb2.ToolResult, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...

class SubagentQueued(_message.Message):
    __slots__ = ("at", "type", "subtask_id", "turn", "index", "prompt")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    subtask_id: str
    turn: int
    index: int
    prompt: str
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., subtask_id: _Optional[str] = ..., turn: _Optional[int] = ..., index: _Optional[int] = ..., prompt: _Optional[str] = ...) -> None: ...

class SubagentStarted(_message.Message):
    __slots__ = ("at", "type", "subtask_id", "attempt", "worker")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    subtask_id: str
    attempt: int
    worker: str
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., subtask_id: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ...) -> None: ...

class SubagentCompleted(_message.Message):
    __slots__ = ("at", "type", "subtask_id", "attempt", "report", "stop_reason", "num_turns")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    NUM_TURNS_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    subtask_id: str
    attempt: int
    report: str
    stop_reason: str
    num_turns: int
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., subtask_id: _Optional[str] = ..., attempt: _Optional[int] = ..., report: _Optional[str] = ..., stop_reason: _Optional[str] = ..., num_turns: _Optional[int] = ...) -> None: ...

class SubagentFailed(_message.Message):
    __slots__ = ("at", "type", "subtask_id", "attempt", "error")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    subtask_id: str
    attempt: int
    error: RunError
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., subtask_id: _Optional[str] = ..., attempt: _Optional[int] = ..., error: _Optional[_Union[RunError, _Mapping]] = ...) -> None: ...

class SubagentCancelled(_message.Message):
    __slots__ = ("at", "type", "subtask_id", "attempt")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    subtask_id: str
    attempt: int
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., subtask_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class TableSchema(_message.Message):
    __slots__ = ("at", "type", "columns")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ...) -> None: ...

class RowUpserted(_message.Message):
    __slots__ = ("at", "type", "key", "cells", "subtask_id")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    key: str
    cells: _containers.RepeatedScalarFieldContainer[str]
    subtask_id: str
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., key: _Optional[str] = ..., cells: _Optional[_Iterable[str]] = ..., subtask_id: _Optional[str] = ...) -> None: ...

class RunCancelling(_message.Message):
    __slots__ = ("at", "type")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ...) -> None: ...

class RunCompleted(_message.Message):
    __slots__ = ("at", "type", "table", "answer_text", "rollout_id")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_TEXT_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    table: Table
    answer_text: str
    rollout_id: str
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., table: _Optional[_Union[Table, _Mapping]] = ..., answer_text: _Optional[str] = ..., rollout_id: _Optional[str] = ...) -> None: ...

class RunIncomplete(_message.Message):
    __slots__ = ("at", "type", "reason", "table", "answer_text", "rollout_id")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_TEXT_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    reason: str
    table: Table
    answer_text: str
    rollout_id: str
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., reason: _Optional[str] = ..., table: _Optional[_Union[Table, _Mapping]] = ..., answer_text: _Optional[str] = ..., rollout_id: _Optional[str] = ...) -> None: ...

class RunFailed(_message.Message):
    __slots__ = ("at", "type", "error", "rollout_id")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    error: RunError
    rollout_id: str
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., error: _Optional[_Union[RunError, _Mapping]] = ..., rollout_id: _Optional[str] = ...) -> None: ...

class RunCancelled(_message.Message):
    __slots__ = ("at", "type", "requested_at", "stopped_at", "workers_stopped", "tokens_after_cancel", "table")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    STOPPED_AT_FIELD_NUMBER: _ClassVar[int]
    WORKERS_STOPPED_FIELD_NUMBER: _ClassVar[int]
    TOKENS_AFTER_CANCEL_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    requested_at: float
    stopped_at: float
    workers_stopped: int
    tokens_after_cancel: int
    table: Table
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., requested_at: _Optional[float] = ..., stopped_at: _Optional[float] = ..., workers_stopped: _Optional[int] = ..., tokens_after_cancel: _Optional[int] = ..., table: _Optional[_Union[Table, _Mapping]] = ...) -> None: ...

class RolloutSealed(_message.Message):
    __slots__ = ("at", "type", "end")
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    at: float
    type: str
    end: _struct_pb2.Struct
    def __init__(self, at: _Optional[float] = ..., type: _Optional[str] = ..., end: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Logged(_message.Message):
    __slots__ = ("seq", "event")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    seq: int
    event: _struct_pb2.Struct
    def __init__(self, seq: _Optional[int] = ..., event: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
