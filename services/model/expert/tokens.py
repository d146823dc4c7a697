"""Text to token ids and back, and messages to text: the bundled tokenizer and our chat template."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment
from tokenizers import Tokenizer

from services.model.bundled import END_OF_TURN, TEMPLATE


class Tokens:
    """The tokenizer of an engine with its chat template."""

    def __init__(self, tokenizer_file: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self.end_of_turn: int = self.encode(END_OF_TURN)[0]
        """Id that ends a turn."""
        environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=ChainableUndefined)
        environment.filters["tojson"] = _to_json
        self._template = environment.from_string(TEMPLATE.read_text())

    def render(
        self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], *, add_generation_prompt: bool
    ) -> str:
        """The prompt as text."""
        return self._template.render(
            messages=list(messages), tools=list(tools), add_generation_prompt=add_generation_prompt
        )

    def encode(self, text: str) -> list[int]:
        """Token ids; control tokens written in the text are read as such, as vLLM does."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int], *, skip_special: bool = False) -> str:
        """The text behind ids."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=skip_special)
        return text

    @property
    def vocabulary_size(self) -> int:
        """Ids are below this."""
        size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        return size


def _to_json(value: Any) -> str:
    """As transformers renders `tojson`: plain JSON, no HTML escapes, Unicode kept."""
    return json.dumps(value, ensure_ascii=False)
