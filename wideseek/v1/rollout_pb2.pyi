from wideseek.v1 import agent_pb2 as _agent_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WeightSpan(_message.Message):
    __slots__ = ("version", "start", "end")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    version: int
    start: int
    end: int
    def __init__(self, version: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class SamplingRecord(_message.Message):
    __slots__ = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "max_tokens", "stop", "seed", "logit_bias")
    class LogitBiasEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_P_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_PENALTY_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_PENALTY_FIELD_NUMBER: _ClassVar[int]
    REPETITION_PENALTY_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LOGIT_BIAS_FIELD_NUMBER: _ClassVar[int]
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    presence_penalty: float
    frequency_penalty: float
    repetition_penalty: float
    max_tokens: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    seed: int
    logit_bias: _containers.ScalarMap[str, float]
    def __init__(self, temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., top_k: _Optional[int] = ..., min_p: _Optional[float] = ..., presence_penalty: _Optional[float] = ..., frequency_penalty: _Optional[float] = ..., repetition_penalty: _Optional[float] = ..., max_tokens: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ..., seed: _Optional[int] = ..., logit_bias: _Optional[_Mapping[str, float]] = ...) -> None: ...

class ToolRecord(_message.Message):
    __slots__ = ("call_id", "name", "args_hash", "ok", "error", "seconds", "result_hash", "result_start", "result_end", "sources", "subtask_ids")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGS_HASH_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    RESULT_HASH_FIELD_NUMBER: _ClassVar[int]
    RESULT_START_FIELD_NUMBER: _ClassVar[int]
    RESULT_END_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_IDS_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    name: str
    args_hash: str
    ok: bool
    error: str
    seconds: float
    result_hash: str
    result_start: int
    result_end: int
    sources: _containers.RepeatedCompositeFieldContainer[_agent_pb2.Source]
    subtask_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, call_id: _Optional[str] = ..., name: _Optional[str] = ..., args_hash: _Optional[str] = ..., ok: _Optional[bool] = ..., error: _Optional[str] = ..., seconds: _Optional[float] = ..., result_hash: _Optional[str] = ..., result_start: _Optional[int] = ..., result_end: _Optional[int] = ..., sources: _Optional[_Iterable[_Union[_agent_pb2.Source, _Mapping]]] = ..., subtask_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queued_s", "first_token_s", "generate_s", "tools_s")
    QUEUED_S_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_S_FIELD_NUMBER: _ClassVar[int]
    GENERATE_S_FIELD_NUMBER: _ClassVar[int]
    TOOLS_S_FIELD_NUMBER: _ClassVar[int]
    queued_s: float
    first_token_s: float
    generate_s: float
    tools_s: float
    def __init__(self, queued_s: _Optional[float] = ..., first_token_s: _Optional[float] = ..., generate_s: _Optional[float] = ..., tools_s: _Optional[float] = ...) -> None: ...

class TurnRecord(_message.Message):
    __slots__ = ("turn_index", "request_id", "engine_id", "model_name", "base_model_hash", "adapter_hash", "tokenizer_hash", "template_hash", "prompt_token_ids", "sampled_token_ids", "sampled_logprobs", "logprob_mode", "weight_version_spans", "sampling", "finish_reason", "stop_token", "truncated", "trainable", "mask_reason", "tool_calls", "timings", "cached_tokens", "text")
    TURN_INDEX_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENGINE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_HASH_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_HASH_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_HASH_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_HASH_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    LOGPROB_MODE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_VERSION_SPANS_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    STOP_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TRAINABLE_FIELD_NUMBER: _ClassVar[int]
    MASK_REASON_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    turn_index: int
    request_id: str
    engine_id: str
    model_name: str
    base_model_hash: str
    adapter_hash: str
    tokenizer_hash: str
    template_hash: str
    prompt_token_ids: _containers.RepeatedScalarFieldContainer[int]
    sampled_token_ids: _containers.RepeatedScalarFieldContainer[int]
    sampled_logprobs: _containers.RepeatedScalarFieldContainer[float]
    logprob_mode: str
    weight_version_spans: _containers.RepeatedCompositeFieldContainer[WeightSpan]
    sampling: SamplingRecord
    finish_reason: str
    stop_token: str
    truncated: bool
    trainable: bool
    mask_reason: str
    tool_calls: _containers.RepeatedCompositeFieldContainer[ToolRecord]
    timings: Timings
    cached_tokens: int
    text: str
    def __init__(self, turn_index: _Optional[int] = ..., request_id: _Optional[str] = ..., engine_id: _Optional[str] = ..., model_name: _Optional[str] = ..., base_model_hash: _Optional[str] = ..., adapter_hash: _Optional[str] = ..., tokenizer_hash: _Optional[str] = ..., template_hash: _Optional[str] = ..., prompt_token_ids: _Optional[_Iterable[int]] = ..., sampled_token_ids: _Optional[_Iterable[int]] = ..., sampled_logprobs: _Optional[_Iterable[float]] = ..., logprob_mode: _Optional[str] = ..., weight_version_spans: _Optional[_Iterable[_Union[WeightSpan, _Mapping]]] = ..., sampling: _Optional[_Union[SamplingRecord, _Mapping]] = ..., finish_reason: _Optional[str] = ..., stop_token: _Optional[str] = ..., truncated: _Optional[bool] = ..., trainable: _Optional[bool] = ..., mask_reason: _Optional[str] = ..., tool_calls: _Optional[_Iterable[_Union[ToolRecord, _Mapping]]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., cached_tokens: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class AgentRecord(_message.Message):
    __slots__ = ("agent_id", "role", "parent_agent_id", "parent_turn_index", "parent_call_id", "wave", "subtask_id", "subtask", "status", "turns")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PARENT_AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_TURN_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARENT_CALL_ID_FIELD_NUMBER: _ClassVar[int]
    WAVE_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    role: str
    parent_agent_id: str
    parent_turn_index: int
    parent_call_id: str
    wave: int
    subtask_id: str
    subtask: str
    status: str
    turns: _containers.RepeatedCompositeFieldContainer[TurnRecord]
    def __init__(self, agent_id: _Optional[str] = ..., role: _Optional[str] = ..., parent_agent_id: _Optional[str] = ..., parent_turn_index: _Optional[int] = ..., parent_call_id: _Optional[str] = ..., wave: _Optional[int] = ..., subtask_id: _Optional[str] = ..., subtask: _Optional[str] = ..., status: _Optional[str] = ..., turns: _Optional[_Iterable[_Union[TurnRecord, _Mapping]]] = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("schema_version", "run_id", "rollout_id", "group_id", "index_in_group", "attempt", "task_id", "task_hash", "split", "source", "status", "error", "started_at", "finished_at", "started_monotonic", "finished_monotonic", "query", "answer_text", "answer_hash", "code_version", "corpus_hash", "tool_calls_used", "policy_version_min", "policy_version_max", "agents")
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_IN_GROUP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_HASH_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_MONOTONIC_FIELD_NUMBER: _ClassVar[int]
    FINISHED_MONOTONIC_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ANSWER_TEXT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_HASH_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CORPUS_HASH_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_USED_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_MIN_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_MAX_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    schema_version: int
    run_id: str
    rollout_id: str
    group_id: str
    index_in_group: int
    attempt: int
    task_id: str
    task_hash: str
    split: str
    source: str
    status: str
    error: str
    started_at: float
    finished_at: float
    started_monotonic: float
    finished_monotonic: float
    query: str
    answer_text: str
    answer_hash: str
    code_version: str
    corpus_hash: str
    tool_calls_used: int
    policy_version_min: int
    policy_version_max: int
    agents: _containers.RepeatedCompositeFieldContainer[AgentRecord]
    def __init__(self, schema_version: _Optional[int] = ..., run_id: _Optional[str] = ..., rollout_id: _Optional[str] = ..., group_id: _Optional[str] = ..., index_in_group: _Optional[int] = ..., attempt: _Optional[int] = ..., task_id: _Optional[str] = ..., task_hash: _Optional[str] = ..., split: _Optional[str] = ..., source: _Optional[str] = ..., status: _Optional[str] = ..., error: _Optional[str] = ..., started_at: _Optional[float] = ..., finished_at: _Optional[float] = ..., started_monotonic: _Optional[float] = ..., finished_monotonic: _Optional[float] = ..., query: _Optional[str] = ..., answer_text: _Optional[str] = ..., answer_hash: _Optional[str] = ..., code_version: _Optional[str] = ..., corpus_hash: _Optional[str] = ..., tool_calls_used: _Optional[int] = ..., policy_version_min: _Optional[int] = ..., policy_version_max: _Optional[int] = ..., agents: _Optional[_Iterable[_Union[AgentRecord, _Mapping]]] = ...) -> None: ...

class JudgeRecord(_message.Message):
    __slots__ = ("model", "prompt_hash", "raw")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_HASH_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompt_hash: str
    raw: str
    def __init__(self, model: _Optional[str] = ..., prompt_hash: _Optional[str] = ..., raw: _Optional[str] = ...) -> None: ...

class TurnMask(_message.Message):
    __slots__ = ("agent_id", "turn_index", "reason")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    TURN_INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    turn_index: int
    reason: str
    def __init__(self, agent_id: _Optional[str] = ..., turn_index: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Reward(_message.Message):
    __slots__ = ("rollout_id", "reward_version", "total", "components", "role_reward", "judge", "scorer_version", "answer_hash", "valid", "masks")
    class ComponentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class RoleRewardEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    REWARD_VERSION_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    ROLE_REWARD_FIELD_NUMBER: _ClassVar[int]
    JUDGE_FIELD_NUMBER: _ClassVar[int]
    SCORER_VERSION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_HASH_FIELD_NUMBER: _ClassVar[int]
    VALID_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    rollout_id: str
    reward_version: str
    total: float
    components: _containers.ScalarMap[str, float]
    role_reward: _containers.ScalarMap[str, float]
    judge: JudgeRecord
    scorer_version: str
    answer_hash: str
    valid: bool
    masks: _containers.RepeatedCompositeFieldContainer[TurnMask]
    def __init__(self, rollout_id: _Optional[str] = ..., reward_version: _Optional[str] = ..., total: _Optional[float] = ..., components: _Optional[_Mapping[str, float]] = ..., role_reward: _Optional[_Mapping[str, float]] = ..., judge: _Optional[_Union[JudgeRecord, _Mapping]] = ..., scorer_version: _Optional[str] = ..., answer_hash: _Optional[str] = ..., valid: _Optional[bool] = ..., masks: _Optional[_Iterable[_Union[TurnMask, _Mapping]]] = ...) -> None: ...
