"""The error tree, sorted by who can act.

    WideseekError                    retryable = False
    ├── InvalidRequest               the caller must change something
    │   ├── RunNotFound
    │   ├── KeyMissing  KeyRefused   an admin door, and no key or the wrong one
    │   ├── JobNotFound  PolicyNotFound
    │   ├── Conflict                 the state of things forbids it now: a job runs already, a policy was refused
    │   └── PromptTooLong            carries prompt_tokens and limit
    ├── UpstreamError                retryable = True; a part of the cluster is down
    │   ├── ModelUnavailable  RetrievalUnavailable  QueueUnavailable  JudgeUnavailable
    │   ├── StoreUnavailable  TrainerUnavailable
    ├── ContractViolation            a peer broke the protocol: a bug
    └── LeaseLost                    another process owns this run or subtask now

Not errors: a malformed tool call or an unknown page (a failed `ToolResult`), a spent limit (a
`StopReason`). HTTP statuses are given to these classes in `services/kit/problems.py`.
"""


class WideseekError(Exception):
    """Base of all errors this project raises."""

    retryable: bool = False


class InvalidRequest(WideseekError):
    """The caller must change something; the message says what."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        """JSON pointer to the offending part of the request body, when there is one."""


class RunNotFound(InvalidRequest):
    """No run has this id, or its log has expired."""


class KeyMissing(InvalidRequest):
    """An admin door was tried without a key."""


class KeyRefused(InvalidRequest):
    """The key is not this deployment's, or the door is shut because the deployment has none."""


class JobNotFound(InvalidRequest):
    """No training job has this id."""


class PolicyNotFound(InvalidRequest):
    """No policy, or no version of it, has this name."""


class Conflict(InvalidRequest):
    """The request is well-formed, and the state of things forbids it now; the message says what is in the way."""


class PromptTooLong(InvalidRequest):
    """The prompt does not fit the engine's context."""

    def __init__(self, prompt_tokens: int, limit: int) -> None:
        super().__init__(f"the prompt has {prompt_tokens} tokens, the engine takes {limit}")
        self.prompt_tokens = prompt_tokens
        self.limit = limit


class UpstreamError(WideseekError):
    """A service we depend on did not answer as it should; trying again later may help."""

    retryable = True
    service: str = "upstream"


class ModelUnavailable(UpstreamError):
    """The model engine is down, overloaded or loading."""

    service = "model"


class RetrievalUnavailable(UpstreamError):
    """The retrieval service is down or loading."""

    service = "retrieval"


class QueueUnavailable(UpstreamError):
    """Redis, which holds the run log and the queue, is down."""

    service = "redis"


class JudgeUnavailable(UpstreamError):
    """The judge is down, or answers what cannot be read."""

    service = "judge"


class StoreUnavailable(UpstreamError):
    """The rollout store cannot be read or written."""

    service = "rollout store"


class TrainerUnavailable(UpstreamError):
    """The trainer service, or a learner that was asked something, does not answer."""

    service = "trainer"


class ContractViolation(WideseekError):
    """A peer broke the protocol between our processes."""


class LeaseLost(WideseekError):
    """A newer claim or attempt owns this work: stop and write nothing more."""
