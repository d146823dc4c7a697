"""What the model of a local cluster serves: which policy, merged into which weights, and what the agents must know."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.cli.console import CommandError
from services.model.shipped import NONE, SHIPPED, UnusableAdapter, find_policy, read_card

Engine = Literal["expert", "vllm"]
_PROFILE = "ORCHESTRATOR_DEFAULT_PROMPT_PROFILE"
_SWAPPING = "adapters cannot be loaded: train on a cluster with --policy none"


@dataclass(frozen=True)
class Served:
    """What the processes are told of the model."""

    model_env: Mapping[str, str] = field(default_factory=dict)
    orchestrator_env: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    """One line for the person who starts it."""


def served_by(engine: Engine | None, policy: str | None, *, lora: bool | None) -> Served:
    """What an engine serves; `policy` and `lora` are those of `up`, else the variables' of the model service.

    Raises `CommandError` for options that this engine does not have, and for a folder that holds no policy.
    """
    if engine != "vllm":
        if policy is not None or lora is not None:
            option = "--policy" if policy is not None else "--lora"
            raise CommandError(f"{option} is of --model smollm2", exit_code=2)
        return Served({"MODEL_ENGINE": engine} if engine else {})
    try:
        folder = find_policy(policy or _by_variables())
        card = read_card(folder) if folder else None
    except UnusableAdapter as error:
        raise CommandError(str(error), exit_code=2) from error
    swaps = {} if lora is None else {"MODEL_LORA": str(lora).lower()}
    env = {"MODEL_ENGINE": engine, "MODEL_POLICY": str(folder or NONE), **swaps}
    if card is None:
        remark = (
            ""
            if NONE in {policy, _by_variables()}
            else f"there is no models/{SHIPPED} to merge: the untrained base smollm2 is served"
        )
        return Served(env, {}, remark)
    # A variable of the caller's own goes before what the policy was trained with.
    profile = os.environ.get(_PROFILE) or card.prompt_profile
    served = f"the policy {card.name} is served, merged into smollm2"
    return Served(env, {_PROFILE: profile} if profile else {}, served if lora else f"{served}; {_SWAPPING}")


def _by_variables() -> str | None:
    """The policy that the model service's own variables name; weights of one's own come without any."""
    return os.environ.get("MODEL_POLICY") or (NONE if os.environ.get("MODEL_PATH") else None)
